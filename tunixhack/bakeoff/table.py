"""The tables of a bake-off on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunixhack._util.safe_text import for_terminal
from tunixhack.bakeoff.comparison import Comparison
from tunixhack.bakeoff.entries import LENGTHS

WIDTH = 100


def print_comparison(comparison: Comparison) -> None:
    """Print the figures, what went wrong, and what to do next to standard output."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)  # a narrow terminal wraps lines, which reads better than cut columns
    for header, rows in comparison.tables():
        console.print(_drawn(header, rows))
        console.print()
    for line in comparison.remarks():
        console.print(_text(f"- {line}"))
    if comparison.measured:
        console.print("\nThe answers count for a later build, for example:")
        console.print(_text(f"  {comparison.measured[0][0].command}"), soft_wrap=True)


def _drawn(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        if name in ("", LENGTHS[-1]):
            drawn.add_column(name, overflow="fold")
        else:
            drawn.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        drawn.add_row(*map(_text, row))
    return drawn


def _text(line: str) -> Text:
    """Make rich text of a line without markup and without control characters."""
    return Text(for_terminal(line))
