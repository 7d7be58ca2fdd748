"""The result of a bake-off, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack._util.notebook_html import paragraph, table
from tunixhack._util.safe_text import for_terminal
from tunixhack._util.wording import counted, verb
from tunixhack.bakeoff.entries import LENGTHS, RATIO, SPEED, Entry
from tunixhack.bakeoff.figures import Figures
from tunixhack.pipeline.estimate import questions_and_probes
from tunixhack.recipe import Recipe


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """The result of a bake-off."""

    folder: Path
    samples: int
    """Number of answers to each question."""
    recipe: Recipe = field(repr=False)
    """The first recipe, as a build of the whole dataset would use it."""
    rows: int
    """Number of answers of that dataset."""
    entries: tuple[Entry, ...]
    plot: Path | None = None
    """The lengths as a picture; None where there is nothing to draw, or nothing to draw with."""
    ratio_problem: str | None = None
    """Why there is no rank-surprisal ratio where a student was named."""

    def __repr__(self) -> str:
        """Return a line with what was compared."""
        names = ", ".join(entry.label for entry in self.entries)
        return for_terminal(f"Comparison({str(self.folder)!r}: {names}; {counted(self.asked, 'question')})")

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the tables and remarks, escaped."""
        tables = "".join(table(header, rows) for header, rows in self.tables())
        return tables + "".join(map(paragraph, self.remarks()))

    def tables(self) -> list[tuple[Sequence[str], list[list[str]]]]:
        """Return the header and the rows of both tables: speed and price, then lengths and reasons."""
        # without a student there is no ratio, nor a column of it
        shown = [at for at, name in enumerate(LENGTHS) if name != RATIO or self.has_ratio]
        header, *rows = [
            [cells[at] for at in shown] for cells in (LENGTHS, *(entry.length_cells() for entry, _ in self.measured))
        ]
        return [(SPEED, [entry.speed_cells() for entry in self.entries]), (header, rows)]

    def remarks(self) -> list[str]:
        """Return sentences that follow the tables: what went wrong, then how to read the figures."""
        problems = [f"{entry.label}: {entry.problem}" for entry in self.entries if entry.problem]
        lengths = f"lengths in {self.unit}, which 10 %, half and 90 % do not exceed"
        plot = [] if self.plot is None else [f"lengths as a picture: {self.plot}"]
        return [*problems, lengths, *self.notes(), *plot]

    @property
    def measured(self) -> list[tuple[Entry, Figures]]:
        """The entries that have a result, with their figures."""
        return [(entry, entry.figures) for entry in self.entries if entry.figures is not None]

    @property
    def has_ratio(self) -> bool:
        """True if the rank-surprisal ratio of one of them is known."""
        return any(figures.rank_surprisal is not None for _, figures in self.measured)

    @property
    def unit(self) -> str:
        """The unit in which lengths are counted."""
        return f"tokens of {self.recipe.student}" if self.recipe.student else "characters"

    @property
    def asked(self) -> int:
        """The most questions that one of them was asked."""
        return max((len(figures.questions) for _, figures in self.measured), default=0)

    @property
    def common(self) -> int:
        """The number of questions that were put to every teacher with a result."""
        questions = [figures.questions for _, figures in self.measured]
        return len(frozenset.intersection(*questions)) if questions else 0

    @property
    def exit_code(self) -> int:
        """The exit code: 0 where all have a complete result, else that of the first one without."""
        return next((entry.exit_code for entry in self.entries if entry.exit_code), 0)

    def notes(self) -> list[str]:
        """Return sentences that explain the figures."""
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
        if self.has_ratio:
            notes.append(
                f"rank/surprisal: of the kept answers under {self.recipe.student}, as ForStudent has it; a low one is "
                "said to suit a student"
            )
        if self.ratio_problem is not None:
            notes.append(f"no rank/surprisal ratio: {self.ratio_problem}")
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
            "teachers": [entry.as_dict() for entry in self.entries],
            "exit_code": self.exit_code,
        }
