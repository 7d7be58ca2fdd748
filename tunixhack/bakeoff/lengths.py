"""A picture of the lengths of traces and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunixhack._util.files import write_atomically
from tunixhack._util.safe_text import for_terminal
from tunixhack.bakeoff.figures import quantiles
from tunixhack.errors import MissingExtra

FILE = "lengths.png"
WIDE = 20
"""Ratio of the largest to the smallest length from which on the axis is logarithmic."""
MOST_DOTS = 500
"""Number of answers of each teacher that are drawn as dots."""
GOLDEN = 0.618034
"""Step by which dots are moved up and down, so that they neither line up nor cover one another."""

Bands = Mapping[str, tuple[Sequence[int], Sequence[int]]]
"""Lengths of traces and of answers, by label."""


def draw(bands: Bands, path: Path, unit: str) -> bool:
    """Draw the lengths of traces and answers, a band for each teacher.

    Args:
        bands: in the order from top to bottom.
        path: of the PNG, which is replaced as a whole.
        unit: what lengths are counted in.

    Returns:
        False, with nothing drawn, where there are no lengths.

    Raises:
        MissingExtra: matplotlib is not installed.
        UserError: the file cannot be written.
    """
    if not any(any(both) for both in bands.values()):
        return False
    try:
        # no pyplot: it would choose a window system, and keep every figure
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, NullFormatter
    except ModuleNotFoundError as error:
        raise MissingExtra("generate", f"{path.name}, the picture of the lengths,") from error

    figure = Figure(figsize=(11, 1.8 + 0.55 * len(bands)), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for side, (axes, what) in enumerate(zip(both, ("trace", "answer"), strict=True)):
        for row, lengths in enumerate(bands.values()):
            _band(axes, row, lengths[side], f"C{row % 10}")
        shown = [length for lengths in bands.values() for length in lengths[side]]
        if shown and max(shown) > WIDE * max(1, min(shown)):
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda length, place: f"{length:,.0f}"))
        axes.set_title(f"{what} length")
        axes.set_xlabel(for_terminal(unit), parse_math=False)  # a name may have dollars
        axes.grid(axis="x", alpha=0.3)
    both[0].set_yticks(range(len(bands)), [for_terminal(label) for label in bands], parse_math=False)
    both[0].set_ylim(len(bands) - 0.4, -0.6)  # the first one stands above
    figure.supxlabel("dots: single answers; bars: the middle half and 10 to 90 %; mark: the median", fontsize="small")
    canvas = FigureCanvasAgg(figure)
    write_atomically(path, lambda draft: canvas.print_figure(str(draft), dpi=120, format="png"))
    return True


def _band(axes: Any, row: int, lengths: Sequence[int], color: str) -> None:
    found = quantiles(lengths)
    if found is None:
        axes.annotate("none", (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center", color="gray")
        return
    every = -(-len(lengths) // MOST_DOTS)
    dots = sorted(lengths)[::every]
    heights = [row + 0.5 * ((place * GOLDEN) % 1 - 0.5) for place in range(len(dots))]
    axes.scatter(dots, heights, s=9, color=color, alpha=0.35, linewidths=0)
    axes.plot([found["10%"], found["90%"]], [row, row], color=color, linewidth=1.5)
    axes.plot([found["25%"], found["75%"]], [row, row], color=color, linewidth=6, solid_capstyle="butt", alpha=0.8)
    axes.plot([found["50%"]], [row], "|", color="black", markersize=16, markeredgewidth=2)
