"""The funnel of a run as a picture: a bar a step, as wide as what came into it, divided by what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunixhack._util.svg import element, picture, text
from tunixhack._util.wording import counted

KEPT, REJECTED, SET_ASIDE, MISSING = "kept", "rejected", "set aside", "missing"
COLOURS = {KEPT: "#1f8a70", REJECTED: "#c8562b", SET_ASIDE: "#9aa0a6", MISSING: "#c9ccd1"}
"""Colours that are told apart on light and on dark pages, and by those who see red and green as one."""
BAR, GAP, HEADING = 16, 18, 30
_SAMPLE = "sample"


@dataclass(frozen=True)
class Bar:
    """A step's bar."""

    name: str
    parts: dict[str, int]
    """How many rows each of `COLOURS` stands for."""
    told: str
    """The numbers beside it."""

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
    at = next((at for at, line in enumerate(lines) if line["step"] == _SAMPLE), len(lines))
    groups = [("questions", [_bar(line) for line in lines[:at]]), ("answers", [_bar(line) for line in lines[at:]])]
    return [(name, bars) for name, bars in groups if bars]


def _bar(line: Mapping[str, Any]) -> Bar:
    kept = line["kept"]
    parts = {KEPT: kept, REJECTED: line["rejected"], SET_ASIDE: line["set_aside"], MISSING: line["missing"]}
    if line["step"] == _SAMPLE:
        return Bar(line["step"], parts, f"{kept:,} of {counted(line['rows_in'], 'question')}")
    return Bar(line["step"], parts, f"{kept:,} of {line['rows_in'] + (line['made'] or 0):,}")


def funnel_picture(state: Mapping[str, Any], width: int = 760) -> str:
    """Draw the funnel of a run as SVG; empty where nothing is in it.

    Args:
        state: what run.json keeps.
        width: pixels; below 500, the names stand above the bars instead of beside them.
    """
    narrow = width < 500
    left, right = (0, 0) if narrow else (170, 150)
    room, step = width - left - right, BAR + GAP + (18 if narrow else 0)
    drawn: list[str] = []
    y = 0
    for heading, bars in funnel_bars(state):
        drawn.append(text(heading, x=left, y=y + 14, font_weight=600, fill="currentColor"))
        y += HEADING
        scale = room / max(1, *(bar.total for bar in bars))
        for number, bar in enumerate(bars):
            top = y + (18 if narrow else 0)
            drawn += _words(bar, top, width, narrow)
            before = left + 0.0
            for kind, count in bar.parts.items():
                if not count:
                    continue
                wide = max(2.0, count * scale)
                drawn.append(
                    element(
                        "rect",
                        x=before,
                        y=top,
                        width=wide,
                        height=BAR,
                        fill=COLOURS[kind],
                        class_=kind.replace(" ", "-"),
                    )
                )
                before += wide
            if number + 1 < len(bars) and bar.parts[KEPT]:
                drawn.append(
                    _flow(left, top + BAR, (bar.parts[KEPT] * scale, bars[number + 1].total * scale), step - BAR)
                )
            y += step
        y += GAP // 2
    if not drawn:
        return ""
    used = [kind for kind in COLOURS if any(bar.parts.get(kind) for _, bars in funnel_bars(state) for bar in bars)]
    drawn += _legend(used, left, y)
    title = "The funnel: how many rows came into each step, and what became of them"
    return picture(width, y + 24, title, *drawn, class_="narrow" if narrow else "wide")


def _words(bar: Bar, top: float, width: int, narrow: bool) -> list[str]:
    """Name a bar, and write its numbers: beside it, or above."""
    if narrow:
        name, numbers = {"x": 0, "y": top - 5}, {"x": width, "y": top - 5}
        return [
            text(_short(bar.name, 26), **name, fill="currentColor"),
            text(bar.told, **numbers, text_anchor="end", fill="currentColor", opacity=0.75),
        ]
    return [
        text(_short(bar.name, 22), x=160, y=top + 13, text_anchor="end", fill="currentColor"),
        text(bar.told, x=width, y=top + 13, text_anchor="end", fill="currentColor", opacity=0.75),
    ]


def _flow(left: float, top: float, widths: tuple[float, float], height: float) -> str:
    """Draw what goes on from a bar's kept rows to the bar below."""
    upper, lower = widths
    points = f"{left},{top} {left + upper:.1f},{top} {left + lower:.1f},{top + height} {left},{top + height}"
    return element("polygon", points=points, fill=COLOURS[KEPT], fill_opacity=0.13, class_="flow")


def _legend(kinds: Sequence[str], left: float, y: float) -> list[str]:
    drawn, x = [], left
    for kind in kinds:
        drawn.append(
            element("rect", x=x, y=y + 4, width=10, height=10, fill=COLOURS[kind], class_=kind.replace(" ", "-"))
        )
        drawn.append(text(kind, x=x + 15, y=y + 13, font_size=12, fill="currentColor", opacity=0.75))
        x += 30 + 7 * len(kind)
    return drawn


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
