"""What repeated trainings add to an interval."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.evaluate.statistics.intervals import DIFFERENCE, SHARE, interval
from tunixhack.evaluate.statistics.trainings import Spread, over_trainings, pooled_spread, training_error

NONE = Spread(variance=0.0, degrees=2)


def tables(trainings=3):
    rows = st.lists(st.integers(-4, 4).map(lambda size: size / 4), min_size=trainings, max_size=trainings)
    return st.lists(rows, min_size=2, max_size=30)


def test_the_spread_by_hand():
    # arms' squares 0.02² · 2 and 0.03² · 2 + 0, of one and two degrees
    found = pooled_spread([[0.50, 0.54], [0.10, 0.13, 0.16]])
    assert found.degrees == 3
    assert found.variance == pytest.approx((2 * 0.02**2 + 2 * 0.03**2) / 3)
    assert found.deviation == pytest.approx(math.sqrt(found.variance))


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=1, max_size=4), st.floats(-0.5, 0.5))
def test_how_good_an_arm_is_does_not_change_the_spread(scores, moved):
    other = [[score + moved * number for score in arm] for number, arm in enumerate(scores)]
    assert pooled_spread(other).variance == pytest.approx(pooled_spread(scores).variance, abs=1e-12)


def test_an_arm_that_was_trained_once_adds_nothing_to_the_spread():
    assert pooled_spread([[0.3, 0.5], [0.9]]) == pooled_spread([[0.3, 0.5]])


@given(tables())
def test_without_any_spread_the_questions_alone_remain(table):
    # trainings that are copies of one another have no residuals and no spread
    copied = np.repeat(np.array(table)[:, :1], 3, axis=1)
    found, alone = over_trainings(copied, NONE), interval(copied[:, 0], bounds=DIFFERENCE)
    assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))


@given(tables(), st.floats(0, 0.01), st.floats(0, 0.01))
def test_more_spread_is_never_surer(table, less, more):
    less, more = sorted([less, more])
    narrow, wide = (over_trainings(table, Spread(variance=variance, degrees=4)).error for variance in (less, more))
    assert narrow <= wide
    assert interval(np.mean(table, axis=1), bounds=DIFFERENCE).error <= narrow


@given(tables(), st.floats(0, 0.01), st.randoms())
def test_the_order_of_questions_and_of_trainings_is_nothing(table, variance, random):
    spread = Spread(variance=variance, degrees=4)
    found = over_trainings(table, spread)
    other = over_trainings([row[::-1] for row in random.sample(table, len(table))], spread)
    assert (other.mean, other.low, other.high) == pytest.approx((found.mean, found.low, found.high))


@given(tables(2), st.floats(0, 0.1), st.integers(1, 6))
def test_degrees_lie_between_those_of_trainings_and_of_questions(table, variance, degrees):
    found = over_trainings(table, Spread(variance=variance, degrees=degrees))
    questions = len(table) + 1
    assert min(degrees, questions) <= found.degrees <= questions


def test_a_score_has_half_the_variance_that_a_difference_takes_from_trainings():
    table, spread = np.full((50, 2), 0.5), Spread(variance=0.01, degrees=2)
    of_questions = interval(table[:, 0], bounds=SHARE).error ** 2
    score = over_trainings(table, spread, squared_weights=1, bounds=SHARE).error ** 2
    assert score - of_questions == pytest.approx(0.01 / 2)
    twice = over_trainings(table, spread, bounds=SHARE).error ** 2
    assert twice - of_questions == pytest.approx(0.01)


def test_clusters_and_values_without_bounds():
    table = np.random.default_rng(0).normal(size=(40, 2))
    clusters = [number // 4 for number in range(40)]
    found = over_trainings(table, NONE, bounds=None, clusters=clusters)
    alone = interval(table.mean(axis=1), clusters=clusters)
    assert (found.clusters, found.centre, found.bounds) == (10, alone.centre, None)
    assert found.error >= alone.error


def test_one_cluster_has_no_interval():
    found = over_trainings([[1, 0], [0, 0]], NONE, clusters=["text", "text"])
    assert (found.mean, found.low, found.high) == (0.25, None, None)


def test_many_at_once_are_as_one_by_one():
    draws = np.random.default_rng(4)
    tables, variances = draws.choice([-1, 0, 1], (5, 20, 2)).astype(float), draws.uniform(0, 0.01, 5)
    _, errors, degrees = training_error(tables, variances, 2)
    for table, variance, error, degree in zip(tables, variances, errors, degrees, strict=True):
        alone = over_trainings(table, Spread(variance=variance, degrees=2))
        assert (alone.error, alone.degrees) == pytest.approx((error, degree))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pooled_spread([[0.5], [0.4]]), "no arm was trained twice"),
        (lambda: pooled_spread([]), "no arm was trained twice"),
        (lambda: pooled_spread([[0.5, float("nan")]]), "not finite"),
        (lambda: over_trainings([0.5, 0.5], NONE), "questions by trainings"),
        (lambda: over_trainings([[0.5], [0.5]], NONE), "at least two of each"),
        (lambda: over_trainings([[0.5, 0.5]], NONE), "at least two of each"),
        (lambda: over_trainings([[2, 0], [0, 0]], NONE, bounds=(0, 0.5)), "out of the bounds"),
    ],
)
def test_impossible_input_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()
