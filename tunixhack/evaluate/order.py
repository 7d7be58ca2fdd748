"""The options of an evaluation: what is asked, how often, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError

QUESTIONS = 300


@dataclass(frozen=True, kw_only=True)
class Order:
    """The options of an evaluation, whoever is asked; see `tunixhack.evaluate.runner.evaluate`."""

    questions: int = QUESTIONS
    samples: int = 1
    temperature: float = 0.0
    max_tokens: int | None = None
    seed: int = 0
    shard: tuple[int, int] | None = None
    reuse: tuple[Path, ...] = ()
    budget: float | None = None
    """Dollars that each teacher's replies to each task may cost, over every start."""
    ask_again: bool = False
    """Ask a teacher anew where its prompt or sampling has changed since replies were paid for."""
    accept_terms: bool = False
    cpu: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            UserError: a number is out of its range.
        """
        for name, value in (("questions", self.questions), ("samples", self.samples), ("max_tokens", self.max_tokens)):
            given: Any = value  # which is the user's, and need not keep to its type
            if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
                raise UserError(f"{name}={value!r}: give a whole number of at least 1")
        if self.budget is not None and not self.budget > 0:
            raise UserError(f"budget={self.budget}: it is dollars, more than 0")
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature={self.temperature}: it is 0 (the likeliest token each time) or more")
        if self.samples > 1 and self.temperature == 0:
            raise UserError(
                f"{self.samples} samples at temperature 0 are {self.samples} times the same reply: give a temperature, "
                "such as --temperature 0.7, or one sample"
            )

    @classmethod
    def read(cls, shard: str | None, reuse: str | Path | Sequence[str | Path], **options: Any) -> Order:
        """Read the options as a user gives them: a shard as ``2/8``, and folders with commas between.

        Raises:
            UserError: one of them makes no sense, or a folder is not there.
        """
        listed = reuse.split(",") if isinstance(reuse, str) else [reuse] if isinstance(reuse, Path) else list(reuse)
        folders = tuple(Path(one) for one in listed if str(one).strip())
        for folder in folders:
            if not folder.is_dir():
                raise UserError(f"there is no folder {folder}, whose replies --reuse would take over")
        return cls(shard=None if shard is None else _shard(shard), reuse=folders, **options)

    def as_dict(self) -> dict[str, Any]:
        """Return what the figures depend on, JSON-able."""
        return {
            "questions": self.questions,
            "samples": self.samples,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "shard": None if self.shard is None else "/".join(map(str, self.shard)),
        }


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UserError(f"--shard {text}: write which of how many parts, such as 2/8, from 1/8 to 8/8")
    return int(number), int(of)
