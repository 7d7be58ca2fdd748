"""Several rows in one training row of fixed shape, so that no time goes into padding and nothing compiles twice.

Rows of a few hundred tokens in a training row of 2,048 would leave most of it padding. grain's first-fit packer puts
several into one; a row never sees its neighbours (`tunixhack.train.attention.base.Attend`) and its positions start
at 0, so that each token's loss is what it would be alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np
import numpy.typing as npt

from tunixhack.errors import UserError
from tunixhack.train.data.token_set import TokenSet

BINS = 16
"""Training rows that are open at once. With more, less is padding, and a resumed training has more to pack again."""


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """B training rows of L tokens, as numpy arrays."""

    tokens: npt.NDArray[np.int32]
    """int32 [B, L]; 0 behind the last row."""
    loss_mask: npt.NDArray[np.bool_]
    """bool [B, L]: true on tokens to be learnt. Never on a row's first token, which nothing comes before."""
    segments: npt.NDArray[np.int32]
    """int32 [B, L]: 1 for the first of the packed rows, and so on; 0 on padding."""
    positions: npt.NDArray[np.int32]
    """int32 [B, L]: from 0 in each packed row."""
    rows: npt.NDArray[np.int64]
    """int64 [B, L]: the number of each token's row in the token set; 0 on padding, where segments is 0, too."""

    @property
    def packing_efficiency(self) -> float:
        """The share that is no padding."""
        return float((self.segments > 0).mean())


class _Drawn(Sequence[dict[str, Any]]):
    """The rows of all epochs, one epoch behind the other."""

    def __init__(self, data: TokenSet, epochs: int, seed: int) -> None:
        self._data, self._epochs, self._seed = data, epochs, seed
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return self._epochs * self._data.epoch_rows

    def __getitem__(self, at: Any) -> Any:
        epoch, place = divmod(int(at), self._data.epoch_rows)
        number, order = self._order
        if number != epoch:  # the whole tuple is replaced: grain reads from several threads
            order = self._data.epoch(epoch, self._seed)
            self._order = epoch, order
        return _element(self._data, int(order[place]))


class _Chosen(Sequence[dict[str, Any]]):
    """Chosen rows in their order."""

    def __init__(self, data: TokenSet, rows: npt.NDArray[np.int64]) -> None:
        self._data, self._rows = data, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        return _element(self._data, int(self._rows[at]))


class Packed:
    """Batches of packed rows, and the position in them, for JSON.

    Args:
        data: the tokens.
        max_seq_len: tokens of a training row, L.
        batch_size: training rows of a batch, B.
        epochs: how often to go through the data; the last batch, if it is not full, is left out.
        seed: another one gives another order.
        validation: pack the validation rows instead, once and in their order, and fill the last batch up with padding.

    Raises:
        UserError: a row is longer than ``max_seq_len``, or there is not one full batch.
    """

    def __init__(
        self,
        data: TokenSet,
        *,
        max_seq_len: int,
        batch_size: int,
        epochs: int = 1,
        seed: int = 0,
        validation: bool = False,
    ) -> None:
        rows = data.validation_rows() if validation else np.flatnonzero(~data.validation)
        longest = int(data.lengths[rows].max(initial=0))
        if longest > max_seq_len:
            raise UserError(
                f"a row has {longest:,} tokens and a training row {max_seq_len:,}: tokenise with "
                f"max_seq_len={max_seq_len}, so "
                "that longer rows are dropped and counted"
            )
        self._batch_size, self._drop_last = batch_size, not validation
        source = _Chosen(data, rows) if validation else _Drawn(data, epochs, seed)
        packed = grain.experimental.FirstFitPackIterDataset(
            # one thread, so that the place in the rows is exact
            grain.MapDataset.source(source).to_iter_dataset(grain.ReadOptions(num_threads=0)),
            length_struct={"tokens": max_seq_len, "loss_mask": max_seq_len, "rows": max_seq_len},
            num_packing_bins=BINS,
            shuffle_bins=False,
        )
        self._at = iter(packed)

    def __iter__(self) -> Iterator[PackedBatch]:
        """Go on from where `state` stands."""
        while (batch := self.next()) is not None:
            yield batch

    def next(self) -> PackedBatch | None:
        """Return the next batch; None at the end."""
        rows = []
        for row in self._at:
            rows.append(row)
            if len(rows) == self._batch_size:
                return _batch(rows)
        if not rows or self._drop_last:
            return None
        empty = {name: np.zeros_like(array) for name, array in rows[0].items()}
        return _batch(rows + [empty] * (self._batch_size - len(rows)))

    @property
    def state(self) -> dict[str, Any]:
        """The place behind the last batch, for JSON; what `restore` takes."""
        found: dict[str, Any] = self._at.get_state()
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` gave, of the same data and settings."""
        self._at.set_state(state)


def is_behind(state: Any, steps: int, batch_size: int) -> bool:
    """Tell whether this is the place behind so many steps, as `Packed.state` tells it.

    >>> is_behind({"parent": {"next_index": 128}, "next_row": 4, "counter": 132}, steps=33, batch_size=4)
    True
    """
    try:
        numbers = state["parent"]["next_index"], state["next_row"], state["counter"]
    except (TypeError, KeyError):
        return False
    valid = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)
    return valid and numbers[2] == steps * batch_size


@dataclass(frozen=True)
class Extent:
    """The numbers of steps and tokens that a training of so many epochs goes through."""

    steps: int
    """Full batches that are trained on."""
    all_epochs: int
    """Full batches of all epochs."""
    tokens: int
    """In these, without padding."""
    learnt: int
    """In these, under the loss mask."""
    packing_efficiency: float
    """The share that is no padding."""


def measure(data: TokenSet, *, max_seq_len: int, batch_size: int, epochs: int = 1, seed: int = 0) -> Extent:
    """Count what there is to train on, by packing it once.

    Raises:
        UserError: a row is longer than ``max_seq_len``, or there is not one full batch.
    """
    steps = tokens = learnt = 0
    for packed in Packed(data, max_seq_len=max_seq_len, batch_size=batch_size, epochs=epochs, seed=seed):
        steps += 1
        tokens += int((packed.segments > 0).sum())
        learnt += int(packed.loss_mask.sum())
    if not steps:
        raise UserError(
            f"{data.epoch_rows:,} rows do not fill one batch of {batch_size} training rows of {max_seq_len:,} tokens: "
            "give more data or more epochs, or take a smaller batch_size or max_seq_len"
        )
    return Extent(steps, steps, tokens, learnt, tokens / (steps * batch_size * max_seq_len))


def _element(data: TokenSet, number: int) -> dict[str, Any]:
    row = data.row(number)
    return {"tokens": row.tokens, "loss_mask": row.loss_mask, "rows": np.full(len(row.tokens), number)}


def _batch(rows: Sequence[dict[str, Any]]) -> PackedBatch:
    def stacked(name: str) -> npt.NDArray[Any]:
        return np.stack([row[name] for row in rows])

    positions = stacked("tokens_positions").astype(np.int32)
    return PackedBatch(
        tokens=stacked("tokens").astype(np.int32),
        # the first token of a row would be predicted from the row before it
        loss_mask=stacked("loss_mask").astype(np.bool_) & (positions > 0),
        segments=stacked("tokens_segment_ids").astype(np.int32),
        positions=positions,
        rows=stacked("rows").astype(np.int64),
    )
