"""The exact test of a paired difference, by flipping its signs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from tunixhack.evaluate.statistics.intervals import Floats, as_values, cluster_sums

MOST_SUMS = 100_000
"""Number of different sums up to which all are formed."""
DRAWS = 99_999
"""Number of random flips where there are more."""
CHUNK = 2_000
"""Number of flips that are in memory at once."""


def sign_flip_p(differences: ArrayLike, *, clusters: Sequence[Hashable] | None = None, seed: int = 0) -> float:
    """Return how often chance alone makes a mean difference as far from 0 as the one that was seen.

    If neither arm is better, a question's difference could as well have been the reverse. Every way to flip the signs
    is then as likely as what was seen, and p is the share of those whose sum is as far from 0. Differences of the same
    size are flipped together, by the binomial distribution of how many of them are positive. Where even so there are
    more than ``MOST_SUMS`` sums, ``DRAWS`` seeded draws stand for them, and p = (1 + those as far) / (1 + draws). For
    one sample a question this is McNemar's exact test. Clusters are flipped as a whole.

    It is a test of the very students that were asked: what another training would have made of a recipe is not in it.

    Sources: Fisher, The Design of Experiments (1935), section 21; McNemar (Psychometrika 12, 1947); the count of draws
    plus one, Phipson and Smyth (Statistical Applications in Genetics and Molecular Biology 9, 2010).

    Args:
        differences: an arm's value minus the baseline's, shape (n,).
        clusters: one label a question; None where none belong together.
        seed: of the draws.

    Raises:
        ValueError: there is no value, one is not finite, or ``clusters`` is of another length.

    Of six questions that differ five were won: 14 of the 64 ways, those of at least five or at most one, are as far
    from 0.

    >>> round(sign_flip_p([1, 1, 1, 1, 1, -1, 0, 0]), 5)
    0.21875
    """
    sums, _ = cluster_sums(as_values(differences), clusters)
    scale = np.abs(sums).max()
    if not scale:
        return 1.0
    # rounded, since thirds and sums of them miss one another by a hair, before anything is compared
    sums = np.round(sums / scale, 9)
    groups, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    seen = abs(float(sums.sum())) - 1e-7
    if np.log(counts + 1.0).sum() <= np.log(MOST_SUMS):
        far, weights = _all_sums(groups, counts)
        return min(1.0, float(weights[np.abs(far) >= seen].sum()))
    total = _drawn_sums(groups, counts, np.random.default_rng(seed))
    return float((1 + (np.abs(total) >= seen).sum()) / (1 + DRAWS))


def _all_sums(groups: Floats, counts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return every sum that flips can make, and how likely each is."""
    sums, weights = np.zeros(1), np.ones(1)
    for size, count in zip(groups, counts, strict=True):
        positive = np.arange(count + 1)
        ways = gammaln(count + 1) - gammaln(positive + 1) - gammaln(count - positive + 1)
        sums = (sums[:, None] + size * (2 * positive - count)).ravel()
        weights = (weights[:, None] * np.exp(ways - count * np.log(2))).ravel()
    return sums, weights


def _drawn_sums(groups: Floats, counts: NDArray[np.intp], draws: np.random.Generator) -> Floats:
    """Draw so many sums; sizes that only one question has take a bit each, many times faster than a binomial."""
    total = np.zeros(DRAWS)
    for size, count in zip(groups[counts > 1], counts[counts > 1], strict=True):
        total += size * (2 * draws.binomial(count, 0.5, DRAWS) - count)
    alone = groups[counts == 1]
    for start in range(0, DRAWS, CHUNK) if alone.size else ():
        part = total[start : start + CHUNK]
        bits = np.frombuffer(draws.bytes(len(part) * -(-alone.size // 8)), dtype=np.uint8).reshape(len(part), -1)
        part += alone.sum() - 2 * (np.unpackbits(bits, axis=1, count=alone.size) @ alone)
    return total
