"""The slope over sizes, whether a choice held, and the mean over tasks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.evaluate.statistics.contrasts import choice_held, mean_over_tasks, slope_per_decade
from tunixhack.evaluate.statistics.intervals import DIFFERENCE, SHARE, Interval, interval
from tunixhack.evaluate.statistics.trainings import Spread, over_trainings

sizes = st.lists(st.integers(10, 100_000), min_size=2, max_size=5, unique=True)


@given(sizes, st.integers(0, 100))
def test_the_slope_is_that_of_a_fitted_line(rows, seed):
    scores = np.random.default_rng(seed).random((len(rows), 7))
    fitted = np.polyfit(np.log10(rows), scores, 1)[0]
    found = slope_per_decade(scores, rows)
    assert found.values == pytest.approx(fitted, abs=1e-8)
    assert found.bounds[0] - 1e-9 <= found.values.min()
    assert found.values.max() <= found.bounds[1] + 1e-9


def test_two_sizes_a_decade_apart_have_the_difference_for_a_slope():
    found = slope_per_decade([[0.25, 0.0], [0.5, 1.0]], [316, 3160])
    assert found.values.tolist() == pytest.approx([0.25, 1.0])
    assert found.bounds == pytest.approx((-1, 1))
    assert found.squared_weights == pytest.approx(2)


def test_the_bounds_are_reached():
    rows = [100, 200, 1000, 5000]
    steepest = slope_per_decade([[0], [0], [1], [1]], rows)
    assert steepest.values[0] == pytest.approx(steepest.bounds[1])
    of_differences = slope_per_decade([[1], [1], [-1], [-1]], rows, bounds=DIFFERENCE)
    assert of_differences.values[0] == pytest.approx(of_differences.bounds[0])


def test_a_slope_goes_on_to_trainings():
    scores = np.random.default_rng(0).choice([0.0, 1.0], (3, 50, 2))
    found = slope_per_decade(scores, [100, 1000, 10_000])
    assert found.values.shape == (50, 2)
    assert found.squared_weights == pytest.approx(0.5)
    slope = over_trainings(
        found.values, Spread(variance=1e-4, degrees=3), squared_weights=found.squared_weights, bounds=found.bounds
    )
    assert slope.mean == pytest.approx((scores[2] - scores[0]).mean() / 2)


@pytest.mark.parametrize(
    ("scores", "rows", "words"),
    [
        ([[0.5]], [100], "at least two different"),
        ([[0.5], [0.5]], [100, 100], "at least two different"),
        ([[0.5], [0.5]], [0, 100], "of at least 1"),
        ([[0.5], [0.5]], [100], "do not go with 1 sizes"),
        ([0.5, 0.5], [100, 1000], "do not go with"),
    ],
)
def test_a_slope_needs_sizes(scores, rows, words):
    with pytest.raises(ValueError, match=words):
        slope_per_decade(scores, rows)


def between(low, high) -> Interval:
    return dataclasses.replace(interval([0.0, 0.1]), mean=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("at_largest", "change", "words"),
    [
        ((0.1, 0.3), (-0.2, 0.1), "still better; the difference cannot be told to have changed"),
        ((0.1, 0.3), (0.01, 0.2), "still better; the difference grew"),
        ((-0.1, 0.2), (-0.3, -0.1), "told apart no more; the difference shrank"),
        ((-0.3, -0.1), (-0.6, -0.2), "turned round; the difference shrank"),
    ],
)
def test_whether_a_choice_held(at_largest, change, words):
    found = choice_held(between(*at_largest), between(*change))
    assert found.sentence(316, 3162) == f"chosen at 316 rows; at 3,162 {words}"
    assert words.startswith(found.word)


@given(st.lists(st.integers(0, 4).map(lambda right: right / 4), min_size=2, max_size=40))
def test_one_task_is_its_own_mean(values):
    one = interval(values, bounds=SHARE)
    found = mean_over_tasks([one])
    assert (found.mean, found.low, found.high) == pytest.approx((one.mean, one.low, one.high))


def test_the_mean_over_tasks_by_hand():
    few, many = interval([1, 1, 0, 1], bounds=SHARE), interval([0, 1] * 50, bounds=SHARE)
    found = mean_over_tasks([few, many], level=0.9)
    assert found.mean == pytest.approx((0.75 + 0.5) / 2)
    assert found.error**2 == pytest.approx((few.error**2 + many.error**2) / 4)
    assert (found.n, found.clusters, found.level) == (104, 104, 0.9)
    assert few.degrees < found.degrees < few.degrees + many.degrees
    assert mean_over_tasks([many, few], level=0.9).high == pytest.approx(found.high)


def test_equal_tasks_are_surer_together():
    task = interval([0, 1] * 50, bounds=SHARE)
    both = mean_over_tasks([task, task])
    assert both.error == pytest.approx(task.error / 2**0.5)
    assert both.degrees == pytest.approx(2 * task.degrees)


def test_a_task_without_an_interval_leaves_the_mean_without_one():
    found = mean_over_tasks([interval([0, 1, 1], bounds=SHARE), interval([1], bounds=SHARE)])
    assert (found.low, found.high) == (None, None)
    assert found.mean == pytest.approx(5 / 6)


def test_tasks_without_spread_have_a_mean_without_width():
    found = mean_over_tasks([interval([2.0, 2.0, 2.0]), interval([1.0, 1.0])])
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)


def test_what_has_no_mean_over_tasks():
    with pytest.raises(ValueError, match="there is no task"):
        mean_over_tasks([])
    with pytest.raises(ValueError, match="different bounds"):
        mean_over_tasks([interval([0, 1], bounds=SHARE), interval([0, 1])])
