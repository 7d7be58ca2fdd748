"""A source whose rows are chosen out of another one's: the base of those that choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from tunixhack.sources.question_source import QuestionSource


@dataclass(frozen=True, kw_only=True)
class ChosenRows:
    """All of a `QuestionSource` but its `load`, as the whole source has it."""

    whole: QuestionSource
    """What is read."""

    @property
    def path(self) -> str:
        """The whole source's name."""
        return self.whole.path

    @property
    def name(self) -> str | None:
        """The part of the whole source that is read."""
        return self.whole.name

    @property
    def license(self) -> str | None:
        """The whole source's licence."""
        return self.whole.license

    @property
    def shipped(self) -> str | None:
        """The file of questions in the package that stands for the whole source."""
        return self.whole.shipped

    def override(self, spec: str) -> Self:
        """Choose out of another source."""
        return replace(self, whole=self.whole.override(spec))

    def with_columns(self, columns: str | Mapping[str, str]) -> Self:
        """Choose out of the same source with other columns."""
        return replace(self, whole=self.whole.with_columns(columns))

    def columns_spelling(self) -> str | None:
        """Return what ``--columns`` takes to name the whole source's columns."""
        return self.whole.columns_spelling()

    def spelling(self) -> str:
        """Return what ``--source`` takes to name the whole source."""
        return self.whole.spelling()

    def describe(self) -> dict[str, Any]:
        """Say which source this is: the whole one."""
        return self.whole.describe()
