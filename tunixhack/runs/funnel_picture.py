"""The funnel of a run as a picture: a bar a step, as wide as what came into it, divided by what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunixhack._util.svg import element, picture, text
from tunixhack._util.wording import counted, listed

KEPT, REJECTED, SET_ASIDE, MISSING = "kept", "rejected", "set aside", "missing"
COLOURS = {KEPT: "#1f8a70", REJECTED: "#c8562b", SET_ASIDE: "#9aa0a6", MISSING: "#c9ccd1"}
"""Colours that are told apart on light and on dark pages, and by those who see red and green as one."""
BAR, GAP, HEADING = 16, 18, 30
NARROWEST = 500
"""Pixels; below it there is no room for words beside the bars."""
SAMPLE = "sample"
"""The step that asks for answers, as which its line is known."""
SOFT: dict[str, object] = {"fill": "currentColor", "opacity": 0.75}


@dataclass(frozen=True)
class Bar:
    """A step's bar."""

    name: str
    parts: dict[str, int]
    """How many rows each of `COLOURS` stands for."""
    told: str
    """The numbers beside it."""
    why: str = ""
    """For what rows were rejected."""

    @property
    def total(self) -> int:
        """The rows that the whole bar stands for."""
        return sum(self.parts.values())


def funnel_bars(state: Mapping[str, Any]) -> list[tuple[str, list[Bar]]]:
    """Return the bars of a funnel in groups, each of one unit.

    Args:
        state: what run.json keeps; of a mixture, a bar is a part.

    Returns:
        What each group counts, and its bars: questions, and from the step on that asks for answers, answers.
    """
    lines: Sequence[Mapping[str, Any]] = state.get("funnel", [])
    if state.get("parts"):
        return [
            ("answers kept, by part", [Bar(line["step"], {KEPT: line["kept"]}, f"{line['kept']:,}") for line in lines])
        ]
    at = next((at for at, line in enumerate(lines) if line["step"] == SAMPLE), len(lines))
    groups = [("questions", [_bar(line) for line in lines[:at]]), ("answers", [_bar(line) for line in lines[at:]])]
    return [(name, bars) for name, bars in groups if bars]


def _bar(line: Mapping[str, Any]) -> Bar:
    kept, why = line["kept"], listed(line["reasons"])
    parts = {KEPT: kept, REJECTED: line["rejected"], SET_ASIDE: line["set_aside"], MISSING: line["missing"]}
    if line["step"] == SAMPLE:
        return Bar(line["step"], parts, f"{kept:,} to {counted(line['rows_in'], 'question')}", why)
    return Bar(line["step"], parts, f"{kept:,} of {line['rows_in'] + (line['made'] or 0):,}", why)


@dataclass(frozen=True)
class _Layout:
    """Where what of a picture is drawn, in pixels."""

    width: int

    @property
    def narrow(self) -> bool:
        """Whether the words stand above the bars instead of beside them."""
        return self.width < NARROWEST

    @property
    def left(self) -> int:
        return 0 if self.narrow else 150

    @property
    def room(self) -> int:
        """The width of the longest bar."""
        return self.width if self.narrow else round(0.52 * self.width)

    @property
    def words(self) -> int:
        """The height of the words above a bar."""
        return 18 if self.narrow else 0

    @property
    def step(self) -> int:
        """From one bar to the next."""
        return self.words + BAR + GAP


def funnel_picture(state: Mapping[str, Any], width: int = 1000) -> str:
    """Draw the funnel of a run as SVG; empty where nothing is in it.

    Args:
        state: what run.json keeps.
        width: pixels; below `NARROWEST`, the words stand above the bars instead of beside them.
    """
    groups, at = funnel_bars(state), _Layout(width)
    if not groups:
        return ""
    drawn: list[str] = []
    y = 0
    for heading, bars in groups:
        drawn.append(text(heading, x=at.left, y=y + 14, font_weight=600, fill="currentColor"))
        y += HEADING
        scale = at.room / max(1, *(bar.total for bar in bars))
        below = [bar.total * scale for bar in bars[1:]]
        for bar, next_width in zip(bars, [*below, None], strict=True):
            drawn += _words(bar, y, at)
            drawn += _drawn(bar, at.left, y + at.words, scale)
            if next_width is not None and bar.parts[KEPT]:
                drawn.append(_flow(at, y, bar.parts[KEPT] * scale, next_width))
            y += at.step
        y += GAP // 2
    used = [kind for kind in COLOURS if any(bar.parts.get(kind) for _, bars in groups for bar in bars)]
    drawn += _legend(used, at.left, y)
    title = "The funnel: how many rows came into each step, and what became of them"
    return picture(width, y + 24, title, *drawn, class_="narrow" if at.narrow else "wide")


def _drawn(bar: Bar, x: float, y: float, scale: float) -> list[str]:
    """Draw the parts of a bar beside one another; the smallest can be seen."""
    drawn = []
    for kind, count in bar.parts.items():
        if count:
            wide = max(2.0, count * scale)
            of = {"fill": COLOURS[kind], "class_": kind.replace(" ", "-")}
            drawn.append(element("rect", x=float(x), y=y, width=wide, height=BAR, **of))
            x += wide
    return drawn


def _words(bar: Bar, y: float, at: _Layout) -> list[str]:
    """Name a bar, and write its numbers: beside it, or above."""
    if at.narrow:
        return [
            text(_short(bar.name, 26), x=0, y=y + 13, fill="currentColor"),
            text(bar.told, x=at.width, y=y + 13, text_anchor="end", **SOFT),
        ]
    beside, line = at.left + at.room, y + 13
    return [
        text(_short(bar.name, 21), x=at.left - 10, y=line, text_anchor="end", fill="currentColor"),
        text(bar.told, x=beside + 12, y=line, fill="currentColor"),
        text(_short(bar.why, 30), x=beside + 155, y=line, **SOFT),
    ]


def _flow(at: _Layout, y: float, kept: float, below: float) -> str:
    """Draw what goes on from a bar's kept rows to the bar below."""
    left, top, bottom = at.left, y + at.words + BAR, y + at.step + at.words
    points = f"{left},{top} {left + kept:.1f},{top} {left + below:.1f},{bottom} {left},{bottom}"
    return element("polygon", points=points, fill=COLOURS[KEPT], fill_opacity=0.13, class_="flow")


def _legend(kinds: Sequence[str], x: float, y: float) -> list[str]:
    drawn = []
    for kind in kinds:
        of = {"fill": COLOURS[kind], "class_": kind.replace(" ", "-")}
        drawn.append(element("rect", x=x, y=y + 4, width=10, height=10, **of))
        drawn.append(text(kind, x=x + 15, y=y + 13, font_size=12, **SOFT))
        x += 30 + 7 * len(kind)
    return drawn


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
