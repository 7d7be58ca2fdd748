"""Tunix's trainer as we use it: the one file that knows its private ways (google-tunix 0.1.7).

Kept from Tunix: the loop, the optimizer on LoRA's parameters or all, sharded inputs, checkpoints. Ours, each through
a function that Tunix lets a subclass override:

* equal layers stacked: compiled once for all of them (`tunixhack.train.models.stacking`);
* the step: our loss, the rows in parts with every token counting alike, the learning rate as an input, and no update
  where a number is not finite;
* when a checkpoint is due: never behind a step that was not finite, only behind one that was reported, and always with
  the position in the data, which Tunix's last save forgets;
* what is logged: Tunix's own logger sends everything to W&B wherever that is installed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tunix.sft import hooks, peft_trainer

from tunixhack._util.literal_path import literal_path
from tunixhack.errors import UserError
from tunixhack.train.attention.base import Attend
from tunixhack.train.core.placement import mesh_of, rows_on
from tunixhack.train.core.saving import CannotSave, SaveInterval, Saving, checkpoint_options, no_room, not_repeated
from tunixhack.train.core.stacked_checkpoints import StackedCheckpoints, stack_optimizer
from tunixhack.train.core.step import Inputs, learnt_state, loss_and_gradients, make_optimizer, undo_unless_finite
from tunixhack.train.data.packing import PackedBatch
from tunixhack.train.models.family import Family
from tunixhack.train.models.stacking import stack, unstack
from tunixhack.train.settings import Settings


class StepCallbacks(Protocol):
    """The functions that a trainer calls around its steps."""

    def next_batch(self, step: int) -> tuple[PackedBatch, float] | None:
        """Return the batch behind ``step`` steps and its learning rate; None ends the training."""
        ...

    def data_position(self) -> Mapping[str, Any]:
        """Return the position in the data behind the last batch that was given, as JSON."""
        ...

    def after_step(self, result: TrainingStep) -> None:
        """Take the result of a step, before its checkpoint is written and before the next step.

        Where it was not finite, all checkpoints that were handed over are on the disk.
        """
        ...

    def before_save(self) -> None:
        """Put on the disk what was reported of the steps so far, since a checkpoint of the last one is written next."""
        ...


@dataclass(frozen=True)
class TrainingStep:
    """The result of one step; reading a number waits for the step."""

    step: int
    """From 1: the number of updates with this one."""
    seconds: float
    """Since the step before it was handed over; the first one's hold the compilation."""
    loss: Any
    """fp32 []: the mean over the learnt tokens, before the update."""
    gradient_norm: Any
    """fp32 []: before clipping."""
    learning_rate: float
    tokens: int
    """Without padding."""
    learnt: int
    packing_efficiency: float
    """The share of the batch that is no padding."""

    @property
    def finite(self) -> bool:
        """True if loss and gradient are numbers; if not, the step changed nothing."""
        return bool(np.isfinite(self.loss) and np.isfinite(self.gradient_norm))


class Trainer(peft_trainer.PeftTrainer):  # type: ignore[misc]  # Tunix ships no types
    """Trains a model on batches until they end.

    Args:
        model: with or without LoRA, on the mesh.
        family: how it is called.
        attend: how its attention is computed.
        settings: method, batch and optimizer.
        saving: where checkpoints go, how often, and how many are kept.
        callbacks: called around every step, in order.
    """

    def __init__(
        self,
        model: nnx.Module,
        *,
        family: Family,
        attend: Attend,
        settings: Settings,
        saving: Saving,
        callbacks: StepCallbacks,
    ) -> None:
        self._family, self._attend, self._settings, self._callbacks = family, attend, settings, callbacks
        self._dtype = jnp.dtype(settings.compute)
        self._given: tuple[PackedBatch, float] | None = None
        self._last: TrainingStep | None = None
        self._handed = time.monotonic()
        self._interval, self._group = SaveInterval(saving.every), saving.group
        self._open = ExitStack()
        saving.folder.mkdir(parents=True, exist_ok=True)
        root = self._open.enter_context(literal_path(saving.folder))
        config = peft_trainer.TrainingConfig(
            eval_every_n_steps=1,  # required; without an eval_ds it does nothing
            checkpoint_root_directory=str(root),
            checkpointing_options=checkpoint_options(saving.max_to_keep, self._due),
        )
        self._learnt_kind = nnx.Param if settings.method == "full" else nnx.LoRAParam
        super().__init__(model, make_optimizer(settings), config)
        self._stack_layers()
        self.with_data_hooks(_Data(self))

    def _stack_layers(self) -> None:
        """Stack equal layers of the model, in its place, and what the optimizer has of them."""
        kinds = self._family.kinds
        before: Any = self.optimizer
        self.checkpoint_manager: Any = StackedCheckpoints(self.checkpoint_manager, self.model, before, kinds)
        stack(self.model, kinds)
        self.optimizer: Any = stack_optimizer(before, self.model, kinds)

    def unstack_layers(self) -> None:
        """Give the model its single layers back, in its place; no step is made behind this."""
        self.optimizer = None
        unstack(self.model, self._family.kinds)

    @property
    def restored(self) -> tuple[int, Mapping[str, Any] | None]:
        """The step of the checkpoint that was found, and the place that was kept with it; 0 and None without one."""
        return self._train_steps, (self._restored_custom_metadata or {}).get("place")

    def create_train_step_fn(self) -> Callable[..., Any]:
        """Make the function that Tunix compiles and calls with every batch."""
        family, settings, dtype, kind = self._family, self._settings, self._dtype, self._learnt_kind
        attend = self._attend

        def step(model: nnx.Module, optimizer: Any, inputs: Inputs) -> Any:
            arrays = {name: array for name, array in inputs.items() if name != "learning_rate"}
            total, gradients = loss_and_gradients(model, kind, family, arrays, settings, dtype, attend)
            learnt = jnp.maximum(arrays["loss_mask"][:, 1:].sum(), 1)
            loss, gradients = total / learnt, jax.tree.map(lambda one: one / learnt, gradients)
            norm = optax.tree.norm(gradients)
            finite = jnp.isfinite(loss) & jnp.isfinite(norm)
            before = learnt_state(model, optimizer, kind)
            optimizer.update(model, gradients, learning_rate=inputs["learning_rate"])
            undo_unless_finite(model, optimizer, kind, finite, before)
            return loss, norm, norm

        return step

    def _post_process_train_step(self, aux: Any) -> None:
        """Report what a step found. Tunix calls this behind each, before it asks whether to save it."""
        if self._given is None:
            return
        batch, rate = self._given
        jax.block_until_ready(self._buffered_train_metrics.losses[-1])  # else the time is that of handing it over alone
        self._last = TrainingStep(
            step=self._train_steps + 1,
            seconds=time.monotonic() - self._handed,
            loss=self._buffered_train_metrics.losses[-1],
            gradient_norm=aux,
            learning_rate=rate,
            tokens=int((batch.segments > 0).sum()),
            learnt=int(batch.loss_mask.sum()),
            packing_efficiency=batch.packing_efficiency,
        )
        if not self._last.finite:
            self.checkpoint_manager._checkpoint_manager.wait_until_finished()
        self._callbacks.after_step(self._last)

    def take_batch(self) -> Inputs | None:
        """Return the next step's arrays."""
        if self._last is not None:
            self._handed = time.monotonic()  # what was done between the steps is no step's time
        self._given = self._callbacks.next_batch(self._train_steps)
        if self._given is None:
            return None
        batch, rate = self._given
        inputs = {
            "tokens": batch.tokens,
            "loss_mask": batch.loss_mask,
            "segments": batch.segments,
            "positions": batch.positions,
            "learning_rate": np.asarray(rate, np.float32),
        }
        if self._group.count == 1:
            return inputs
        # Tunix would take what each process has for another part of the batch
        return {name: rows_on(mesh_of(self.model), array) for name, array in inputs.items()}

    def custom_checkpoint_metadata(self) -> dict[str, Any]:
        """Return what is kept beside the weights."""
        return {"place": dict(self._callbacks.data_position())}

    def run(self) -> None:
        """Train until there is no batch, and save the last step.

        Raises:
            CannotSave: a checkpoint could not be written; those before it are still there.
        """
        logging.getLogger("asyncio").addFilter(not_repeated)
        try:
            self.train([])
        except Exception as error:  # Orbax and tensorstore have several ways to tell of a full disk
            why = None if isinstance(error, UserError) else no_room(error)
            if why is None:
                raise
            raise CannotSave(why) from error
        finally:
            with suppress(OSError, ValueError):  # what was being written when it failed fails again
                self.checkpoint_manager.close()
            self._open.close()

    def _save_last_checkpoint(self) -> None:
        """Save with the place in the data, which Tunix's function of this name leaves out."""
        manager = self.checkpoint_manager
        if manager.latest_step() == self._train_steps or not self._train_steps:
            return
        self._callbacks.before_save()
        manager.save(
            self._train_steps,
            self.model,
            self.optimizer,
            save_only_lora_params=self._lora_enabled,
            force=True,
            custom_metadata=self.custom_checkpoint_metadata(),
        )

    def _due(self, step: int, saved: int | None) -> bool:
        return self._group.decide(f"save/{step}", lambda: self._interval.due(step, self._may_save))

    def _may_save(self) -> bool:
        """Refuse a step that was not finished, and let one save end before the next: training would wait for it."""
        saving = self.checkpoint_manager._checkpoint_manager.is_saving_in_progress()
        allowed = self._last is not None and self._last.finite and not saving
        if allowed:
            self._callbacks.before_save()
        return allowed

    def _log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log nothing: `StepCallbacks.after_step` is told of every step."""


class _Data(hooks.DataHooks):  # type: ignore[misc]
    """Gives Tunix's loop its batches."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def load_next_train_batch(self, train_ctx: Any) -> Inputs | None:
        return self._trainer.take_batch()

    def load_next_eval_batch(self, train_ctx: Any) -> None:
        return None
