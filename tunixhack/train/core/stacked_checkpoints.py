"""The trainer's model and optimizer with stacked layers, and checkpoints of them under the names of single layers.

A checkpoint is what it would be without stacking: other versions, and who reads it by Tunix's own code, find each
layer's weights in their places, and a training of either kind goes on from it.
"""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx
from tunix.sft import checkpoint_manager

from tunixhack.train.models.stacking import stacked_state, unstacked_state


def stack_optimizer(optimizer: nnx.Optimizer[Any], model: Any) -> nnx.Optimizer[Any]:
    """Make an optimizer of a stacked model that goes on where another stood.

    Args:
        optimizer: of the model before it was stacked.
        model: stacked.
    """
    graph, state = nnx.split(model)
    made: nnx.Optimizer[Any] = nnx.eval_shape(
        lambda state: nnx.Optimizer(nnx.merge(graph, state), optimizer.tx, wrt=optimizer.wrt), state
    )
    before = nnx.state(optimizer)
    nnx.update(made, stacked_state(before, model.config.num_layers))
    return made


class StackedCheckpoints(checkpoint_manager.CheckpointManager):  # type: ignore[misc]  # Tunix ships no types
    """Saves a stacked model and its optimizer as they are without stacking.

    Args:
        manager: Tunix's, whose place it takes.
        model: before it is stacked.
        optimizer: of it.
    """

    def __init__(self, manager: Any, model: Any, optimizer: nnx.Optimizer[Any]) -> None:
        self._checkpoint_manager = manager._checkpoint_manager
        self._layers = model.config.num_layers
        self._model, self._optimizer = _without_values(model), _without_values(optimizer)

    def save(
        self,
        step: int,
        model: Any,
        optimizer: nnx.Optimizer[Any] | None = None,
        save_only_lora_params: bool = False,
        force: bool = False,
        custom_metadata: dict[str, Any] | None = None,
    ) -> bool:
        """Save, if it is time to; see Tunix's function of this name."""
        if not force and not self._checkpoint_manager.should_save(step):
            return False  # asked before anything is unstacked
        state = nnx.state(model, nnx.LoRAParam) if save_only_lora_params else nnx.state(model)
        own, own_optimizer = nnx.clone(self._model), nnx.clone(self._optimizer)
        nnx.update(own, unstacked_state(state, self._layers))
        nnx.update(own_optimizer, unstacked_state(nnx.state(optimizer), self._layers))
        return bool(super().save(step, own, own_optimizer, save_only_lora_params, force, custom_metadata))


def _without_values(module: Any) -> Any:
    """Return a module with shapes in the places of its arrays."""
    graph, state = nnx.split(module)
    return nnx.merge(graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state))
