"""Distributions of kept and rejected rows, drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tunixhack._util.svg import element, picture, text
from tunixhack.runs.funnel_picture import BAR, COLOURS, KEPT, MISSING, REJECTED, SOFT

WIDTH, HEIGHT, BASE = 340, 130, 100
BINS = 24
_MOST = 0.99
"""Share of the values that the axis reaches over; those above stand in the last bin."""


_LARGEST = 1e300
_OF_SHARES = {"true": "#2f6fb3", "false": "#d19a2a", "missing": COLOURS[MISSING]}


@dataclass(frozen=True)
class Distribution:
    """Values of kept and of rejected rows; null where a row has none."""

    name: str
    unit: str
    kept: pl.Series
    rejected: pl.Series

    @property
    def boolean(self) -> bool:
        """Whether the values are true and false, of which there is nothing to draw."""
        return self.kept.dtype == pl.Boolean

    @property
    def values(self) -> pl.Series:
        """All values that there are, as finite numbers."""
        return pl.concat([_finite(one) for one in (self.kept, self.rejected)])

    def sentence(self) -> str:
        """Say where the middle and the end of it are, in words; of the kept rows where there are some."""
        kept = _finite(self.kept)
        told = kept if kept.len() else self.values
        if not told.len():
            return "no row has a value"
        middle, most, low, high = (told.median(), told.quantile(0.9, "nearest"), told.min(), told.max())
        numbers = [number(float(one)) for one in (middle, most, low, high)]  # type: ignore[arg-type]
        of = "kept" if kept.len() else "rejected"
        unit = f" {self.unit}" if self.unit else ""
        ends = f"from {numbers[2]} to {numbers[3]}"
        return f"median {numbers[0]}{unit}, 90 % at most {numbers[1]}, {ends} ({told.len():,} {of})"


def _finite(values: pl.Series) -> pl.Series:
    """Return the values that can be drawn, whose differences are numbers as well."""
    known = values.cast(pl.Float64)
    return known.filter(known.abs() < _LARGEST)


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
    edges, labels = _bins(values)
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
    for words, share in labels:
        side = {0.0: "start", 1.0: "end"}.get(share, "middle")
        of = {"text_anchor": side, "font_size": 12, **SOFT}
        drawn.append(text(words, x=share * WIDTH, y=BASE + 18, **of))
    return picture(WIDTH, HEIGHT, f"{found.name}: {found.sentence()}", *drawn)


def shares(found: Distribution) -> str:
    """Draw how many values are true and false: a bar each of kept and of rejected rows."""
    drawn, y = [], 0.0
    for name, values in ((KEPT, found.kept), (REJECTED, found.rejected)):
        if not values.len():
            continue
        known, x = values.drop_nulls(), 0.0
        counts = {"true": int(known.sum()), "false": known.len() - int(known.sum()), "missing": values.null_count()}
        drawn.append(text(name, x=0, y=y + 12, font_size=12, **SOFT))
        for kind, count in counts.items():
            wide = count / values.len() * WIDTH
            of = {"fill": _OF_SHARES[kind], "class_": kind}
            drawn += [element("rect", x=x, y=y + 18, width=wide, height=BAR, **of)] if count else []
            x += wide
        y += 18 + BAR + 12
    x = 0.0
    for kind, words in (("true", "true"), ("false", "false"), ("missing", "not told")):
        drawn.append(element("rect", x=x, y=y + 2, width=10, height=10, fill=_OF_SHARES[kind], class_=kind))
        drawn.append(text(words, x=x + 15, y=y + 12, font_size=12, **SOFT))
        x += 70
    return picture(WIDTH, y + 18, f"{found.name}: {share_sentence(found)}", *drawn)


def share_sentence(found: Distribution) -> str:
    """Say how many values are true and false."""
    parts = []
    for name, values in ((KEPT, found.kept), (REJECTED, found.rejected)):
        if values.len():
            known, unknown = values.drop_nulls(), values.null_count()
            right = int(known.sum())
            told = f"of {values.len():,} {name}, {right:,} true and {known.len() - right:,} false"
            parts.append(f"{told}{f', {unknown:,} not told' if unknown else ''}")
    return "; ".join(parts)


def _bins(values: pl.Series) -> tuple[list[float], list[tuple[str, float]]]:
    """Return the edges of the bins, and where on the axis which number stands: the first, the middle and the last."""
    low, top, most = (float(one) for one in (values.min(), values.quantile(_MOST, "higher"), values.max()))  # type: ignore[arg-type]
    whole = most - low < BINS and max(abs(low), abs(most)) < 1e9 and bool((values == values.round()).all())
    if whole:  # a bin for each, such as for grades
        count = round(most - low) + 1
        ends = [(number(low), 0.5 / count), (number(most), 1 - 0.5 / count)]
        return [low - 0.5 + at for at in range(count + 1)], ends if count > 1 else ends[:1]
    low = 0.0 if 0 <= low < top / 2 else low
    # where all are equal, or nearly, the bins are as narrow as numbers of this size can be told apart
    step = _round(max(top - low, abs(top) * 1e-9) / BINS)
    first = math.floor(low / step)
    last = max(first + 1, math.ceil(top / step - 1e-9))
    edges = [at * step for at in range(first, last + 1)]
    end = f"{number(edges[-1])}{' and more' if most > edges[-1] * (1 + 1e-9) else ''}"
    return edges, [(number(edges[0]), 0.0), (number((edges[0] + edges[-1]) / 2), 0.5), (end, 1.0)]


def _round(width: float) -> float:
    """Return the least width of 1, 2 or 5 times a power of ten that is not below a width."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= width * (1 - 1e-9))


def _counts(values: pl.Series, edges: Sequence[float]) -> list[int]:
    """Count the values of each bin; those beyond the last edge are in the last bin."""
    bins, width = len(edges) - 1, edges[1] - edges[0]
    places = ((_finite(values) - edges[0]) / width + 1e-9).clip(0, bins - 1).floor().cast(pl.Int64)
    found = dict(places.value_counts().iter_rows())
    return [found.get(at, 0) for at in range(bins)]
