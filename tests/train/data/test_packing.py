"""Packed rows: everything is there once, nothing is cut, and the place in them can be kept."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.train.data.token_set import TokenSet

pytest.importorskip("grain", reason="needs tunixhack[train]")

from tunixhack.train.data.packing import Packed, measure

LENGTH = 32


def token_set(lengths, validation=()):
    """Rows of these lengths; each token tells its row and its place, the last half is learnt."""
    count = len(lengths)
    return TokenSet(
        tokens=np.concatenate([np.arange(n) + 100 * (row + 1) for row, n in enumerate(lengths)]).astype(np.int32),
        loss_mask=np.concatenate([np.arange(n) >= n // 2 for n in lengths]),
        offsets=np.cumsum([0, *lengths]).astype(np.int64),
        example=np.arange(count, dtype=np.int64),
        dataset=np.zeros(count, np.int32),
        domain=np.zeros(count, np.int32),
        validation=np.isin(np.arange(count), validation),
        domains=("toy",),
        weights=(1.0,),
        dropped={},
        longest=max(lengths),
        key="0" * 64,
    )


def rows_of(batches):
    """Take packed rows apart again."""
    found = []
    for batch in batches:
        for tokens, segments in zip(batch.tokens, batch.segments, strict=True):
            found += [tokens[segments == number].tolist() for number in range(1, segments.max(initial=0) + 1)]
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, LENGTH), min_size=1, max_size=60))
def test_each_row_is_packed_once_and_whole(lengths):
    data = token_set(lengths)
    # as validation nothing is left out, so that all of them come
    every = token_set([*lengths, 1], validation=range(len(lengths)))
    found = rows_of(Packed(every, max_seq_len=LENGTH, batch_size=4, validation=True))
    assert sorted(found) == sorted(data.row(number).tokens.tolist() for number in range(len(lengths)))


def test_shapes_are_fixed_and_positions_start_anew():
    for batch in Packed(token_set([5, 9, 30, 12, 7, 31] * 6), max_seq_len=LENGTH, batch_size=4):
        assert batch.tokens.shape == batch.loss_mask.shape == batch.segments.shape == batch.positions.shape == (4, 32)
        starts = np.diff(batch.segments, axis=1, prepend=0) > 0
        assert (batch.positions[starts] == 0).all()
        assert not batch.loss_mask[batch.segments == 0].any()


def test_the_first_token_of_a_row_is_never_learnt():
    data = token_set([1, 2, 1, 3, 1] * 20)
    assert data.loss_mask[data.offsets[:-1]].any()
    for batch in Packed(data, max_seq_len=LENGTH, batch_size=2):
        assert not batch.loss_mask[batch.positions == 0].any()


def test_two_epochs_have_every_row_twice_in_another_order():
    data = token_set([8] * 32)  # four fill a training row
    batches = list(Packed(data, max_seq_len=LENGTH, batch_size=4, epochs=2))
    assert len(batches) == 4
    found = [row[0] // 100 - 1 for row in rows_of(batches)]
    assert sorted(found) == sorted([*range(32)] * 2)
    assert found[:16] != found[32:48]


@pytest.mark.parametrize("after", [1, 3, 7])
def test_a_kept_place_goes_on_with_the_same_batches(after):
    data = token_set([5, 9, 30, 12, 7, 31, 3, 16] * 12)
    whole = list(Packed(data, max_seq_len=LENGTH, batch_size=2, epochs=3, seed=4))
    first = Packed(data, max_seq_len=LENGTH, batch_size=2, epochs=3, seed=4)
    for _ in range(after):
        first.next()
    kept = json.loads(json.dumps(first.state))
    second = Packed(data, max_seq_len=LENGTH, batch_size=2, epochs=3, seed=4)
    second.restore(kept)
    rest = list(second)
    assert len(rest) == len(whole) - after
    for ours, theirs in zip(rest, whole[after:], strict=True):
        np.testing.assert_array_equal(ours.tokens, theirs.tokens)
        np.testing.assert_array_equal(ours.positions, theirs.positions)


def test_an_extent_counts_what_training_goes_through():
    data = token_set([8] * 33)
    extent = measure(data, max_seq_len=LENGTH, batch_size=4)
    assert (extent.steps, extent.tokens, extent.learnt, extent.packing_efficiency) == (2, 256, 128, 1.0)


def test_validation_rows_are_not_trained_on():
    data = token_set([8] * 32, validation=[3, 4])
    found = {row[0] // 100 - 1 for row in rows_of(Packed(data, max_seq_len=LENGTH, batch_size=1))}
    assert not found & {3, 4}


def test_a_row_that_is_longer_than_a_training_row_is_a_sentence():
    with pytest.raises(UserError, match="33 tokens and a training row 32"):
        Packed(token_set([4, 33]), max_seq_len=LENGTH, batch_size=1)


def test_too_few_rows_for_one_batch_are_a_sentence():
    with pytest.raises(UserError, match="do not fill one batch of 8"):
        measure(token_set([8] * 3), max_seq_len=LENGTH, batch_size=8)
