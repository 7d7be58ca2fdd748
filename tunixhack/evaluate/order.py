"""The options of an evaluation: what is asked, how often, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from tunixhack._util.addresses import path_to_read
from tunixhack._util.parts import read_part
from tunixhack.errors import UserError
from tunixhack.teachers.registry.address import public_name

QUESTIONS = 300
PASSES_TEMPERATURE = 0.7
"""The temperature of a task that is asked several times by itself, which Evalchemy takes for all of its benchmarks."""


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
    given: frozenset[str] = frozenset()
    """Which of ``samples`` and ``temperature`` the user gave, so that they hold for tasks with passes of their own."""
    judge: str | None = None
    """Who compares the answers of two arms, as after ``--teacher``; None where they are scored by their references."""

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
        if self.samples > 1 and self.temperature == 0 and self.given != {"samples"}:
            raise UserError(_equal_replies(self.samples))

    def for_task(self, name: str, passes: int) -> Self:
        """Return the options of one task.

        What the user gave holds for every task. Else a task is asked as often as its passes say, at 0.7 where that is
        more than once and at 0 where it is once.

        Args:
            name: of the task.
            passes: replies to each question, where the user gave no number.

        Raises:
            UserError: it would be asked several times at temperature 0.

        >>> order = Order.read(None, (), samples=None, temperature=None)
        >>> [(one.samples, one.temperature) for one in (order.for_task("math", 1), order.for_task("aime24", 10))]
        [(1, 0.0), (10, 0.7)]
        """
        samples = self.samples if "samples" in self.given or passes == 1 else passes
        usual = PASSES_TEMPERATURE if passes > 1 and samples > 1 else self.temperature
        temperature = self.temperature if "temperature" in self.given else usual
        if samples > 1 and temperature == 0:
            raise UserError(f"{name}: {_equal_replies(samples)}")
        return replace(self, samples=samples, temperature=temperature, given=frozenset())

    @classmethod
    def read(cls, shard: str | None, reuse: str | Path | Sequence[str | Path], **options: Any) -> Order:
        """Read the options as a user gives them: a shard as ``2/8``, and folders with commas between.

        ``samples`` and ``temperature`` can be None: each task's own, else one reply at 0.

        Raises:
            UserError: one of them makes no sense, or a folder is not there.
        """
        listed = reuse.split(",") if isinstance(reuse, str) else [reuse] if isinstance(reuse, Path) else list(reuse)
        folders = tuple(Path(one) for one in listed if str(one).strip())
        for folder in folders:
            if not path_to_read(folder).is_dir():
                raise UserError(f"there is no folder {folder}, whose replies --reuse would take over")
        own = {name: options.pop(name) for name in ("samples", "temperature") if name in options}
        told = {name: value for name, value in own.items() if value is not None}
        return cls(
            shard=None if shard is None else read_part(shard), reuse=folders, given=frozenset(told), **told, **options
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what the figures depend on, JSON-able."""
        return {
            "questions": self.questions,
            "samples": self.samples,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "shard": None if self.shard is None else "/".join(map(str, self.shard)),
            "judge": None if self.judge is None else public_name(self.judge),
        }


def _equal_replies(samples: int) -> str:
    return (
        f"{samples} samples at temperature 0 are {samples} times the same reply: give a temperature, such as "
        "--temperature 0.7, or --samples 1"
    )
