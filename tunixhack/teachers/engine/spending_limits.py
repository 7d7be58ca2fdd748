"""Spending limits of a build: dollars over all its starts, hours of this one. It stops on whole questions.

No question is begun that would go over a limit; those that were begun are finished, so that what is paid for can be
used. Hence more than the hours can pass, by what one question takes, and the dollars are kept as far as the
answers so far show what the next ones cost.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from tunixhack._util.wording import counted, verb
from tunixhack.errors import LimitReached, UserError
from tunixhack.teachers.prices import Price, dollars

RESERVE = 1.1
"""Factor by which the proposed budget exceeds what the answers so far let expect."""


@dataclass
class SpendingLimits:
    """The limits of a build, and what it has spent.

    Args:
        budget: dollars, over every start of the run; None for no limit.
        hours: of this start; None for no limit.

    Raises:
        UserError: one of them is not a number over 0.
    """

    budget: float | None = None
    hours: float | None = None
    spent: float = 0.0
    """Dollars for all answers received, over every start."""
    listed: float = 0.0
    """Dollars that they would have cost one by one."""
    share: float = 1.0
    """Share of the listed price that the answers to come will cost: half in batches."""
    answers: int = 0
    """The number of answers received."""
    reached: str | None = None
    """The limit that was reached, as the beginning of a sentence; None while none is."""
    out_of_budget: bool = False
    missing: int = 0
    """Number of answers that the step lacked at which the limit was reached."""
    begun: frozenset[str] = frozenset()
    """Questions of which the pilot asked a part: they are finished like all that are begun."""
    started: float = field(default_factory=lambda: time.monotonic())

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, value in (("budget", self.budget), ("hours", self.hours)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and math.isfinite(value) and value > 0):
                raise UserError(f"{name}={value!r} must be a number over 0")

    @property
    def dollars_per_answer(self) -> float:
        """Dollars that an answer to come will cost, by those so far; 0 before the first."""
        return self.share * self.listed / self.answers if self.answers else 0.0

    def charge(self, dollars: float, answers: int, listed: float | None = None) -> None:
        """Note received answers; ``listed`` is what they would have cost one by one, where that differs."""
        self.spent += dollars
        self.listed += dollars if listed is None else listed
        self.answers += answers

    def charge_stored(
        self,
        paid: Callable[[], Iterable[pl.DataFrame]],
        prices: Mapping[str, Price | None],
        warn: Callable[[str], None],
    ) -> None:
        """Note answers that were paid for before; says whose cost is unknown.

        Args:
            paid: yields stored answers, with ``teacher`` and ``usage``, part by part, every time from the beginning.
            prices: of the teachers, by name.
            warn: takes a sentence.
        """
        counts = Counter[str]()
        for rows in paid():
            counts.update(dict(rows["teacher"].value_counts().iter_rows()))
        for teacher, count in counts.items():

            def own(name: str = teacher) -> Iterator[pl.DataFrame]:
                return (rows.filter(pl.col("teacher").eq_missing(name)) for rows in paid())

            cost = dollars(own(), prices)
            if cost is None:
                warn(f"what the {counted(count, 'answer')} of {teacher} cost is unknown: not in the budget")
            else:
                self.charge(cost, count, dollars(own(), prices, listed=True))

    def out_of_time(self) -> bool:
        """Return whether the hours are over."""
        if self.reached is None and self.hours is not None and time.monotonic() - self.started >= 3600 * self.hours:
            self.reached = f"the {self.hours:g} hours are over"
        return self.reached is not None and not self.out_of_budget

    def exceeded(self, coming: int = 0) -> bool:
        """Return whether no new question may be begun; once true, it stays true.

        Args:
            coming: answers that are under way, or would be.
        """
        self.out_of_time()
        if self.reached is None and self.budget is not None and self._exceeds_budget(self.budget, coming):
            self.out_of_budget = True
            self.reached = f"the budget of ${self.budget:,.2f} is used up (${self.spent:,.2f} spent)"
        return self.reached is not None

    def _exceeds_budget(self, budget: float, coming: int) -> bool:
        return self.spent >= budget or self.spent + self.dollars_per_answer * coming > budget

    def left_out(self, step: str, missing: int) -> LimitReached:
        """Return the error that so many answers, without which a step judges nothing, were not asked for."""
        self.missing = missing
        answers, were = counted(missing, "answer"), verb(missing, "was", "were")
        return LimitReached(
            f"{self.reached}: {answers} of step {step} {were} not asked for, without which nothing is judged; those "
            "received are kept"
        )

    def proposed_budget(self) -> float | None:
        """Return the budget that the missing answers need, estimated from the cost of the others, with a reserve."""
        if self.budget is None or not self.out_of_budget:
            return self.budget
        needed = (self.spent + self.dollars_per_answer * self.missing) * RESERVE
        return math.ceil(max(needed, self.budget * RESERVE) * 100) / 100


class Admission:
    """Decides which requests of one call are sent: all of a question that was begun, no new question after a limit.

    Args:
        limits: of the build.
        sizes: how many answers each question still needs.
        under_way: questions whose answers are on their way already.
    """

    def __init__(self, limits: SpendingLimits, sizes: Mapping[str, int], under_way: Iterable[str] = ()) -> None:
        self._limits, self._sizes = limits, sizes
        self._begun = set(limits.begun.union(under_way) & sizes.keys())
        self._under_way = sum(sizes[question] for question in self._begun)

    def admits(self, question: str) -> bool:
        """Return whether a request of a question is to be sent; begins the question if so."""
        if question in self._begun:
            return True
        size = self._sizes[question]
        if self._limits.exceeded(self._under_way + size):
            return False
        self._begun.add(question)
        self._under_way += size
        return True

    def received(self, dollars: float, answers: int, listed: float | None = None) -> None:
        """Note answers that came; see `SpendingLimits.charge`."""
        self._under_way = max(0, self._under_way - answers)
        self._limits.charge(dollars, answers, listed)

    def left_out(self, question: str) -> bool:
        """Return whether a question is not to be asked any more."""
        return self._limits.reached is not None and question not in self._begun
