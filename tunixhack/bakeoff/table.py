"""How a bake-off is shown to a person."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunixhack.bakeoff.comparison import Comparison
from tunixhack.bakeoff.figures import Figures, quantiles
from tunixhack.safe_text import for_terminal
from tunixhack.shares import Share
from tunixhack.wording import listed

WIDTH = 100
MOST_REASONS = 4
UNKNOWN = "unknown"
SHOWN = ("10%", "50%", "90%")


def print_comparison(comparison: Comparison) -> None:
    """Print the figures, what went wrong, and what to do next to standard output."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)  # a narrow terminal wraps lines, which reads better than cut columns
    console.print(_worth(comparison))
    console.print()
    console.print(_lengths(comparison))
    console.print()
    lengths = f"lengths in {comparison.unit}, which 10 %, half and 90 % do not exceed"
    for line in [*_problems(comparison), lengths, *comparison.notes()]:
        console.print(_text(f"- {line}"))
    if comparison.plot is not None:
        console.print(_text(f"- lengths as a picture: {comparison.plot}"))
    console.print("\nThe answers count for a later build, for example:")
    console.print(_text(f"  {comparison.measured[0][0].command}"), soft_wrap=True)


def _worth(comparison: Comparison) -> Table:
    drawn = _table("answers", "tokens/s", "parses", "right", "kept", "price", "hours")
    for entry in comparison.entries:
        drawn.add_row(_text(entry.label), *(_cells(entry.figures) if entry.figures else ["–"] * 7))
    return drawn


def _cells(figures: Figures) -> list[str]:
    speed, dollars, hours = figures.tokens_per_second, figures.dollars, figures.hours
    least = "≥ " if figures.at_least else ""
    return [
        f"{figures.answers:,}",
        UNKNOWN if speed is None else f"{least}{speed:,.0f}",
        *map(_share, (figures.parsed, figures.right, figures.kept)),
        UNKNOWN if dollars is None else f"{least if dollars else ''}${dollars:,.2f}",
        UNKNOWN if hours is None else f"{hours:,.1f}",
    ]


def _lengths(comparison: Comparison) -> Table:
    drawn = _table("trace length", "answer length")
    drawn.add_column("dropped because")
    for entry, figures in comparison.measured:
        reasons = dict(list(figures.reasons.items())[:MOST_REASONS])
        cells = map(_quantiles, (figures.traces, figures.texts))
        drawn.add_row(_text(entry.label), *cells, _text(listed(reasons)))
    return drawn


def _table(*names: str) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("", overflow="fold")
    for name in names:
        drawn.add_column(name, justify="right", no_wrap=True)
    return drawn


def _quantiles(lengths: tuple[int, ...]) -> str:
    found = quantiles(lengths)
    return "–" if found is None else " · ".join(f"{found[share]:,.0f}" for share in SHOWN)


def _share(share: Share | None) -> str:
    if share is None or share.value is None:
        return UNKNOWN
    low, high = (f"{100 * end:.0f}" for end in share.interval)
    return f"{100 * share.value:.0f} % ({low}–{high})"


def _problems(comparison: Comparison) -> list[str]:
    return [f"{entry.label}: {entry.problem}" for entry in comparison.entries if entry.problem]


def _text(line: str) -> Text:
    """Make text in which a server's or a user's own words are neither markup nor what a terminal obeys."""
    return Text(for_terminal(line))
