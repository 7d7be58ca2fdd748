"""Distributions of kept and rejected rows, drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tunixhack._util.svg import element, picture, text
from tunixhack.runs.funnel_picture import COLOURS, KEPT, REJECTED

WIDTH, HEIGHT, BASE = 340, 130, 100
BINS = 24
_MOST = 0.99
"""Share of the values that the axis reaches over; those above stand in the last bin."""


@dataclass(frozen=True)
class Distribution:
    """Values of kept and of rejected rows; null where a row has none."""

    name: str
    unit: str
    kept: pl.Series
    rejected: pl.Series

    @property
    def values(self) -> pl.Series:
        """All values that there are, as finite numbers."""
        both = pl.concat([one.cast(pl.Float64) for one in (self.kept, self.rejected)])
        return both.filter(both.is_finite()) if both.len() else both

    def sentence(self) -> str:
        """Say where the middle and the end of it are, in words; of the kept rows where there are some."""
        kept = self.kept.cast(pl.Float64)
        kept = kept.filter(kept.is_finite())
        told = kept if kept.len() else self.values
        if not told.len():
            return "no row has a value"
        middle, most, low, high = (told.median(), told.quantile(0.9, "nearest"), told.min(), told.max())
        numbers = [number(float(one)) for one in (middle, most, low, high)]  # type: ignore[arg-type]
        of = "kept" if kept.len() else "rejected"
        unit = f" {self.unit}" if self.unit else ""
        ends = f"from {numbers[2]} to {numbers[3]}"
        return f"median {numbers[0]}{unit}, 90 % at most {numbers[1]}, {ends} ({told.len():,} {of})"


def number(value: float) -> str:
    """Write a number as a person reads it.

    >>> number(12345.6), number(0.25), number(3.0)
    ('12,346', '0.25', '3')
    """
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:,.3g}"


def histogram(found: Distribution) -> str:
    """Draw a distribution: a column a bin, kept rows below, rejected ones above; empty where there is no value."""
    values = found.values
    if not values.len():
        return ""
    low, high = _ends(values)
    edges = _edges(low, high)
    counts = [_counts(one, edges) for one in (found.kept, found.rejected)]
    most = max(1, *(sum(pair) for pair in zip(*counts, strict=True)))
    wide = WIDTH / len(counts[0])
    drawn = []
    for at, pair in enumerate(zip(*counts, strict=True)):
        y = float(BASE)
        for kind, count in zip((KEPT, REJECTED), pair, strict=True):
            if count:
                tall = max(1.0, count / most * (BASE - 6))
                y -= tall
                drawn.append(
                    element(
                        "rect", x=at * wide + 0.5, y=y, width=wide - 1, height=tall, fill=COLOURS[kind], class_=kind
                    )
                )
    drawn.append(element("path", d=f"M0 {BASE + 0.5}H{WIDTH}", stroke="currentColor", stroke_opacity=0.4))
    beyond = float(values.max()) > edges[-1] * (1 + 1e-9)  # type: ignore[arg-type]
    labels = [(0, "start", edges[0]), (WIDTH / 2, "middle", (edges[0] + edges[-1]) / 2), (WIDTH, "end", edges[-1])]
    for x, anchor, value in labels:
        words = f"{number(value)}{' and more' if beyond and anchor == 'end' else ''}"
        drawn.append(text(words, x=x, y=BASE + 18, text_anchor=anchor, font_size=12, fill="currentColor", opacity=0.75))
    return picture(WIDTH, HEIGHT, f"{found.name}: {found.sentence()}", *drawn)


def _ends(values: pl.Series) -> tuple[float, float]:
    low, top = float(values.min()), float(values.quantile(_MOST, "higher"))  # type: ignore[arg-type]
    return (0.0 if 0 <= low < top / 2 or low == top >= 0 else low), top


def _edges(low: float, high: float) -> list[float]:
    """Return the edges of bins of a round width, whole numbers where the range is wide."""
    if high <= low:
        high = low + 1
    step = _round((high - low) / BINS)
    first = math.floor(low / step)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [at * step for at in range(first, last + 1)]


def _round(width: float) -> float:
    """Return the least width of 1, 2 or 5 times a power of ten that is not below a width."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= width * (1 - 1e-9))


def _counts(values: pl.Series, edges: Sequence[float]) -> list[int]:
    """Count the values of each bin; those beyond the last edge are in the last bin."""
    bins, width = len(edges) - 1, edges[1] - edges[0]
    finite = values.cast(pl.Float64)
    finite = finite.filter(finite.is_finite())
    places = ((finite - edges[0]) / width + 1e-9).floor().clip(0, bins - 1).cast(pl.Int64)
    found = dict(places.value_counts().iter_rows())
    return [found.get(at, 0) for at in range(bins)]
