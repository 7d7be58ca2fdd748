"""The interval of a mean over questions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunixhack.evaluate.statistics.intervals import (
    DIFFERENCE,
    SHARE,
    WIN,
    Interval,
    difference,
    ends,
    interval,
    mean_and_error,
)

shares = st.lists(st.integers(0, 4).map(lambda right: right / 4), min_size=2, max_size=60)
paired = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=60)


def same(one: Interval, other: Interval) -> bool:
    numbers = ("mean", "low", "high", "centre", "error", "degrees")
    return all(math.isclose(getattr(one, name), getattr(other, name), abs_tol=1e-9) for name in numbers)


def squared_error_by_paper(values: np.ndarray, clusters: np.ndarray) -> float:
    """Miller's equation 4, pair by pair of questions of a cluster, with the factor for few clusters."""
    rest, count = values - values.mean(), len(set(clusters))
    pairs = sum(rest[i] * rest[j] for i in range(len(rest)) for j in range(len(rest)) if clusters[i] == clusters[j])
    return pairs * count / (count - 1) / len(values) ** 2


def test_ten_questions_by_hand():
    # with the pair 8 of 12 are right: centre 2/3, squares 8/3, error² = 8/3 / (12 · 11), t(11) = 2.20099
    found = interval([1, 1, 1, 0, 1, 0, 1, 0, 1, 1], bounds=SHARE)
    assert (found.mean, found.n, found.clusters, found.degrees) == (0.7, 10, 10, 11)
    assert found.centre == pytest.approx(2 / 3)
    assert found.error == pytest.approx(math.sqrt(8 / 3 / 132))
    assert found.low == pytest.approx(2 / 3 - 2.20099 * math.sqrt(8 / 3 / 132), abs=1e-5)
    assert found.high == pytest.approx(2 / 3 + 2.20099 * math.sqrt(8 / 3 / 132), abs=1e-5)


def test_clusters_by_hand():
    # sums 2, 0, 1 of sizes 3, 1, 2; the pair has size 2 and sums 0 and 2: N = 10, K = 5, centre 5/10
    found = interval([1, 1, 0, 0, 0.5, 0.5], bounds=SHARE, clusters=["a", "a", "a", "b", "c", "c"])
    squares = 0.5**2 + 0.5**2 + 0 + 1**2 + 1**2
    assert (found.centre, found.clusters, found.degrees) == (0.5, 3, 4)
    assert found.error == pytest.approx(math.sqrt(5 / 4 * squares) / 10)


def test_thirty_questions_without_a_difference_have_an_interval():
    found = difference([0.0] * 30, [0.0] * 30)
    assert found.mean == 0
    assert found.high == pytest.approx(-found.low)
    assert found.high == pytest.approx(0.0917, abs=5e-4)


@given(paired)
def test_without_the_pair_it_is_the_paired_t_interval(rows):
    one, other = np.array(rows).T / 4
    if np.ptp(other - one) == 0:
        return
    expected = stats.ttest_rel(other, one).confidence_interval()
    found = interval(other - one)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 5)), min_size=2, max_size=30))
def test_without_the_pair_the_error_is_that_of_the_paper(rows):
    values, clusters = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if len(set(clusters)) > 1:
        # squares, since the root of a sum that cancels is all rounding
        expected = squared_error_by_paper(values, clusters)
        assert interval(values, clusters=list(clusters)).error ** 2 == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_without_the_pair_the_error_is_that_of_the_paper_to_twelve_digits():
    draws = np.random.default_rng(0)
    values, clusters = draws.normal(size=200), draws.integers(0, 30, 200)
    expected = math.sqrt(squared_error_by_paper(values, clusters))
    assert interval(values, clusters=list(clusters)).error == pytest.approx(expected, rel=1e-12)


@given(shares, st.sampled_from([0.9, 0.95, 0.99]))
def test_it_lies_within_the_bounds_and_holds_the_mean(values, level):
    found = interval(values, bounds=SHARE, level=level)
    assert 0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1


@given(shares)
def test_a_higher_level_is_wider_and_the_same_as_when_asked_for(values):
    found = interval(values, bounds=SHARE)
    wider = found.at(0.99)
    assert wider.low <= found.low
    assert found.high <= wider.high
    assert wider == interval(values, bounds=SHARE, level=0.99)


@given(paired)
def test_swapped_arms_mirror_it(rows):
    one, other = np.array(rows).T / 4
    found, swapped = difference(one, other), difference(other, one)
    assert (swapped.mean, swapped.low, swapped.high) == pytest.approx((-found.mean, -found.high, -found.low))


@given(shares)
def test_wrong_answers_mirror_right_ones(values):
    right, wrong = interval(values, bounds=SHARE), interval(1 - np.array(values), bounds=SHARE)
    assert (wrong.low, wrong.high) == pytest.approx((1 - right.high, 1 - right.low))


@given(shares)
def test_a_win_is_a_share_that_is_moved(values):
    share, win = interval(values, bounds=SHARE), interval(np.array(values) - 0.5, bounds=WIN)
    assert (win.low, win.high) == pytest.approx((share.low - 0.5, share.high - 0.5))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=2, max_size=60), st.randoms())
def test_the_order_of_questions_is_nothing(rows, random):
    def of(rows):
        return interval([row[0] / 4 for row in rows], bounds=SHARE, clusters=[f"text {row[1]}" for row in rows])

    if len({row[1] for row in rows}) > 1:
        shuffled = random.sample(rows, len(rows))
        assert same(of(rows), of(shuffled))


@given(shares, st.integers(2, 4))
def test_copies_of_questions_within_their_clusters_change_nothing(values, copies):
    clusters = np.repeat(np.arange(len(values)), copies)
    copied = interval(np.repeat(values, copies), bounds=SHARE, clusters=list(clusters))
    assert same(copied, interval(values, bounds=SHARE))
    assert copied.n == copies * len(values)


@given(shares)
def test_a_cluster_of_one_question_each_is_none(values):
    assert interval(values, bounds=SHARE, clusters=range(len(values))) == interval(values, bounds=SHARE)


@given(paired)
def test_a_question_that_both_get_right_draws_a_difference_to_zero(rows):
    one, other = np.array(rows).T / 4
    more = difference([*one, 1], [*other, 1])
    assert abs(more.mean) <= abs(difference(one, other).mean)


def test_more_questions_make_it_surer():
    widths = [found.high - found.low for n in (2, 10, 50, 250) if (found := interval([0, 1] * n, bounds=SHARE))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("values", "clusters"), [([0.5], None), ([0, 1, 1], ["a", "a", "a"])])
def test_one_cluster_tells_nothing_of_its_spread(values, clusters):
    found = interval(values, bounds=SHARE, clusters=clusters)
    assert (found.low, found.high, found.sign) == (None, None, 0)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.at(0.5).low is None


def test_the_sign_is_that_of_an_interval_without_zero():
    assert interval([0.2, 0.3, 0.25, 0.3]).sign == 1
    assert interval([-0.2, -0.3, -0.25, -0.3]).sign == -1
    assert interval([-0.2, 0.3, 0.25, -0.3]).sign == 0


@given(st.integers(2, 20), st.integers(1, 5), st.booleans())
def test_many_at_once_are_as_one_by_one(n, many, clustered):
    values = np.random.default_rng(n).choice([-1, -0.5, 0, 0.5, 1], (many, n))
    clusters = [number // 2 for number in range(n)] if clustered else None
    centre, error, degrees = mean_and_error(values, bounds=DIFFERENCE, clusters=clusters)
    low, high = ends(centre, error, degrees, DIFFERENCE, 0.95)
    for number, row in enumerate(values):
        alone = interval(row, bounds=DIFFERENCE, clusters=clusters)
        if alone.low is not None:
            assert (low[number], high[number]) == pytest.approx((alone.low, alone.high))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: interval([]), "one number a question"),
        (lambda: interval([[0, 1], [1, 0]]), "one number a question"),
        (lambda: interval([0.5, float("nan")]), "not finite"),
        (lambda: interval([0, 2], bounds=SHARE), "out of the bounds 0 to 1"),
        (lambda: interval([0, 1], clusters=["a"]), "1 labels of clusters do not go with 2 questions"),
        (lambda: interval([0, 1], level=95), "between 0 and 1"),
        (lambda: interval([0, 1]).at(1), "between 0 and 1"),
        (lambda: difference([0, 1], [1]), "2 questions of the baseline cannot be paired with 1"),
        (lambda: difference([0, 100], [0, 100]), "out of the bounds"),
        (lambda: mean_and_error(np.zeros((3, 0))), "no question"),
    ],
)
def test_impossible_input_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()
