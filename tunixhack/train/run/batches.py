"""The batches of a training, packed and sent to the devices ahead of the steps that learn from them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jax.sharding import Mesh

from tunixhack.train.core.batches import put_on_mesh, step_inputs
from tunixhack.train.core.step import Inputs
from tunixhack.train.core.trainer import GivenBatch
from tunixhack.train.data.packing import Packed, PackedBatch
from tunixhack.train.data.prefetch import Prefetcher


@dataclass(frozen=True, eq=False)
class _Prepared:
    batch: PackedBatch
    inputs: Inputs
    position: Mapping[str, Any]
    """Behind the batch."""


class PreparedBatches:
    """Gives one batch after the other; a thread packs the next ones meanwhile. Enter it with ``with``.

    Args:
        packed: the batches, from where it stands. Nobody else may touch it from now on.
        mesh: of the devices that they are sent to.
    """

    def __init__(self, packed: Packed, mesh: Mesh) -> None:
        self._packed, self._mesh = packed, mesh
        self._position: Mapping[str, Any] = packed.state
        self._ahead = Prefetcher(self._prepare)

    def __enter__(self) -> PreparedBatches:
        """Begin to pack."""
        self._ahead.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread."""
        self._ahead.__exit__(kind, error, trace)

    @property
    def position(self) -> Mapping[str, Any]:
        """The place behind the last batch that was given, as `Packed.state` tells it, whatever lies ready."""
        return self._position

    def next(self, learning_rate: float) -> GivenBatch | None:
        """Return the next batch, for a step of some learning rate; None at the end.

        Raises:
            Exception: the one that packing it raised.
        """
        began = time.monotonic()
        found = self._ahead.next()
        if found is None:
            return None
        self._position = found.position
        return GivenBatch(found.batch, learning_rate, found.inputs, waited=time.monotonic() - began)

    def _prepare(self) -> _Prepared | None:
        batch = self._packed.next()
        if batch is None:
            return None
        return _Prepared(batch, put_on_mesh(step_inputs(batch), self._mesh), self._packed.state)
