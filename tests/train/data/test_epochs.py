"""Which rows an epoch has."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.train.data.epochs import draw, epoch_rows


def test_rows_are_drawn_as_often_as_their_dataset_weighs():
    first, second = np.arange(10), np.arange(10, 14)
    for epoch in range(3):
        drawn = Counter(draw([first, second], [1, 3], epoch=epoch, seed=0).tolist())
        assert drawn == Counter({**dict.fromkeys(range(10), 1), **dict.fromkeys(range(10, 14), 3)})


def test_parts_of_a_weight_come_round_to_every_row():
    rows = np.arange(100)
    epochs = [draw([rows], [0.25], epoch=epoch, seed=7) for epoch in range(4)]
    assert [len(set(epoch.tolist())) for epoch in epochs] == [25] * 4
    assert sorted(np.concatenate(epochs).tolist()) == list(range(100))


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=3),
    weight=st.floats(0.01, 4),
    epoch=st.integers(0, 5),
    seed=st.integers(-5, 2**40),
)
def test_an_epoch_is_the_same_every_time_and_as_long_as_told(sizes, weight, epoch, seed):
    ends = np.cumsum([0, *sizes])
    datasets = [np.arange(start, end) for start, end in itertools.pairwise(ends)]
    weights = [weight] * len(sizes)
    one = draw(datasets, weights, epoch=epoch, seed=seed)
    assert one.dtype == np.int64
    assert len(one) == epoch_rows(sizes, weights)
    assert one.tolist() == draw(datasets, weights, epoch=epoch, seed=seed).tolist()
    for rows, size in zip(datasets, sizes, strict=True):
        times = Counter(row for row in one.tolist() if row in set(rows.tolist()))
        assert size == 0 or max(times.values()) - min(times.get(row, 0) for row in rows.tolist()) <= 1


def test_epochs_and_seeds_have_orders_of_their_own():
    rows = [np.arange(200)]
    orders = [
        draw(rows, [1], epoch=epoch, seed=seed).tolist() for epoch, seed in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
    ]
    assert len({tuple(order) for order in orders}) == 5
    assert all(sorted(order) == list(range(200)) != order for order in orders)


def test_the_order_is_this_one_on_every_machine_and_version():
    assert draw([np.arange(8)], [1], epoch=0, seed=0).tolist() == [2, 3, 5, 4, 1, 0, 6, 7]


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_small_weight_draws_at_least_one_row(epoch):
    assert len(draw([np.arange(3)], [0.001], epoch=epoch, seed=0)) == 1
