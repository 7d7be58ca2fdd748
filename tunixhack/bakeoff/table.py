"""How a bake-off is shown to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunixhack.bakeoff.comparison import Comparison
from tunixhack.bakeoff.figures import Figures, quantiles
from tunixhack.notebook_html import paragraph, table
from tunixhack.safe_text import for_terminal
from tunixhack.shares import Share
from tunixhack.wording import listed

WIDTH = 100
MOST_REASONS = 4
UNKNOWN = "unknown"
SHOWN = ("10%", "50%", "90%")


SPEED = ("", "answers", "tokens/s", "parses", "right", "kept", "price", "hours")
LENGTHS = ("", "trace length", "answer length", "dropped because")


def print_comparison(comparison: Comparison) -> None:
    """Print the figures, what went wrong, and what to do next to standard output."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)  # a narrow terminal wraps lines, which reads better than cut columns
    console.print(_drawn(SPEED, _worth(comparison)))
    console.print()
    console.print(_drawn(LENGTHS, _lengths(comparison)))
    console.print()
    for line in _remarks(comparison):
        console.print(_text(f"- {line}"))
    if comparison.measured:
        console.print("\nThe answers count for a later build, for example:")
        console.print(_text(f"  {comparison.measured[0][0].command}"), soft_wrap=True)


def as_html(comparison: Comparison) -> str:
    """Return what a notebook shows of a bake-off, escaped: the same tables and remarks."""
    tables = table(SPEED, _worth(comparison)) + table(LENGTHS, _lengths(comparison))
    return tables + "".join(map(paragraph, _remarks(comparison)))


def _remarks(comparison: Comparison) -> list[str]:
    problems = [f"{entry.label}: {entry.problem}" for entry in comparison.entries if entry.problem]
    lengths = f"lengths in {comparison.unit}, which 10 %, half and 90 % do not exceed"
    plot = [] if comparison.plot is None else [f"lengths as a picture: {comparison.plot}"]
    return [*problems, lengths, *comparison.notes(), *plot]


def _worth(comparison: Comparison) -> Iterator[list[str]]:
    for entry in comparison.entries:
        yield [entry.label, *(_cells(entry.figures) if entry.figures else ["–"] * 7)]


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


def _lengths(comparison: Comparison) -> Iterator[list[str]]:
    for entry, figures in comparison.measured:
        reasons = dict(list(figures.reasons.items())[:MOST_REASONS])
        yield [entry.label, *map(_quantiles, (figures.traces, figures.texts)), listed(reasons)]


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


def _quantiles(lengths: tuple[int, ...]) -> str:
    found = quantiles(lengths)
    return "–" if found is None else " · ".join(f"{found[share]:,.0f}" for share in SHOWN)


def _share(share: Share | None) -> str:
    if share is None or share.value is None:
        return UNKNOWN
    low, high = (f"{100 * end:.0f}" for end in share.interval)
    return f"{100 * share.value:.0f} % ({low}–{high})"


def _text(line: str) -> Text:
    """Make text in which a server's or a user's own words are neither markup nor what a terminal obeys."""
    return Text(for_terminal(line))
