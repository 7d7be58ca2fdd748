"""What came of a bake-off, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack.bakeoff.figures import Figures, quantiles
from tunixhack.estimate import questions_and_probes
from tunixhack.recipe import Recipe
from tunixhack.safe_text import for_terminal
from tunixhack.shares import Share
from tunixhack.wording import counted, verb


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One teacher with one prompt."""

    label: str
    """What tells it apart from the others."""
    teacher: str
    """As after ``--teacher``, without credentials."""
    domain: str
    """The domain, or its file."""
    folder: Path
    """The run that its answers are in."""
    figures: Figures | None
    """None where it has no result."""
    problem: str | None = None
    """What a build would have said in the end; why there is no result, or not all of it."""
    exit_code: int = 0
    """What a build that ends so exits with, where it has no result or not all of it."""
    command: str
    """The build of the whole dataset, which takes these answers over."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """What came of a bake-off."""

    folder: Path
    samples: int
    """Answers to each question."""
    recipe: Recipe = field(repr=False)
    """The first one, as a build of the whole dataset would use it."""
    rows: int
    """Answers of that dataset."""
    entries: tuple[Entry, ...]
    plot: Path | None = None
    """The lengths as a picture; None where there is nothing to draw, or nothing to draw with."""

    def __repr__(self) -> str:
        """Say in a line what was compared."""
        names = ", ".join(entry.label for entry in self.entries)
        return for_terminal(f"Comparison({str(self.folder)!r}: {names}; {counted(self.asked, 'question')})")

    def _repr_html_(self) -> str:
        """Be the tables in a notebook, all of it escaped."""
        from tunixhack.bakeoff.table import as_html

        return as_html(self)

    @property
    def measured(self) -> list[tuple[Entry, Figures]]:
        """Those that have a result."""
        return [(entry, entry.figures) for entry in self.entries if entry.figures is not None]

    @property
    def unit(self) -> str:
        """What lengths are counted in."""
        return f"tokens of {self.recipe.student}" if self.recipe.student else "characters"

    @property
    def asked(self) -> int:
        """The most questions that one of them was asked."""
        return max((len(figures.questions) for _, figures in self.measured), default=0)

    @property
    def common(self) -> int:
        """How many questions were put to all that have a result."""
        questions = [figures.questions for _, figures in self.measured]
        return len(frozenset.intersection(*questions)) if questions else 0

    @property
    def exit_code(self) -> int:
        """0 where all have a whole result, else what the first that has not would exit with."""
        return next((entry.exit_code for entry in self.entries if entry.exit_code), 0)

    def notes(self) -> list[str]:
        """Say what one has to know to read the figures."""
        questions, probes = questions_and_probes(self.recipe, self.rows)
        probing = f" and {counted(probes, 'probe')}" if probes else ""
        notes = [
            f"price and hours are those of {counted(self.rows, 'row')}: {counted(questions, 'question')} × "
            f"{counted(self.recipe.samples, 'answer')}{probing}, before any is dropped, and as many requests in "
            "flight as were here",
            "in brackets the Wilson interval of 95 %",
        ]
        if any(figures.right.of for _, figures in self.measured):
            notes.append(
                "right: of the answers to questions with a reference that is a number, a formula, a letter or a few "
                "words; those that do not parse are not right"
            )
        if self.samples > 1:
            notes.append(
                "intervals take each answer for itself: with several to a question they are narrower than is true"
            )
        if self.common < self.asked:
            notes.append(
                f"only {self.common:,} of {counted(self.asked, 'question')} {verb(self.common, 'was', 'were')} put to "
                "all of them"
            )
        return notes

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "folder": str(self.folder),
            "questions": self.asked,
            "common_questions": self.common,
            "samples": self.samples,
            "rows": self.rows,
            "unit": self.unit,
            "plot": None if self.plot is None else str(self.plot),
            "teachers": [_entry(entry) for entry in self.entries],
            "exit_code": self.exit_code,
        }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "label": entry.label,
        "teacher": entry.teacher,
        "domain": entry.domain,
        "folder": str(entry.folder),
        "problem": entry.problem,
        "command": entry.command,
        "figures": None if entry.figures is None else _figures(entry.figures),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "questions": len(figures.questions),
        "answers": figures.answers,
        "parsed": _share(figures.parsed),
        "right": _share(figures.right),
        "kept": _share(figures.kept),
        "dropped": figures.reasons,
        "trace_length": quantiles(figures.traces),
        "answer_length": quantiles(figures.texts),
        "tokens_per_second": None if figures.tokens_per_second is None else round(figures.tokens_per_second, 1),
        "tokens_at_least": figures.at_least,
        "dollars": None if figures.dollars is None else round(figures.dollars, 4),
        "hours": None if figures.hours is None else round(figures.hours, 3),
    }


def _share(share: Share | None) -> dict[str, Any] | None:
    if share is None or share.value is None:
        return None
    low, high = share.interval
    return {"count": share.count, "of": share.of, "value": share.value, "low": low, "high": high}
