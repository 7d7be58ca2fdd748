"""The rows of an epoch, and their order: a function of weights, seed and the epoch's number alone.

Every row of a dataset with weight 1 is drawn once. With weight 2.5 each is drawn twice, and half of them a third
time; the next epoch takes the other half, so that over the epochs all rows are drawn equally often. The order does not
come from numpy's random numbers, whose sequence may change with its version: a training that goes on elsewhere must
see the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def draw(datasets: Sequence[Rows], weights: Sequence[float], *, epoch: int, seed: int) -> Rows:
    """Draw the rows of one epoch.

    Args:
        datasets: of each dataset the numbers of its rows, int64 [rows].
        weights: one for each dataset, above 0.
        epoch: from 0.
        seed: another one gives another order, and other halves.

    Returns:
        int64 [drawn]: row numbers, shuffled; their count is the same in every epoch.

    >>> rows = np.arange(4)
    >>> sorted(draw([rows], [1.5], epoch=0, seed=0).tolist() + draw([rows], [1.5], epoch=1, seed=0).tolist())
    [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    """
    drawn = [
        _draw(rows, weight, epoch, seed + at) for at, (rows, weight) in enumerate(zip(datasets, weights, strict=True))
    ]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *drawn])
    return rows[_order(len(rows), _mix(_mix(seed) ^ (epoch + 1)))]


def epoch_rows(sizes: Sequence[int], weights: Sequence[float]) -> int:
    """Count the rows that `draw` gives for datasets of these sizes.

    >>> epoch_rows([10, 3], [0.5, 2])
    11
    """
    return sum(_count(size, weight) for size, weight in zip(sizes, weights, strict=True))


def _draw(rows: Rows, weight: float, epoch: int, seed: int) -> Rows:
    size = len(rows)
    wanted = _count(size, weight)
    whole, rest = divmod(wanted, size) if size else (0, 0)
    # one fixed order, gone through round and round: what this epoch leaves out is first in the next
    ring = rows[_order(size, _mix(seed))]
    first = epoch * rest
    extra = ring[(first + np.arange(rest)) % size] if rest else ring[:0]
    return np.concatenate([np.tile(rows, whole), extra])


def _count(size: int, weight: float) -> int:
    return max(round(size * weight), 1 if size else 0)


def _order(size: int, seed: int) -> npt.NDArray[np.intp]:
    """Shuffle the numbers below ``size``: sort them by a hash of each (splitmix64's finaliser)."""
    key = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(_GAMMA) + np.uint64(seed)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(_FIRST)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(_SECOND)
    return np.argsort(key ^ (key >> np.uint64(31)), kind="stable")


def _mix(seed: int) -> int:
    """Spread a seed over 64 bits, so that near seeds give unlike orders."""
    key = (seed * _GAMMA + _GAMMA) & _BITS
    key = ((key ^ (key >> 30)) * _FIRST) & _BITS
    key = ((key ^ (key >> 27)) * _SECOND) & _BITS
    return key ^ (key >> 31)


_BITS = 2**64 - 1
_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
