"""The gradings of answers: who grades, in which order of the criteria, and what became of each answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunixhack._util.ids import rank
from tunixhack.formats import user_message
from tunixhack.judging.grading import HIGHEST, LOWEST, Grade, grading_messages, grading_schema, read_grades
from tunixhack.judging.written_criteria import SCHEMA, criteria_messages, read_criteria
from tunixhack.steps.base import Context
from tunixhack.steps.model_replies import reply_text
from tunixhack.steps.request import Request

TRIES = 2
"""How often a grading, or criteria, are asked for: once more, with another seed, where nothing could be read."""
PASSES = 2
"""The most passes of one judge, so that no try of one pass has the seed of the other."""
SHOWN = 80
"""Characters of a reply that could not be read which are shown."""


@dataclass(frozen=True)
class Rater:
    """One grading of an answer: by whom, and how many times before."""

    teacher: str | None
    number: int

    @property
    def place(self) -> tuple[bool, str, int]:
        """The place among other gradings, the run's teacher first."""
        return self.teacher is not None, self.teacher or "", self.number

    def order(self, question: str, criteria: Sequence[str]) -> list[int]:
        """Return the order in which the criteria are shown: as they are, and another one in a second pass.

        >>> Rater(None, 0).order("00ff", ["a", "b"]), Rater(None, 1).order("00ff", ["a", "b"])
        ([0, 1], [1, 0])
        """
        usual = list(range(len(criteria)))
        if not self.number:
            return usual
        shuffled = sorted(usual, key=lambda at: rank(self.number, f"{question} {criteria[at]}"))
        return shuffled[::-1] if shuffled == usual else shuffled


@dataclass
class Graded:
    """An answer, and its gradings."""

    criteria: tuple[str, ...]
    gradings: dict[Rater, list[Grade]] = field(default_factory=dict)
    """Those that could be read, in the order of the criteria."""
    missing: int = 0
    """Gradings that were not received."""
    refused: str | None = None
    """What the judge's server said where it does not take the question."""
    said: str = ""
    """The beginning of a reply that could not be read."""

    @property
    def score(self) -> float | None:
        """The mean of all grades; None where there is none."""
        means = [sum(one.grade for one in grades) / len(grades) for grades in self.gradings.values()]
        return sum(means) / len(means) if means else None

    @property
    def agreement(self) -> float | None:
        """1 less the mean distance of the first two gradings, over the largest there can be; None of fewer."""
        if len(self.gradings) < PASSES:
            return None
        first, second, *_ = self.gradings.values()
        apart = [abs(one.grade - other.grade) for one, other in zip(first, second, strict=True)]
        return 1 - sum(apart) / len(apart) / (HIGHEST - LOWEST)

    def as_json(self) -> str | None:
        """Return the grades and reasons by criterion; None where there are none."""
        if not self.gradings:
            return None
        told = [
            {
                "criterion": criterion,
                "grades": [grades[at].grade for grades in self.gradings.values()],
                "reasons": [grades[at].reason for grades in self.gradings.values()],
            }
            for at, criterion in enumerate(self.criteria)
        ]
        return json.dumps(told, ensure_ascii=False)

    def evidence(self) -> dict[str, Any]:
        """Return what a rejected row keeps: the score and grades, or why there are none."""
        if self.refused is not None:
            return {"why": self.refused}
        if not self.gradings:
            return {"said": self.said}
        grades = [[one.grade for one in grading] for grading in self.gradings.values()]
        return {"score": self.score, "grades": grades}


def grade_answers(
    rows: Sequence[Mapping[str, Any]],
    criteria: Mapping[str, tuple[str, ...]],
    raters: Sequence[Rater],
    ctx: Context,
) -> list[Graded]:
    """Have answers graded by all raters; a reply that cannot be read is asked for once more, with another seed.

    Args:
        rows: with ``question_id``, ``sample``, ``question``, ``context`` and ``answer``.
        criteria: of each question.
        raters: the gradings of each answer.
        ctx: by which it is asked.

    Returns:
        What became of each answer, in the order of the rows.
    """
    found = [Graded(criteria[row["question_id"]]) for row in rows]
    for rater in raters:
        wanted = list(range(len(rows)))
        for number in range(TRIES):
            requests = [_request(rows[at], found[at].criteria, rater, number) for at in wanted]
            if not requests:
                break
            replies = ctx.ask(requests, teacher=rater.teacher).unique("request", keep="first", maintain_order=True)
            received = dict(replies.select("request", "choice").iter_rows())
            for place, at in enumerate(wanted):
                if place not in received:
                    found[at].missing += 1
                    continue
                _take(found[at], rows[at]["question_id"], rater, received[place])
            wanted = [at for place, at in enumerate(wanted) if place in received and rater not in found[at].gradings]
    declined = ctx.declined()
    for row, one in zip(rows, found, strict=True):
        if one.missing:
            one.refused = declined.get(row["question_id"])
    return found


def write_criteria(
    questions: Mapping[str, Mapping[str, Any]], general: tuple[str, ...], teacher: str | None, ctx: Context
) -> dict[str, tuple[str, ...]]:
    """Have a teacher write the criteria of each question; of one that writes nothing usable there are none.

    Args:
        questions: rows by question_id.
        general: the criteria of all of them.
        teacher: who writes; None for the run's teacher.
        ctx: by which it is asked.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number in range(TRIES):
        wanted = [name for name in questions if name not in found]
        requests = [
            Request(
                question_id=name,
                messages=criteria_messages(_asked(questions[name]), general),
                samples=(number,),
                schema=SCHEMA,
                thinking=False,
            )
            for name in wanted
        ]
        if not requests:
            break
        for place, choice in ctx.ask(requests, teacher=teacher).select("request", "choice").iter_rows():
            read = read_criteria(choice)
            if read is not None:
                found[wanted[place]] = read
    return found


def _request(row: Mapping[str, Any], criteria: Sequence[str], rater: Rater, number: int) -> Request:
    shown = [criteria[at] for at in rater.order(row["question_id"], criteria)]
    return Request(
        row=row,
        messages=grading_messages(_asked(row), row["answer"], shown),
        samples=(rater.number + PASSES * number,),
        schema=grading_schema(len(shown)),
        thinking=False,
    )


def _take(one: Graded, question: str, rater: Rater, choice: str | None) -> None:
    read = read_grades(choice, len(one.criteria))
    if read is None:
        one.said = one.said or (reply_text(choice) or "")[:SHOWN].encode(errors="replace").decode()
        return
    order = rater.order(question, one.criteria)
    one.gradings[rater] = [read[order.index(at)] for at in range(len(order))]


def _asked(row: Mapping[str, Any]) -> str:
    return user_message(row["question"], row.get("context"))
