"""The random choice: exact, nested, whatever the order, and apart from the rank that makes the candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build
from tunixhack import Context, LengthFilter, Parse, Random, Sample
from tunixhack._util.ids import rank
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.steps.base import candidates_needed
from tunixhack.testing import ScriptedTeacher

IDS = sorted((f"{at:016x}" for at in range(60)), key=lambda one: rank(0, one))


def kept(quota: int, keep: float = 0.5, **step: Any) -> list[str]:
    rows = pl.DataFrame({"question_id": IDS[: candidates_needed(quota, keep)]})
    return rows.filter(Random(keep=keep, **step)(rows, Context(quota=quota)).keep)["question_id"].to_list()


@given(st.sampled_from([0.5, 0.25, 1 / 3, 0.9, 1.0]), st.integers(0, 3))
def test_smaller_choices_are_part_of_larger_ones(keep: float, seed: int) -> None:
    before: set[str] = set()
    quota = 0
    while candidates_needed(quota + 1, keep) <= len(IDS):
        quota += 1
        chosen = kept(quota, keep, seed=seed)
        assert len(chosen) == quota
        assert before < set(chosen)
        before = set(chosen)


def test_the_order_of_the_rows_does_not_matter_and_the_seeds_do() -> None:
    rows = pl.DataFrame({"question_id": IDS})

    def chosen(table: pl.DataFrame, run: int = 0, own: int = 0) -> set[str]:
        return set(table.filter(Random(seed=own)(table, Context(seed=run)).keep)["question_id"])

    assert chosen(rows) == chosen(rows.reverse()) == chosen(rows.sort("question_id"))
    assert len({frozenset(chosen(rows, run, own)) for run in (0, 1) for own in (0, 1)}) == 4


def test_it_does_not_just_take_the_first_by_rank() -> None:
    chosen = {IDS.index(one) for one in kept(30)}
    first = len(chosen & set(range(30)))
    assert 10 <= first <= 20, "about half of the first half, not all and not none of it"


def test_an_ablation_chooses_from_the_candidates_of_the_length_filter(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    filters = {"drawn": Random(keep=0.5), "longest": LengthFilter(keep=0.5)}
    runs = {
        name: build(recipe.replace(steps=(one, Sample(), Parse()), samples=1), teacher, tmp_path / name)
        for name, one in filters.items()
    }
    looked_at = [
        {*run.train["question_id"], *run.rejected.filter(step=step)["question_id"]}
        for run, step in ((runs["drawn"], "random"), (runs["longest"], "length_filter"))
    ]
    assert looked_at[0] == looked_at[1]
    assert len(looked_at[0]) == 12
    assert set(runs["drawn"].rejected["reason"]) == {"not_drawn"}
    assert asked(teacher) == 6 + (12 + 6)


def test_a_share_must_be_one() -> None:
    for keep in (0, -1, 1.5):
        with pytest.raises(UserError, match="over 0 and at most 1"):
            Random(keep=keep)
