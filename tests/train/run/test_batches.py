"""Batches that lie ready on the devices before a step asks for them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax

from tests.waiting import wait_for
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.data.packing import PackedBatch
from tunixhack.train.run.batches import PreparedBatches

BATCH, LENGTH = 4, 32


def batch(token: int) -> PackedBatch:
    tokens = np.full((BATCH, LENGTH), token, np.int32)
    mask = tokens > 0
    return PackedBatch(tokens=tokens, loss_mask=mask, segments=tokens, positions=tokens, rows=tokens.astype(np.int64))


class Numbered:
    """Stands in for packed batches; the place behind each is its number."""

    def __init__(self, count: int, broken: Exception | None = None) -> None:
        self.count, self.broken = count, broken
        self.made = 0

    @property
    def state(self) -> dict[str, int]:
        return {"counter": self.made}

    def next(self) -> PackedBatch | None:
        if self.made == self.count:
            if self.broken is not None:
                raise self.broken
            return None
        self.made += 1
        return batch(self.made)


def test_the_position_is_that_of_the_batch_that_was_given_and_not_of_those_that_lie_ready():
    packed = Numbered(5)
    with PreparedBatches(packed, device_mesh(BATCH)) as batches:  # type: ignore[arg-type]
        wait_for(lambda: packed.made == 2)
        assert batches.position == {"counter": 0}
        for number in range(1, 6):
            given = batches.next(0.5)
            assert given is not None
            assert given.inputs is not None
            assert (int(given.batch.tokens[0, 0]), given.learning_rate) == (number, 0.5)
            assert batches.position == {"counter": number}
            for name, array in given.inputs.items():
                assert isinstance(array, jax.Array)
                np.testing.assert_array_equal(array, getattr(given.batch, name))
        assert batches.next(0.5) is None
        assert batches.position == {"counter": 5}
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_what_packing_raises_is_raised_to_who_asks_for_the_batch():
    error = IndexError("a row is missing")
    with PreparedBatches(Numbered(1, error), device_mesh(BATCH)) as batches:  # type: ignore[arg-type]
        assert batches.next(0.5) is not None
        with pytest.raises(IndexError) as raised:
            batches.next(0.5)
        assert raised.value is error
