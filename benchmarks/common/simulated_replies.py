"""Replies of simulated arms, whose true scores are known: what the benchmarks of evaluation's statistics ask.

A question's true share of right replies has a Beta distribution: ``mean`` is the arm's score, ``icc`` the share of the
variance of replies that lies between questions. Two arms' shares are tied by a Gaussian copula of correlation ``tie``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

Floats = NDArray[np.float64]

KNOTS = np.linspace(-7, 7, 2801)
WEIGHTS = np.exp(-(KNOTS**2) / 2) / np.exp(-(KNOTS**2) / 2).sum()


@cache
def shares_at_knots(mean: float, icc: float) -> Floats:
    """Return the true shares at normal quantiles; upper ones from the other side, where they lose no digits."""
    one, other = mean * (1 / icc - 1), (1 - mean) * (1 / icc - 1)
    return np.where(KNOTS < 0, betaincinv(one, other, ndtr(KNOTS)), 1 - betaincinv(other, one, ndtr(-KNOTS)))


def true_shares(normals: Floats, mean: float, icc: float) -> Floats:
    """Turn normal draws into true shares of right replies, of the same shape."""
    return np.interp(normals, KNOTS, shares_at_knots(mean, icc))


def true_score(mean: float, icc: float) -> float:
    """Return the mean of the true shares as they are drawn, which interpolation moves a little off ``mean``."""
    return float(shares_at_knots(mean, icc) @ WEIGHTS)


def tied_normals(draws: np.random.Generator, shape: tuple[int, ...], tie: float) -> tuple[Floats, Floats]:
    """Draw two arrays of normals with a correlation."""
    one = draws.standard_normal(shape)
    return one, tie * one + np.sqrt(1 - tie**2) * draws.standard_normal(shape)


def tied_correlation(scores: tuple[float, float], icc: float, tie: float) -> float:
    """Return the correlation of two arms' true shares themselves, which is below that of their normals."""
    one, other = (shares_at_knots(score, icc) for score in scores)
    inner = (KNOTS[None, ::4] * tie + np.sqrt(1 - tie**2) * KNOTS[::4, None]).ravel()
    weights = (WEIGHTS[None, ::4] * WEIGHTS[::4, None]).ravel()
    first, second = np.tile(one[::4], len(KNOTS[::4])), np.interp(inner, KNOTS, other)
    return float(
        np.cov(first, second, aweights=weights)[0, 1]
        / np.sqrt(np.cov(first, aweights=weights) * np.cov(second, aweights=weights))
    )


def replies(draws: np.random.Generator, shares: Floats, samples: int) -> Floats:
    """Draw the share of right ones of so many replies to each question."""
    if samples == 1:
        return (draws.random(shares.shape) < shares).astype(np.float64)
    return draws.binomial(samples, shares) / samples


def trained_replies(
    draws: np.random.Generator, shape: tuple[int, int, int, int], spread: Floats, gain: float = 0.0, samples: int = 1
) -> Floats:
    """Draw the replies of arms that were trained several times, shape (draws, arms, questions, trainings).

    On the scale of logits: how hard a question is (deviation 2), how an arm takes it (0.7), how a training's seed moves
    all of them (``spread``, one a draw), and one question of one training (0.5).

    Args:
        draws: the generator.
        shape: numbers of draws, arms, questions and trainings.
        spread: shape (draws,).
        gain: what all arms but the first have more.
        samples: replies to each question.
    """
    many, arms, questions, trainings = shape
    logits = 2 * draws.standard_normal((many, 1, questions, 1)) + 0.7 * draws.standard_normal(
        (many, arms, questions, 1)
    )
    logits[:, 1:] += gain
    seeds = spread[:, None, None, None] * draws.standard_normal((many, arms, 1, trainings))
    rest = 0.5 * draws.standard_normal(shape)
    return replies(draws, 1 / (1 + np.exp(-(logits + seeds + rest))), samples)


def trained_score(spread: float, gain: float = 0.0) -> float:
    """Return the true score of such an arm, over questions and trainings."""
    deviation = np.sqrt(2**2 + 0.7**2 + spread**2 + 0.5**2)
    return float((1 / (1 + np.exp(-(gain + deviation * KNOTS)))) @ WEIGHTS)
