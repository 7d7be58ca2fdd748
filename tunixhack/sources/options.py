"""Options of multiple-choice questions, of sources with the right answer and wrong ones in columns of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunixhack._util.ids import digest, question_id
from tunixhack.sources.mapping import Column
from tunixhack.sources.source import Source

LETTERS = "ABCDEFGHIJ"
"""Those that `tunixhack.verifiers.choice` reads."""


@dataclass(frozen=True)
class Options:
    """The columns of a source that hold a question and its options, and what a recipe shows of them.

    The methods that take a row take one of the source, and can stand among the columns of a
    `tunixhack.sources.source.Source`.

    >>> row = {"question": "What do plants take in?", "right": "carbon dioxide", "wrong": "neon"}
    >>> options = Options("science", right="right", wrong=("wrong",))
    >>> print(options.with_question(row))
    What do plants take in?
    A) carbon dioxide
    B) neon
    >>> options.right_option(row), options.distractors(row)
    ('A) carbon dioxide', {'distractors': ['neon']})
    """

    domain: str
    """Goes into the id of the plain question, which decides the order of its options."""
    right: str
    """The column of the right answer."""
    wrong: Sequence[str]
    """The columns of the wrong answers, the distractors."""
    question: str = "question"
    """The column of the question, without options."""
    stripped: bool = False
    """Leave out the white space around the question and each option."""

    def hidden(self, **others: Column) -> dict[str, Column]:
        """Return the columns of a recipe that asks the plain question and keeps the distractors in ``inputs``.

        Args:
            others: more of our columns, such as ``support="support"``.
        """
        columns: dict[str, Column] = {"question": self.question, "reference": self.right, "inputs": self.distractors}
        return columns | others

    def shown_by(self, source: Source) -> Source:
        """Return a source whose questions list the options, and whose references are the right one with its letter."""
        shown = {"question": self.with_question, "reference": self.right_option, "inputs": self.listed}
        return replace(source, columns={**source.columns, **shown})

    def by_letter(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return right and wrong answers by letter, in an order that only the question's id decides.

        A distractor that repeats another option is left out. The order is the same on every machine and in every run,
        and says nothing about which option is right.
        """
        plain = question_id(self.domain, self._text(row, self.question))
        different = {self._text(row, name) for name in (self.right, *self.wrong)}
        return dict(zip(LETTERS, sorted(different, key=lambda option: digest(plain, option)), strict=False))

    def with_question(self, row: Mapping[str, Any]) -> str:
        """Return the question with a line for each option."""
        lines = (f"{letter}) {option}" for letter, option in self.by_letter(row).items())
        return "\n".join([self._text(row, self.question), *lines])

    def right_option(self, row: Mapping[str, Any]) -> str:
        """Return the right option with its letter."""
        right = self._text(row, self.right)
        return next(f"{letter}) {option}" for letter, option in self.by_letter(row).items() if option == right)

    def distractors(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the wrong answers, for ``inputs``."""
        return {"distractors": [self._text(row, name) for name in self.wrong]}

    def listed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the wrong answers, and all options by letter, for ``inputs``."""
        return self.distractors(row) | {"options": self.by_letter(row)}

    def _text(self, row: Mapping[str, Any], name: str) -> Any:
        return row[name].strip() if self.stripped else row[name]
