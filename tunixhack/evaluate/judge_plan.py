"""What a judge will be asked, and what it could tell, before anything is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.evaluate.judge import STEP
from tunixhack.evaluate.judged import criteria_of, judges
from tunixhack.evaluate.preferences import HALF
from tunixhack.evaluate.setup import Setup
from tunixhack.evaluate.statistics.intervals import WIN, interval
from tunixhack.evaluate.statistics.power import POWER, detectable_by, shared_level
from tunixhack.evaluate.task import Task, TaskQuestions
from tunixhack.formats import user_message
from tunixhack.judging.pairs import Pair
from tunixhack.pipeline.estimate import PROMPTS, price_of
from tunixhack.runs.state import STATE
from tunixhack.steps.request_forecast import tokens_of

ANSWER_TOKENS, REPLY_TOKENS = 300, 60
"""Tokens of an answer without its trace, and of a judge's reply, that are assumed."""
ORDERS = 2


@dataclass(frozen=True, kw_only=True)
class JudgePlan:
    """What the judge of one task will take, and what it could tell."""

    task: str
    judge: str
    requests: int
    """Of all pairs of arms; fewer where answers are equal or not whole."""
    stored: int
    """Replies of the judge that are there, to whichever pairs."""
    hours: float | None
    """None where no reply was timed yet."""
    dollars: float | None
    """None where the price is unknown."""
    detectable: float | None
    """The smallest share of wins that 80 % of such comparisons tell, if a third of the pairs are draws."""

    def lines(self) -> list[str]:
        """Say it in lines."""
        stored = f" ({self.stored:,} replies are stored)" if self.stored else ""
        requests = f"at most {counted(self.requests, 'request')}, each pair in both orders{stored}"
        hours = (
            "time unknown before some replies were timed" if self.hours is None else f"about {self.hours:,.1f} hours"
        )
        dollars = "price unknown" if self.dollars is None else f"about ${self.dollars:,.2f}"
        told = "no preference" if self.detectable is None else f"{100 * self.detectable:.0f} % of wins"
        return [
            f"  {self.judge} as the judge: {requests}, {hours}, {dollars}",
            f"  {100 * POWER:.0f} % of such comparisons tell {told}",
        ]


def judge_plans(setup: Setup, folder: Path, command: str | None = None) -> tuple[JudgePlan, ...]:
    """Return a plan for each task; none where no judge is named."""
    found = []
    for name, judge in judges(setup, folder, command).items():
        chosen, others = setup.questions[name], len(setup.arms) - 1
        asked = chosen.rows.height * judge.order.samples * others
        stored, seconds = 0, None
        if (judge.run.folder / STATE).exists():
            stored = judge.run.store.keys("step").filter(step=STEP).height
            pace = judge.run.state().get("teachers", {}).get(judge.label, {}).get("pace", {})
            seconds = pace.get(STEP, (None, 0))[0]
        missing = max(0, ORDERS * asked - stored)
        found.append(
            JudgePlan(
                task=name,
                judge=judge.label,
                requests=ORDERS * asked,
                stored=stored,
                hours=None if seconds is None else missing * seconds / 3600,
                dollars=_dollars(judge.spec, judge.task, chosen, missing),
                detectable=detectable_preference(chosen.rows.height, others),
            )
        )
    return tuple(found)


def detectable_preference(questions: int, comparisons: int = 1) -> float | None:
    """Return the smallest share of wins that 80 % of comparisons of so many questions tell; None where they tell none.

    Args:
        questions: one pair of each, of which a third are taken to be draws.
        comparisons: arms that are compared with the baseline, which share the 5 %.

    >>> round(detectable_preference(300), 3), detectable_preference(2)
    (0.567, None)
    """
    if questions < ORDERS:
        return None
    drawn = interval(np.resize([WIN[0], 0.0, WIN[1]], questions), bounds=WIN, level=shared_level(comparisons))
    size = detectable_by(drawn)
    return None if size is None else size + HALF


def _dollars(spec: str, task: Task, chosen: TaskQuestions, requests: int) -> float | None:
    """Return what so many requests cost by a price list and rough guesses of how long answers are."""
    try:
        price = price_of(spec)
    except UserError:  # a server by its address has no price
        return None
    if price is None:
        return None
    rows = chosen.rows.head(PROMPTS).iter_rows(named=True)
    asked = [Pair(user_message(row["question"], row.get("context")), "", "") for row in rows]
    criteria = criteria_of(task)
    prompts = ["".join(one["content"] for one in pair.messages(criteria, one_first=True)) for pair in asked]
    return price.of(requests * (tokens_of(prompts) + 2 * ANSWER_TOKENS), requests * REPLY_TOKENS)
