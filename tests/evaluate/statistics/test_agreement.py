"""Agreement and correlation: what they are of tables worked by hand, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.evaluate.statistics.agreement import FEWEST, Coefficient, correlation, weighted_kappa

GRADES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=40)


def textbook(first: list[int], second: list[int]) -> float | None:
    """Cohen's kappa with quadratic weights, out of the table of pairs of grades (1968)."""
    table = np.zeros((5, 5))
    for one, other in zip(first, second, strict=True):
        table[one - 1, other - 1] += 1
    table /= table.sum()
    weights = (np.arange(5)[:, None] - np.arange(5)) ** 2
    chance = (weights * np.outer(table.sum(axis=1), table.sum(axis=0))).sum()
    return None if chance < 1e-12 else float(1 - (weights * table).sum() / chance)


@given(GRADES)
def test_kappa_is_that_of_the_table_of_grades(pairs: list[tuple[int, int]]):
    first, second = ([pair[at] for pair in pairs] for at in (0, 1))
    found = weighted_kappa(first, second, range(len(pairs)))
    assert found.value == pytest.approx(textbook(first, second), abs=1e-9)
    assert weighted_kappa(second, first, range(len(pairs))).value == pytest.approx(found.value, abs=1e-9)


def test_grades_that_are_all_equal_have_no_kappa_and_equal_gradings_no_interval():
    assert str(weighted_kappa([3] * 30, [3] * 30, range(30))) == "unknown"
    same = weighted_kappa([1, 2, 3] * 10, [1, 2, 3] * 10, range(30))
    assert (same.value, same.low, same.sign) == (1, None, 0)


def test_fewer_questions_than_were_tried_have_no_interval():
    luck = np.random.default_rng(0)
    for count, there in ((FEWEST - 1, False), (FEWEST, True)):
        found = weighted_kappa(luck.integers(1, 6, count), luck.integers(1, 6, count), range(count))
        assert (found.low is not None) == there


@given(st.randoms())
def test_the_order_of_the_pairs_does_not_matter(luck: object):
    draws = np.random.default_rng(5)
    first, second, of = draws.integers(1, 6, 80), draws.integers(1, 6, 80), np.arange(80) // 4
    order = list(range(80))
    luck.shuffle(order)  # type: ignore[attr-defined]
    one, other = (weighted_kappa(first[at], second[at], of[at].tolist()) for at in (np.arange(80), np.array(order)))
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_a_question_that_differs_from_others_makes_no_correlation():
    """Long answers to some questions, and their better scores, are no taste of the judge's."""
    of = [question for question in range(30) for _ in range(2)]
    lengths = [100 * question + extra for question in range(30) for extra in (0, 1)]
    scores = [float(question) for question in range(30) for _ in range(2)]
    assert correlation(scores, lengths, of).value is None
    alone = correlation(scores[::2], lengths[::2], of[::2])
    assert alone.value == pytest.approx(1)


def noisy(draws: np.random.Generator, questions: int, noise: float) -> Coefficient:
    liking = draws.normal(0, 0.7, (questions, 1)) + draws.normal(0, 0.7, (questions, 4))
    one, other = (np.clip(np.rint(3 + liking + draws.normal(0, noise, liking.shape)), 1, 5).ravel() for _ in range(2))
    return weighted_kappa(one, other, np.repeat(np.arange(questions), 4).tolist())


@pytest.mark.parametrize("noise", [0.4, 1.6])
def test_the_interval_holds_the_truth(noise: float):
    true = noisy(np.random.default_rng(0), 20_000, noise).value
    assert true is not None
    draws = np.random.default_rng(1)
    found = [noisy(draws, 30, noise) for _ in range(300)]
    held = sum(one.low <= true <= one.high for one in found if one.low is not None and one.high is not None)
    assert held / len(found) >= 0.92


@pytest.mark.parametrize(("first", "second", "of"), [([], [], []), ([1], [1, 2], [1]), ([1.0], [float("nan")], [1])])
def test_what_cannot_be_paired_is_refused(first: list[float], second: list[float], of: list[int]):
    with pytest.raises(ValueError, match=r"number|paired|finite"):
        weighted_kappa(first, second, of)
