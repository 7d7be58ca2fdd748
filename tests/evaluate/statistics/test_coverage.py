"""How often intervals hold the truth, on a few seeded cells; `benchmarks/interval_coverage.py` has the whole grid."""

import numpy as np
import pytest

from tunixhack.evaluate.statistics.intervals import DIFFERENCE, SHARE, ends, mean_and_error

DRAWS = 2000


def coverage(truth, values, bounds, clusters=None) -> float:
    low, high = ends(*mean_and_error(values, bounds=bounds, clusters=clusters), bounds, 0.95)
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize(("count", "score"), [(30, 0.05), (30, 0.5), (100, 0.05), (100, 0.95), (300, 0.2)])
def test_a_score_is_held_where_the_t_interval_of_few_questions_is_not(count, score):
    draws = np.random.default_rng(count)
    shares = draws.beta(score, 1 - score, (DRAWS, count))
    values = draws.binomial(4, shares) / 4
    assert coverage(score, values, SHARE) >= 0.935
    if (count, score) == (30, 0.05):
        assert coverage(score, values, None) < 0.9


@pytest.mark.parametrize("count", [30, 100])
def test_a_difference_is_held(count):
    draws = np.random.default_rng(count)
    shares = draws.beta(0.5, 0.5, (DRAWS, count))
    one, other = draws.binomial(1, shares), draws.binomial(1, 0.8 * shares + 0.1)
    assert coverage(0.0, (other - one).astype(float), DIFFERENCE) >= 0.935


def test_clusters_that_are_ignored_hold_too_rarely():
    draws = np.random.default_rng(0)
    shares = np.repeat(draws.beta(0.5, 0.5, (DRAWS, 30)), 4, axis=1)
    values = draws.binomial(1, shares).astype(float)
    clusters = list(np.repeat(np.arange(30), 4))
    assert coverage(0.5, values, SHARE, clusters) >= 0.935
    assert coverage(0.5, values, SHARE) < 0.9
