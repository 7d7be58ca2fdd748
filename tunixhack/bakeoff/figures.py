"""Figures of a teacher, read from a run: speed, lengths, shares, and the cost and time of a whole dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tunixhack._util.proportions import Share
from tunixhack._util.wording import reason_of
from tunixhack.pipeline.cost_forecast import add_up, estimate_remaining
from tunixhack.pipeline.estimate import questions_and_probes
from tunixhack.recipe import Recipe
from tunixhack.runs.funnel import count_tokens
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.teachers.prices import Price
from tunixhack.teachers.reference import REFERENCE
from tunixhack.teachers.registry.address import public_name
from tunixhack.tokenizers import student_counter

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one teacher with one prompt; None is unknown."""

    questions: frozenset[str] = field(repr=False)
    """Ids of the questions that it was asked."""
    answers: int
    """Number of answers received, to which the shares refer; missing answers count nowhere."""
    parsed: Share | None
    """Share of the answers in which trace and answer could be read; None where the recipe has no step `Parse`."""
    right: Share
    """Share of right answers, of those whose reference can be compared; what does not parse is not right."""
    kept: Share
    """Share of the answers that no step dropped."""
    reasons: dict[str, int]
    """Number of dropped answers by step and reason, most frequent first."""
    trace_lengths: tuple[int, ...] = field(repr=False)
    """Lengths of the traces that could be read."""
    answer_lengths: tuple[int, ...] = field(repr=False)
    """Lengths of the answers that could be read."""
    tokens_per_second: float | None
    """Completion tokens a second, with as many requests in flight as a build has."""
    at_least: bool
    """True if the server reported less than all of its tokens."""
    dollars: float | None
    """Cost of the whole dataset in dollars."""
    hours: float | None
    """Time of the whole dataset in hours."""
    rank_surprisal: float | None = None
    """Rank-surprisal ratio of the answers that were kept under the student."""


def measure(run: Run, recipe: Recipe, teacher: str, rows: int) -> Figures:
    """Read a run that is finished, or was at least written.

    Args:
        run: of the bake-off.
        recipe: as a build of the whole dataset would use it.
        teacher: as after ``--teacher``.
        rows: answers of the whole dataset.

    Raises:
        UserError: a file is missing or damaged.
    """
    kept, rejected = run.train, run.rejected.filter(pl.col("sample").is_not_null())
    unread = rejected.filter(pl.col("step") == "parse")
    columns = ["reasoning", "answer"]
    read = pl.concat([kept.select(columns), rejected.filter(pl.col("step") != "parse").select(columns)])
    answers = read.height + unread.height
    counted = rejected.group_by("step", "reason").len().sort("len", "step", "reason", descending=[True, False, False])
    named = {reason_of(step, reason): count for step, reason, count in counted.iter_rows()}
    count = student_counter(recipe.student) if recipe.student else _characters
    parses = any(isinstance(step, Parse) for step in recipe.steps)
    return Figures(
        questions=frozenset(run.questions.filter("selected")["question_id"]),
        answers=answers,
        parsed=Share(read.height, answers) if parses else None,
        right=_right(run.state().get("right")),
        kept=Share(kept.height, answers),
        reasons=named,
        trace_lengths=tuple(count(read["reasoning"].drop_nulls().to_list())),
        answer_lengths=tuple(count(read["answer"].drop_nulls().to_list())),
        **_speed_and_price(run, recipe, teacher, rows),
    )


def quantiles(lengths: Sequence[int]) -> dict[str, float] | None:
    """Return the `QUANTILES` of lengths by their names; None of nothing.

    >>> quantiles([10, 20, 30])
    {'10%': 12.0, '25%': 15.0, '50%': 20.0, '75%': 25.0, '90%': 28.0}
    """
    if not lengths:
        return None
    found = pl.Series(lengths, dtype=pl.Float64)
    return {f"{share:.0%}": round(float(found.quantile(share, "linear") or 0.0), 1) for share in QUANTILES}


def _characters(answer_lengths: Sequence[str]) -> list[int]:
    return [len(text) for text in answer_lengths]


def _right(found: dict[str, Any] | None) -> Share:
    """Return the share of right answers among all that were received, as the build has counted it."""
    return Share(found["received"]["count"], found["received"]["of"]) if found else Share(0, 0)


def _speed_and_price(run: Run, recipe: Recipe, teacher: str, rows: int) -> dict[str, Any]:
    if teacher == REFERENCE:  # no model is asked
        return {"tokens_per_second": None, "at_least": False, "dollars": 0.0, "hours": 0.0}
    name = public_name(teacher)
    known = run.state()["teachers"][name]
    seconds, _ = known.get("pace", {}).get("sample", (None, 0))
    price = Price(*known["price"]) if known["price"] else None
    received = run.store.answers().filter(step="sample", teacher=name)
    tokens = count_tokens(received)
    questions, probes = questions_and_probes(recipe, rows)
    coming = add_up(
        [
            # one by one: how many choices a request of the whole will have is known only where the server is reached
            estimate_remaining(step, count, received, block=1, price=price, seconds_an_answer=seconds)
            for step, count in (("sample", questions * recipe.samples), ("probes", probes))
        ]
    )
    each = None if tokens["completion_tokens"] is None else tokens["completion_tokens"] / received.height
    return {
        "tokens_per_second": each / seconds if each is not None and seconds else None,
        "at_least": tokens["at_least"],
        "dollars": coming.dollars,
        "hours": None if coming.seconds is None else coming.seconds / 3600,
    }
