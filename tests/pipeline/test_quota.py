"""Exactly N questions, or an error before anything is paid (contract 8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.pipeline.quota import choose


class Keep:
    def __init__(self, share: float, name: str = "keep"):
        self.share, self.name = share, name


def test_without_a_selecting_step_as_many_candidates_as_questions_are_taken():
    assert choose(100, 30, []) == (30, {})


def test_two_selecting_steps_multiply_what_is_needed():
    assert choose(100, 5, [Keep(0.5, "first"), Keep(0.25, "last")]) == (40, {"first": 20, "last": 5})


def test_too_few_candidates_are_told_with_the_most_that_is_possible():
    with pytest.raises(UserError, match=r"30 questions need 60 candidates \(keep keeps 0.5 of them\).* at most 25"):
        choose(50, 30, [Keep(0.5)])


def test_no_candidates_at_all():
    with pytest.raises(UserError, match="add questions"):
        choose(0, None, [])


@given(st.integers(1, 5000), st.lists(st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.9]), max_size=3))
def test_taking_all_uses_no_more_than_there_is_and_one_more_would(available: int, shares: list[float]):
    steps = [Keep(share, str(at)) for at, share in enumerate(shares)]
    try:
        pool, quotas = choose(available, None, steps)
    except UserError:
        return
    assert pool <= available
    wanted = quotas[str(len(shares) - 1)] if shares else pool
    assert choose(available, wanted, steps) == (pool, quotas)
    with pytest.raises(UserError):
        choose(available, wanted + 1, steps)
