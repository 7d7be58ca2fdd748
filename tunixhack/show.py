"""How a run is shown to a person, and to a program."""

from __future__ import annotations

import textwrap
from typing import Any

from rich.console import Console
from rich.text import Text

from tunixhack.answers.reference_share import WHY, sentence
from tunixhack.funnel import HEADER, cells
from tunixhack.notebook_html import heading, paragraph, table
from tunixhack.run import Run
from tunixhack.safe_text import for_terminal

WIDTH = 100
DEMONSTRATION = (
    "A demonstration: the embedded teacher has 135M parameters, so the form is right and the content is not. "
    "Train on nothing of it."
)


def print_run(run: Run, samples: int = 2) -> None:
    """Print the funnel and a few kept answers to standard output.

    What models wrote, and what a received folder says of itself, is printed as plain text: neither markup nor control
    characters in it have any effect.
    """
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)  # a narrow terminal wraps lines, which reads better than cut columns
    console.print(Text(for_terminal(f"{run.folder}: {run.status}"), style="bold"), end="\n\n")
    console.print(run.funnel_table())
    right = run.state().get("right")
    if right:
        console.print(Text(f"\n{sentence(right)}; {WHY}"))
    if _is_demonstration(run):
        console.print(f"\n[yellow]{DEMONSTRATION}[/yellow]")
    if samples:
        for row in run.samples(samples):
            console.print()
            console.print(Text(for_terminal(f"question {row['question_id']}, sample {row['sample']}"), style="bold"))
            for part in ("question", "reasoning", "answer"):
                console.print(Text(text_block(part, row.get(part))))


def as_html(run: Run, samples: int = 2) -> str:
    """Return what a notebook shows of a run, escaped: its status, funnel and a few kept answers."""
    shown = [heading(f"{run.folder}: {run.status}"), table(HEADER, map(cells, run.state().get("funnel", [])))]
    if _is_demonstration(run):
        shown.append(paragraph(DEMONSTRATION))
    if samples and (run.folder / "train.parquet").exists():
        for row in run.samples(samples):
            shown.append(heading(f"question {row['question_id']}, sample {row['sample']}"))
            shown += [paragraph(f"{part}: {row.get(part) or ''}") for part in ("question", "reasoning", "answer")]
    return "".join(shown)


def as_dict(run: Run) -> dict[str, Any]:
    """Return what ``--json`` prints: folder, status, row counts, the funnel, and how many answers are right."""
    state = run.state()
    rows = {
        name: getattr(run, name).height
        for name in ("train", "rejected", "questions")
        if (run.folder / f"{name}.parquet").exists()
    }
    return {
        "folder": str(run.folder),
        "state": state.get("state"),
        "status": run.status,
        "rows": rows,
        "funnel": state.get("funnel", []),
        "right": state.get("right"),
        "exit_code": 0,
    }


def _is_demonstration(run: Run) -> bool:
    return "local" in {name.partition("/")[0] for name in run.state().get("teachers", {})}


def text_block(name: str, text: object) -> str:
    """Set a text under its name, wrapped and indented, without anything that a terminal obeys."""
    shown = for_terminal(str(text or ""), lines=True)
    lines = [textwrap.fill(line, WIDTH - 4, subsequent_indent="  ") for line in shown.splitlines()]
    return textwrap.indent("\n".join([f"{name}:", *lines]), "  ")
