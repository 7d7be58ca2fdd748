"""Whether an answer is right: by the task's own function, by the recipe's `Verify`, or by reading the reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from tunixhack.errors import TunixHackError, UserError
from tunixhack.recipe import Recipe
from tunixhack.steps.verify import Verify
from tunixhack.verifiers.choice import claimed_letter
from tunixhack.verifiers.math import reader
from tunixhack.verifiers.reference_match import LETTERS, PLAIN, Judgement, Pair, judge_answers
from tunixhack.verifiers.row_check import Row, RowCheck, Told

WRONG, UNREAD = "wrong", "unread"


class Score(NamedTuple):
    """The score of one answer."""

    right: float | None
    """1 is right and 0 is wrong; None where nothing could be read in the answer."""
    claim: str | None = None
    """What the answer claims, where the reader tells."""
    why: str | None = None
    """Why it is not right: ``wrong``, ``unread``, or what the scorer raised."""


@dataclass(frozen=True)
class Scorer:
    """A way to score the answers of a task."""

    name: str
    """What it is, with the version of what it reads by: two evaluations by different scorers do not compare."""
    score: Callable[[Sequence[Row]], list[Score]]

    def accepts_reference(self, rows: Sequence[Row]) -> list[bool]:
        """Tell of each question whether its own reference is right by this scorer."""
        known = [row | {"answer": row["reference"]} for row in map(dict, rows) if row.get("reference")]
        scores = iter(self.score(known))
        return [bool(row.get("reference")) and next(scores).right == 1 for row in rows]


def scorer_of(recipe: Recipe) -> Scorer:
    """Return how a recipe's answers are scored: by its ``score``, its `Verify`, or else by reading the reference."""
    if recipe.score is not None:
        return Scorer(_name(recipe.score), partial(_each, recipe.score))
    verify = next((step for step in recipe.steps if isinstance(step, Verify)), Verify())
    if verify.check is not None:
        return Scorer(_name(verify.check), partial(_each, verify.check))
    if verify.read is not None:
        return Scorer(_name(verify.read), partial(_by_claim, verify.read))
    return Scorer(f"reference ({reader() or 'math-verify is not installed'})", _by_reference)


def _unscored(rows: Sequence[Row]) -> list[Score]:
    return [Score(None) for _ in rows]


UNSCORED = Scorer("none: a judge compares the answers", _unscored)
"""The scorer of a task whose answers are compared by a judge instead."""


def _each(function: Callable[[Row], bool | float | None], rows: Sequence[Row]) -> list[Score]:
    if isinstance(function, RowCheck):
        return [_told(one) for one in function.judge(rows)]
    return [_one(function, row) for row in rows]


def _told(one: Told) -> Score:
    if one.right is None:
        return Score(None, None, one.why or UNREAD)
    return Score(float(one.right), None, None if one.right else WRONG)


def _call(function: Callable[..., Any], given: Any) -> tuple[Any, str | None]:
    """Call a function of the user's own, which can raise anything; returns its value, or what it raised."""
    try:
        return function(given), None
    except TunixHackError:
        raise
    except Exception as error:  # noqa: BLE001  # the answer counts as unread, and says why
        return None, f"the scorer raised {type(error).__name__}: {error}"[:200]


def _one(function: Callable[[Row], Any], row: Row) -> Score:
    told, raised = _call(function, row)
    if told is None:
        return Score(None, None, raised or UNREAD)
    try:
        right = float(told)
    except (TypeError, ValueError):
        right = -1.0
    if not 0 <= right <= 1:
        raise UserError(
            f"the scorer returned {told!r} for the question {row.get('question_id')}: it must return True, False, None "
            "or a share from 0 to 1"
        )
    return Score(right, None, None if right == 1 else WRONG)


def _by_claim(read: Callable[[str], Any], rows: Sequence[Row]) -> list[Score]:
    def one(row: Row) -> Score:
        claimed, raised = _call(read, row["answer"])
        if claimed is None:
            return Score(None, None, raised or UNREAD)
        right = claimed == _call(read, row["reference"])[0]
        return Score(float(right), str(claimed), None if right else WRONG)

    return [one(row) for row in rows]


def _by_reference(rows: Sequence[Row]) -> list[Score]:
    judged = judge_answers(Pair(row["reference"], row["answer"], row["question"]) for row in rows)
    return [_read(row["answer"], told) for row, told in zip(rows, judged, strict=True)]


def _read(answer: str, told: Judgement | None) -> Score:
    """Tell a wrong claim from an answer without one: no letter, or for a number no digit, that any reader finds."""
    if told is None:
        return Score(None, None, UNREAD)
    claim = claimed_letter(answer) if told.reader == LETTERS else None
    if told.right:
        return Score(1.0, claim)
    silent = claim is None if told.reader == LETTERS else told.reader == PLAIN and not re.search(r"\w", answer)
    return Score(None, None, UNREAD) if silent else Score(0.0, claim, WRONG)


def _name(function: Any) -> str:
    """Name a function by its module and its own name; an instance by its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
