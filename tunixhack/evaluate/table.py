"""An evaluation on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunixhack._util.safe_text import for_terminal
from tunixhack.evaluate import wordings
from tunixhack.evaluate.evaluation import COLUMNS, PREFERENCE_COLUMNS, Evaluation

WIDTH = 100


def print_evaluation(found: Evaluation) -> None:
    """Print a table for each task, the verdicts, and what is to be known of both, to standard output."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    for task in found.content["tasks"]:
        console.print(_text(found.title(task)))
        told = [wordings.cells(line) for line in found.content.get("wordings", ()) if line["task"] == task]
        drawn = (
            (COLUMNS, found.cells(task)),
            (PREFERENCE_COLUMNS, found.preference_cells(task)),
            (wordings.HEADER, told),
        )
        for columns, cells in drawn:
            if cells:
                console.print(_table(columns, cells))
                console.print()
    for line in found.sentences:
        console.print(_text(f"- {line}"), soft_wrap=True)


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        drawn.add_column(name, justify="right" if number else "left", no_wrap=bool(number), overflow="fold")
    for row in cells:
        drawn.add_row(*map(_text, row))
    return drawn


def _text(line: str) -> Text:
    """Make rich text of a line without markup and without control characters."""
    return Text(for_terminal(line))
