"""Shares, and the intervals that they lie in."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.proportions import Share, wilson


def test_wilson_as_published():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    for (successes, n), ends in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson(successes, n) == pytest.approx(ends, abs=5e-5)


@given(st.integers(0, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors_its_complement(counts):
    successes, n = counts
    low, high = wilson(successes, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= successes / n <= high
        other = wilson(n - successes, n)
        assert math.isclose(low, 1 - other[1], abs_tol=1e-12)
        assert math.isclose(high, 1 - other[0], abs_tol=1e-12)


def test_more_replies_make_it_surer():
    widths = [high - low for low, high in (wilson(n // 2, n) for n in (0, 10, 50, 250))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match="no share"):
        wilson(successes, n)


def test_a_share_of_nothing_is_unknown_and_not_zero():
    assert (Share(0, 0).value, Share(0, 4).value) == (None, 0.0)
    assert (str(Share(0, 0)), str(Share(3, 4))) == ("unknown (of 0)", "0.75 (3 of 4; 0.30 to 0.95)")
