"""What a recipe needs of a source of questions, whether it reads them (`Source`) or makes them (`GymSource`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field
from typing import Any, ClassVar, Protocol

from tunixhack.sources.source import Loaded


class QuestionSource(Protocol):
    """A place that questions come from: a frozen dataclass, of which `dataclasses.replace` makes others."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def path(self) -> str:
        """Its name."""

    @property
    def name(self) -> str | None:
        """The part of it that is taken, where it has parts."""

    @property
    def license(self) -> str | None:
        """Its licence, as the Hub spells it; None where it is not known."""

    @property
    def shipped(self) -> str | None:
        """The file of questions in the package that stands for it; None where there is none."""

    def override(self, spec: str) -> QuestionSource:
        """Return the source that ``--source`` names."""

    def with_columns(self, columns: str | Mapping[str, str]) -> QuestionSource:
        """Return this source with the columns that ``--columns`` names."""

    def columns_spelling(self) -> str | None:
        """Return what `with_columns` takes to name the same columns; None where they are the domain's."""

    def spelling(self) -> str:
        """Return what `override` takes to name this source."""

    def describe(self) -> dict[str, Any]:
        """Say which source this is: what a run's folder belongs to (contract 10)."""

    def load(self, domain: str) -> Loaded:
        """Return all questions."""
