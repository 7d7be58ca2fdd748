"""Tunix's trainer as we use it: the one file that knows its private ways (google-tunix 0.1.7).

Kept from Tunix: the loop, the optimizer on LoRA's parameters or all, sharded inputs, checkpoints. Ours, each through
a function that Tunix lets a subclass override:

* layers stacked: compiled once for all of them (`tunixhack.train.models.stacking`);
* the step: our loss, the rows in parts with every token counting alike, the learning rate as an input, and no update
  where a number is not finite;
* when a step is waited for: a few are handed over before the result of the first is looked at, so that the devices do
  not wait for this process;
* when a checkpoint is due: never behind a step that was not finite, only when all steps that were handed over are
  reported, and always with the position in the data, which Tunix's last save forgets;
* what is logged: Tunix's own logger sends everything to W&B wherever that is installed.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
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
from tunixhack.train.core.batches import put_on_mesh, step_inputs
from tunixhack.train.core.compile_timer import CompileTimer
from tunixhack.train.core.placement import mesh_of, rows_on
from tunixhack.train.core.saving import CannotSave, SaveInterval, Saving, checkpoint_options, no_room, not_repeated
from tunixhack.train.core.stacked_checkpoints import StackedCheckpoints, stack_optimizer
from tunixhack.train.core.step import Inputs, learnt_state, loss_and_gradients, make_optimizer, undo_unless_finite
from tunixhack.train.data.packing import PackedBatch
from tunixhack.train.models.family import Family
from tunixhack.train.models.stacking import stack, unstack
from tunixhack.train.settings import Settings

AHEAD = 2
"""Steps that are handed over, at most, while the one before them is under way. With one, a device has work while this
process reports a step; with a second, also where that takes longer than a step now and then."""
AHEAD_SECONDS = 5.0
"""The seconds that these may take, by the time of the last step. A signal that ends the training waits for them, and
where steps are long, what is done between two of them is no loss."""


@dataclass(frozen=True, eq=False)
class GivenBatch:
    """What a step is given."""

    batch: PackedBatch
    learning_rate: float
    inputs: Inputs | None = None
    """The batch's arrays where they are on the devices already, as `tunixhack.train.core.batches.put_on_mesh` returns
    them."""
    waited: float = 0.0
    """Seconds that were waited for the batch."""


class StepCallbacks(Protocol):
    """The functions that a trainer calls around its steps."""

    def next_batch(self, step: int) -> GivenBatch | None:
        """Return what the step behind ``step`` steps is given; None ends the training.

        Of the steps before it some may not be reported yet: `Trainer.wait` reports them.
        """
        ...

    def data_position(self) -> Mapping[str, Any]:
        """Return the position in the data behind the last batch that was given, as JSON."""
        ...

    def after_step(self, result: TrainingStep) -> None:
        """Take the result of a step, in order, and before a checkpoint of it or of a later one is written.

        Up to `AHEAD` later steps may have been handed over. Where the step was not finite, all checkpoints that were
        begun are on the disk, and raising an error keeps the later steps from being reported or saved.
        """
        ...

    def before_save(self) -> None:
        """Put on the disk what was reported of the steps so far, since a checkpoint of the last one is written next."""
        ...


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """The result of one step, which is over."""

    step: int
    """From 1: the number of updates with this one."""
    seconds: float
    """From the end of the step before it, or from its own handing over where that came later, to its end, as far as
    this process sees the ends. The first one's hold the compilation."""
    loss: float
    """The mean over the learnt tokens, before the update, in nats."""
    gradient_norm: float
    """Before clipping."""
    compiling: float
    """Those of the seconds in which jax compiled; 0 where the step was compiled before."""
    given: GivenBatch

    @property
    def tokens(self) -> int:
        """The tokens of the batch, without padding."""
        return int((self.given.batch.segments > 0).sum())

    @property
    def learnt(self) -> int:
        """The tokens under the loss mask."""
        return int(self.given.batch.loss_mask.sum())

    @property
    def finite(self) -> bool:
        """True if loss and gradient are numbers; if not, the step changed nothing."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


@dataclass(frozen=True, eq=False)
class _UnderWay:
    """A step that was handed over and not yet reported."""

    step: int
    given: GivenBatch
    handed: float
    """When, in seconds."""
    compiling: float
    """Seconds in which jax compiled it."""
    found: tuple[jax.Array, jax.Array]
    """fp32 []: loss and gradient norm; reading them waits for the step."""


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

    _buffered_train_metrics: Any

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
        self._given: GivenBatch | None = None
        self._under_way: deque[_UnderWay] = deque()
        self._last: TrainingStep | None = None
        self._handed = self._ended = -math.inf
        """When the last step was handed over, and when the last one that is reported ended."""
        self._pace: float | None = None
        """Seconds of the last step that is reported; None where none is known but that of the compiler's."""
        self._interval, self._group = SaveInterval(saving.every), saving.group
        self._compiling, self._compiled = CompileTimer(), 0.0
        self._mesh = mesh_of(model) if self._group.count > 1 else None
        """That batches are put on; None for one process, whose batches Tunix puts there."""
        self._open = ExitStack()
        saving.folder.mkdir(parents=True, exist_ok=True)
        root = self._open.enter_context(literal_path(saving.folder))
        config = peft_trainer.TrainingConfig(
            eval_every_n_steps=1,  # required; without an eval_ds it does nothing
            checkpoint_root_directory=str(root),
            checkpointing_options=checkpoint_options(saving.max_to_keep, self._due, saving.group),
            max_inflight_computations=0,  # no limit of Tunix's: `_may_be_ahead` is the one
        )
        self._learnt_kind = nnx.Param if settings.method == "full" else nnx.LoRAParam
        super().__init__(model, make_optimizer(settings), config)
        self._stack_layers()
        self.with_data_hooks(_Data(self))

    def _stack_layers(self) -> None:
        """Stack the layers of the model, in its place, and what the optimizer has of them."""
        before: Any = self.optimizer
        self.checkpoint_manager: Any = StackedCheckpoints(self.checkpoint_manager, self.model, before)
        stack(self.model)
        self.optimizer: Any = stack_optimizer(before, self.model)

    def unstack_layers(self) -> None:
        """Give the model its single layers back, in its place; no step is made behind this."""
        self.optimizer = None
        unstack(self.model)

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
        """Note that a step was handed over, and report what is over. Tunix asks after this whether to save."""
        if self._given is None:
            return
        found = self._buffered_train_metrics.losses[-1], aux
        compiling = self._compiling.seconds - self._compiled
        self._under_way.append(_UnderWay(self._train_steps + 1, self._given, self._handed, compiling, found))
        while len(self._under_way) > self._may_be_ahead():
            self._report_oldest()

    def _may_be_ahead(self) -> int:
        """Return how many steps may be under way while the next is made ready."""
        if not self._pace:
            return 0
        return min(AHEAD, int(AHEAD_SECONDS / self._pace))

    def wait(self) -> None:
        """Wait for all steps that were handed over, and report them."""
        while self._under_way:
            self._report_oldest()

    def _report_oldest(self) -> None:
        """Wait for the first step that is under way, and report it."""
        one = self._under_way.popleft()
        loss, norm = (float(number) for number in jax.device_get(one.found))
        now = time.monotonic()
        seconds = now - max(one.handed, self._ended)
        self._ended = now
        if self._last is not None:
            self._pace = seconds
        self._last = TrainingStep(one.step, seconds, loss, norm, one.compiling, one.given)
        if not self._last.finite:
            self.checkpoint_manager._checkpoint_manager.wait_until_finished()
        self._callbacks.after_step(self._last)

    def take_batch(self) -> Inputs | None:
        """Return the next step's arrays."""
        self._given = self._callbacks.next_batch(self._train_steps)
        if self._given is None:
            self.wait()
            return None
        self._compiled = self._compiling.seconds
        self._handed = time.monotonic()  # what was done between the steps is no step's time
        inputs, rate = self._given.inputs, np.asarray(self._given.learning_rate, np.float32)
        if self._mesh is None:
            return {**(step_inputs(self._given.batch) if inputs is None else inputs), "learning_rate": rate}
        # Tunix would take what each process has for another part of the batch
        inputs = put_on_mesh(step_inputs(self._given.batch), self._mesh) if inputs is None else inputs
        return {**inputs, "learning_rate": rows_on(self._mesh, rate)}

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
            with self._compiling:
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
        """Wait for all steps, and refuse one that was not finite; let one save end before the next."""
        if self.checkpoint_manager._checkpoint_manager.is_saving_in_progress():
            return False  # training would wait for it
        self.wait()
        allowed = self._last is not None and self._last.finite
        if allowed:
            self._callbacks.before_save()
        return allowed

    def _write_train_metrics(self) -> None:
        """Log nothing, which would wait for the step: `StepCallbacks.after_step` is told of every one."""
        self._buffered_train_metrics = None


class _Data(hooks.DataHooks):  # type: ignore[misc]
    """Gives Tunix's loop its batches."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def load_next_train_batch(self, train_ctx: Any) -> Inputs | None:
        return self._trainer.take_batch()

    def load_next_eval_batch(self, train_ctx: Any) -> None:
        return None
