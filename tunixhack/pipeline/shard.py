"""A shard: the part of a build's questions that one process asks, by a hash of their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tunixhack._util.ids import digest
from tunixhack._util.parts import read_part

Render = Callable[[dict[str, Any]], Sequence[Mapping[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One shard of a build.

    >>> Shard.read("3/16").folder
    'shard-03-of-16'
    """

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Read ``3/16``.

        Raises:
            UserError: it is no such part.
        """
        number, of = read_part(text)
        return cls(number=number, of=of)

    @property
    def folder(self) -> str:
        """The name of its folder in that of the build."""
        return f"shard-{self.number:0{len(str(self.of))}d}-of-{self.of}"

    def __str__(self) -> str:
        """Return it as the option names it."""
        return f"{self.number}/{self.of}"

    def own(self, questions: pl.DataFrame, render: Render) -> pl.DataFrame:
        """Return the questions of this shard.

        Which shard has a question depends on the messages that a teacher is sent for it, so that questions which share
        answers lie together, and on nothing else.
        """
        numbers = [share_number(render(row)) for row in questions.iter_rows(named=True)]
        return questions.filter(self.has(pl.Series(numbers, dtype=pl.Int64)))

    def has(self, numbers: pl.Series) -> pl.Series:
        """Tell which questions are of this shard, by their `share_number`."""
        return numbers % self.of == self.number - 1


def share_number(messages: Sequence[Mapping[str, str]]) -> int:
    """Return the number of a question by which its shard is known: a hash of the messages that a teacher is sent."""
    return int(digest("shard", [dict(message) for message in messages])[:15], 16)
