"""The exact test of a paired difference."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunixhack.evaluate.statistics import sign_flips
from tunixhack.evaluate.statistics.sign_flips import sign_flip_p

quarters = st.lists(st.integers(-4, 4).map(lambda size: size / 4), min_size=1, max_size=10)


def by_every_flip(sums) -> float:
    flips = np.array(list(itertools.product([1, -1], repeat=len(sums))))
    return float((np.abs(flips @ np.array(sums)) >= abs(sum(sums)) - 1e-9).mean())


@given(quarters)
def test_it_counts_every_flip(differences):
    assert sign_flip_p(differences) == pytest.approx(by_every_flip(differences))


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 50))
def test_one_sample_a_question_is_mcnemars_exact_test(won, lost, alike):
    if won + lost + alike:
        expected = stats.binomtest(won, won + lost).pvalue if won + lost else 1
        assert sign_flip_p([1] * won + [-1] * lost + [0] * alike) == pytest.approx(expected, rel=1e-9)


@given(quarters, st.randoms())
def test_order_sign_and_unit_are_nothing(differences, random):
    p = sign_flip_p(differences)
    assert sign_flip_p(random.sample(differences, len(differences))) == pytest.approx(p)
    assert sign_flip_p([-size for size in differences]) == pytest.approx(p)
    assert sign_flip_p([size / 3 for size in differences]) == pytest.approx(p)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_clusters_are_flipped_as_a_whole(rows):
    sums = [sum(size for size, of in rows if of == cluster) for cluster in range(5)]
    found = sign_flip_p([size for size, _ in rows], clusters=[of for _, of in rows])
    assert found == pytest.approx(by_every_flip(sums))


def test_draws_come_near_what_is_exact(monkeypatch):
    differences = np.random.default_rng(3).integers(-4, 6, 40) / 4
    exact = sign_flip_p(differences)
    monkeypatch.setattr(sign_flips, "MOST_SUMS", 1)
    drawn = sign_flip_p(differences)
    assert drawn == pytest.approx(exact, abs=0.005)
    assert drawn == sign_flip_p(differences)
    assert drawn != sign_flip_p(differences, seed=1)


@pytest.mark.parametrize("differences", [
    np.random.default_rng(0).normal(0.1, 1, 1500), np.random.default_rng(0).integers(-15, 17, 5000) / 16,
    np.repeat(np.random.default_rng(0).normal(0.1, 1, 60), 2),
])  # fmt: skip
def test_draws_come_near_the_normal_of_many_questions(differences):
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    assert sign_flip_p(differences) == pytest.approx(2 * stats.norm.sf(z), abs=0.01)


def test_thirds_of_many_questions_are_as_far_as_they_are():
    # 1/3 and 2/3 sum up with errors that grow with the questions; whole numbers do not
    thirds = np.repeat([1, 2, -1, -2], [2100, 1500, 2000, 1480])
    assert sign_flip_p(thirds / 3) == sign_flip_p(thirds)


def test_draws_are_never_quite_certain():
    differences = np.random.default_rng(1).uniform(0.5, 1, 100)
    assert sign_flip_p(differences) == 1 / (sign_flips.DRAWS + 1)


def test_equal_arms_are_rarely_surprising():
    draws = np.random.default_rng(2)
    found = [sign_flip_p(draws.integers(-3, 4, 50) / 3) for _ in range(400)]
    assert np.mean(np.array(found) <= 0.05) <= 0.08


def test_no_question_is_an_error():
    with pytest.raises(ValueError, match="one number a question"):
        sign_flip_p([])
