"""The cost of accepted answers: at the share that another run kept, and at most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack._util.proportions import Share
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.pipeline.accepted_cut import REASON
from tunixhack.pipeline.accepted_goal import goal_of, most_accepted
from tunixhack.pipeline.estimate import Estimate, estimate
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.runs.run import Run
from tunixhack.steps.sample import Sample


@dataclass(frozen=True, kw_only=True)
class AcceptedEstimate:
    """The cost of a build with ``accepted=N`` and ``ceiling=M``."""

    accepted: int
    at_most: Estimate
    """Of all questions that may be asked."""
    kept: Share | None = None
    """Answers that another run kept, of those that it received; None where none is named."""
    like: str | Path | None = None
    expected: tuple[Estimate, Estimate, Estimate] | None = None
    """At that share, and at the upper and the lower end of its interval of 95 %."""

    def lines(self) -> list[str]:
        """Say it for a terminal, a sentence each."""
        most = f"at most, {_cost(self.at_most)} (--ceiling)"
        if self.expected is None or self.kept is None:
            return [f"{most}; --like RUN tells what is to be expected", self._assumed]
        at, best, worst = self.expected
        low, high = self.kept.interval
        share = (
            f"{self.kept.count / self.kept.of:.0%} ({self.kept.count:,} of {self.kept.of:,}; {low:.0%} to {high:.0%})"
        )
        few = "" if self._enough else f"; that is too low for {self.accepted:,} answers from so many questions"
        return [
            f"{counted(self.accepted, 'accepted answer')} at the {share} that {self.like} kept: {_cost(at)} "
            f"({best.questions:,} to {worst.questions:,} questions, {_dollars(best)} to {_dollars(worst)}){few}",
            most,
            self._assumed,
        ]

    @property
    def _assumed(self) -> str:
        one = self.at_most
        tokens = f"{one.prompt_tokens:,} tokens a prompt and {one.answer_tokens:,} an answer"
        prices = "" if one.price is not None else f"; {one.teacher} is not in {one.prices_of}"
        return f"assumed: {tokens}, {one.assumed}{prices}"

    @property
    def _enough(self) -> bool:
        """Tell whether the ceiling gives what is wanted at the share that was seen."""
        return self.kept is None or (self.kept.value or 0) * self.at_most.answers >= self.accepted

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        found: dict[str, Any] = {"accepted": self.accepted, "at_most": self.at_most.as_dict(), "expected": None}
        if self.expected is None or self.kept is None:
            return found
        ends = {name: one.as_dict() for name, one in zip(("at_share", "best", "worst"), self.expected, strict=True)}
        kept = {"count": self.kept.count, "of": self.kept.of, "interval": list(self.kept.interval)}
        return found | {"expected": {"like": str(self.like), "kept": kept, "enough": self._enough} | ends}


def estimate_accepted(
    recipe: RecipeSpec, teacher: str, wanted: int, ceiling: int, *, like: str | Path | None = None, **assumed: Any
) -> AcceptedEstimate:
    """Estimate what so many accepted answers cost; nothing is asked.

    Args:
        recipe: with the samples and the steps.
        teacher: ``NAME/MODEL`` as after ``--teacher``, or ``local``.
        wanted: answers that are to be accepted.
        ceiling: questions that are asked at most.
        like: a run, or its pilot or preview, whose tables tell which share of the answers is kept; answers of one
            question resemble one another, so that the true range is wider than the interval.
        assumed: more of what `tunixhack.pipeline.estimate.estimate` takes.

    Raises:
        UserError: the ceiling cannot give what is wanted, or the run has no answers.
    """
    for name, number in (("accepted", wanted), ("ceiling", ceiling)):
        if number < 1:
            raise UserError(f"{name}={number}: ask for at least one")
    at = next(at for at, step in enumerate(recipe.steps) if isinstance(step, Sample))
    goal = goal_of(wanted, ceiling, most_accepted(recipe.steps[at + 1 :], recipe.samples), ceiling)

    def cost(questions: int) -> Estimate:
        return estimate(recipe, teacher, questions, like=like, **assumed)

    at_most = cost(ceiling)
    if like is None:
        return AcceptedEstimate(accepted=wanted, at_most=at_most)
    run = Run.load(like)
    kept, like = _kept(run), run.place
    low, high = kept.interval
    at_share, best, worst = (cost(goal.expected(share * recipe.samples)) for share in (kept.value or 0.0, high, low))
    return AcceptedEstimate(accepted=wanted, at_most=at_most, kept=kept, like=like, expected=(at_share, best, worst))


def _kept(run: Run) -> Share:
    """Count the answers that a run kept, those among them that were more than it wanted, and all that it received."""
    kept = [part.height for part in run.latest_parts("train", ["sample"])]
    dropped = [
        part.drop_nulls("sample")["reason"] == REASON for part in run.latest_parts("rejected", ["sample", "reason"])
    ]
    if kept and dropped:
        wanted = sum(kept)
        share = Share(wanted + sum(int(one.sum()) for one in dropped), wanted + sum(map(len, dropped)))
        if share.of:
            return share
    raise UserError(f"{run.place} has no answers that steps have judged: leave --like out, or name another run")


def _cost(one: Estimate) -> str:
    return f"{counted(one.questions, 'question')} with {counted(one.requests, 'request')}, {_dollars(one)}"


def _dollars(one: Estimate) -> str:
    return "price unknown" if one.dollars is None else f"${one.dollars:,.2f}"
