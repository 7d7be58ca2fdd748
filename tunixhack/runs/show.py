"""A run as it is shown to a person, and to a program."""

from __future__ import annotations

import textwrap
from typing import Any

from rich.console import Console
from rich.text import Text

from tunixhack._util.safe_text import for_terminal
from tunixhack.runs.run import Run
from tunixhack.runs.sentences import DEMONSTRATION, run_sentences
from tunixhack.runs.tables import height, is_written

WIDTH = 100


def print_run(run: Run, samples: int = 2) -> None:
    """Print the funnel and a few kept answers to standard output.

    What models wrote, and what a received folder says of itself, is printed as plain text: neither markup nor control
    characters in it have any effect.
    """
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)  # a narrow terminal wraps lines, which reads better than cut columns
    console.print(Text(for_terminal(f"{run.place}: {run.status}"), style="bold"), end="\n\n")
    console.print(run.funnel_table())
    for sentence in run_sentences(run.state()):
        style = "yellow" if sentence == DEMONSTRATION else ""
        console.print(Text(f"\n{for_terminal(sentence)}", style=style))
    if samples:
        for row in run.samples(samples):
            console.print()
            console.print(Text(for_terminal(f"question {row['question_id']}, sample {row['sample']}"), style="bold"))
            for part in ("question", "reasoning", "answer"):
                console.print(Text(text_block(part, row.get(part))))


def as_dict(run: Run) -> dict[str, Any]:
    """Return what ``--json`` prints: folder, status, row counts, the funnel, and how many answers are right."""
    state = run.state()
    rows = {
        name: height(run.folder, name) for name in ("train", "rejected", "questions") if is_written(run.folder, name)
    }
    return {
        "folder": str(run.folder),
        **({"address": run.address} if run.address else {}),
        "state": state.get("state"),
        "status": run.status,
        "rows": rows,
        "funnel": state.get("funnel", []),
        "right": state.get("right"),
        "accepted": state.get("accepted"),
        "wordings": state.get("wordings"),
        "exit_code": 0,
    }


def text_block(name: str, text: object) -> str:
    """Set a text under its name, wrapped and indented, without anything that a terminal obeys."""
    shown = for_terminal(str(text or ""), lines=True)
    lines = [textwrap.fill(line, WIDTH - 4, subsequent_indent="  ") for line in shown.splitlines()]
    return textwrap.indent("\n".join([f"{name}:", *lines]), "  ")
