"""The result of one teacher with one prompt, as data and as the cells of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack._util.proportions import Share
from tunixhack._util.wording import listed
from tunixhack.bakeoff.figures import Figures, quantiles

SPEED = ("", "answers", "tokens/s", "parses", "right", "kept", "price", "hours")
"""The columns of `Entry.speed_cells`."""
RATIO = "rank/surprisal"
"""The column of the rank-surprisal ratio."""
LENGTHS = ("", "trace length", "answer length", RATIO, "dropped because")
"""The columns of `Entry.length_cells`."""
MOST_REASONS = 4
UNKNOWN = "unknown"
SHOWN = ("10%", "50%", "90%")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One teacher with one prompt."""

    label: str
    """A name that differs from those of the others."""
    teacher: str
    """The teacher as after ``--teacher``, without credentials."""
    domain: str
    """The domain, or its file."""
    folder: Path
    """The folder of the run with its answers."""
    figures: Figures | None
    """The figures; None where there is no result."""
    problem: str | None = None
    """The sentence with which the build ended: why there is no result, or not all of it."""
    exit_code: int = 0
    """The exit code of such a build, where it has no result or not all of it."""
    command: str
    """The command that builds the whole dataset and reuses these answers."""

    def speed_cells(self) -> list[str]:
        """Return the cells of speed, shares and price."""
        return [self.label, *(_cells(self.figures) if self.figures else ["–"] * (len(SPEED) - 1))]

    def length_cells(self) -> list[str]:
        """Return the cells of lengths and reasons; all but the label are empty without figures."""
        if self.figures is None:
            return [self.label, *[""] * (len(LENGTHS) - 1)]
        reasons = dict(list(self.figures.reasons.items())[:MOST_REASONS])
        lengths = map(_length, (self.figures.trace_lengths, self.figures.answer_lengths))
        ratio = self.figures.rank_surprisal
        return [self.label, *lengths, UNKNOWN if ratio is None else f"{ratio:,.2f}", listed(reasons)]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "label": self.label,
            "teacher": self.teacher,
            "domain": self.domain,
            "folder": str(self.folder),
            "problem": self.problem,
            "command": self.command,
            "figures": None if self.figures is None else _figures(self.figures),
        }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "questions": len(figures.questions),
        "answers": figures.answers,
        "parsed": _share_data(figures.parsed),
        "right": _share_data(figures.right),
        "kept": _share_data(figures.kept),
        "dropped": figures.reasons,
        "trace_length": quantiles(figures.trace_lengths),
        "answer_length": quantiles(figures.answer_lengths),
        "rank_surprisal": None if figures.rank_surprisal is None else round(figures.rank_surprisal, 4),
        "tokens_per_second": None if figures.tokens_per_second is None else round(figures.tokens_per_second, 1),
        "tokens_at_least": figures.at_least,
        "dollars": None if figures.dollars is None else round(figures.dollars, 4),
        "hours": None if figures.hours is None else round(figures.hours, 3),
    }


def _share_data(share: Share | None) -> dict[str, Any] | None:
    if share is None or share.value is None:
        return None
    low, high = share.interval
    return {"count": share.count, "of": share.of, "value": share.value, "low": low, "high": high}


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


def _length(lengths: tuple[int, ...]) -> str:
    found = quantiles(lengths)
    return "–" if found is None else " · ".join(f"{found[share]:,.0f}" for share in SHOWN)


def _share(share: Share | None) -> str:
    if share is None or share.value is None:
        return UNKNOWN
    low, high = (f"{100 * end:.0f}" for end in share.interval)
    return f"{100 * share.value:.0f} % ({low}–{high})"
