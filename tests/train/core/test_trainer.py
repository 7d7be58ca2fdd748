"""Steps that are handed over ahead: their times, their order, and what is left of them where one went wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax.numpy as jnp

from tests.clock import Clock
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core import trainer as module
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.saving import Saving
from tunixhack.train.core.trainer import AHEAD, GivenBatch, Trainer, TrainingStep
from tunixhack.train.data.packing import PackedBatch
from tunixhack.train.models.load import find
from tunixhack.train.settings import settings
from tunixhack.train.student import Student

BATCH, LENGTH = 4, 32
POISON = 13
"""A token that makes a step's loss no number, and leaves the next one's as it is."""


def batch(token: int = 7) -> PackedBatch:
    tokens = np.full((BATCH, LENGTH), token, np.int32)
    here = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    everything = {"tokens": tokens, "loss_mask": here > 0, "segments": np.ones_like(tokens), "positions": here}
    more = {name: np.zeros_like(tokens) for name in PackedBatch.__dataclass_fields__ if name not in everything}
    return PackedBatch(**everything, **more)


class Device:
    """A device that computes one step after the other, each for some seconds, on a clock of its own."""

    def __init__(self, seconds: float) -> None:
        self.clock, self.seconds = Clock(), seconds
        self.free = self.clock.now
        self.ends: dict[int, float] = {}

    def hand_over(self, step: int) -> None:
        self.free = max(self.free, self.clock.now) + self.seconds
        self.ends[step] = self.free

    def wait(self, step: int) -> None:
        self.clock.now = max(self.clock.now, self.ends[step])


class Steps:
    """The steps of a training on chosen tokens, behind each of which this process works for some seconds."""

    def __init__(self, device: Device, tokens: list[int], between: float = 0.0) -> None:
        self.device, self.tokens, self.between = device, tokens, between
        self.told: list[TrainingStep] = []
        self.most_under_way = 0
        self.saved_behind: list[int] = []

    def next_batch(self, step: int) -> GivenBatch | None:
        if step == len(self.tokens):
            return None
        self.device.hand_over(step + 1)
        self.most_under_way = max(self.most_under_way, step + 1 - len(self.told))
        return GivenBatch(batch(self.tokens[step]), 1e-5)

    def data_position(self) -> dict[str, int]:
        return {}

    def after_step(self, result: TrainingStep) -> None:
        self.told.append(result)
        self.device.clock.now += self.between
        if not result.finite:
            raise ArithmeticError

    def before_save(self) -> None:
        self.saved_behind.append(len(self.told))


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """Train a tiny student from its first weights; returns the folder of the checkpoints."""
    folder = tmp_path_factory.mktemp("tiny")
    plan = settings("lora", batch_size=BATCH, max_seq_len=LENGTH, compute="float32")
    mesh = device_mesh(BATCH)
    base = find(write_tiny_student(folder / "tiny", "llama"))
    usual = module.loss_and_gradients

    def poisoned(model: Any, kind: Any, family: Any, arrays: Any, *rest: Any) -> Any:
        total, gradients = usual(model, kind, family, arrays, *rest)
        return jnp.where(arrays["tokens"][0, 0] == POISON, jnp.nan, total), gradients

    count = iter(range(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "loss_and_gradients", poisoned)

        def trained(steps: Steps, every: float = 1e9) -> Path:
            actor = folder / str(next(count))
            student = Student.prepare(base, plan, mesh)
            report = Trainer._report_oldest

            def waiting(self: Trainer) -> None:
                steps.device.wait(self._under_way[0].step)
                report(self)

            with pytest.MonkeyPatch.context() as timed, mesh:
                clock = steps.device.clock
                timed.setattr(module, "time", clock)
                timed.setattr(module, "SaveInterval", functools.partial(module.SaveInterval, now=clock.monotonic))
                timed.setattr(Trainer, "_report_oldest", waiting)
                trainer = Trainer(
                    student.model,
                    family=student.base.family,
                    attend=student.attend,
                    settings=plan,
                    saving=Saving(actor, max_to_keep=9, every=every),
                    callbacks=steps,
                )
                trainer.run()
            return actor

        yield trained


def saved(actor: Path) -> list[int]:
    return sorted(int(place.name) for place in actor.iterdir() if place.name.isdigit())


def test_where_steps_are_long_none_is_ahead_and_the_time_is_that_of_computing(train):
    steps = Steps(Device(60.0), [7] * 3, between=5.0)
    train(steps)
    assert [one.seconds for one in steps.told] == [60.0] * 3
    assert steps.most_under_way == 1


def test_where_steps_are_short_a_few_are_ahead_and_the_device_never_waits(train):
    device = Device(1.0)
    steps = Steps(device, [7] * 8, between=0.5)
    began = device.clock.now
    actor = train(steps)
    assert steps.most_under_way == 1 + AHEAD
    assert [one.step for one in steps.told] == list(range(1, 9))
    assert [one.seconds for one in steps.told] == [1.0] * 8
    # the first two are waited for, since the first one's time is the compiler's
    assert device.free - began == 8 * 1.0 + 2 * 0.5
    assert saved(actor) == [8]
    assert steps.saved_behind == [8]


def test_where_this_process_is_the_slower_the_time_of_a_step_is_the_processs(train):
    steps = Steps(Device(0.001), [7] * 8, between=2.0)
    train(steps)
    assert [one.seconds for one in steps.told[3:]] == pytest.approx([2.0] * 5, abs=0.01)


def test_steps_behind_one_that_is_not_finite_are_neither_told_nor_saved(train):
    steps = Steps(Device(1.0), [7, 7, 7, 7, POISON, 7, 7, 7])
    with pytest.raises(ArithmeticError):
        train(steps)
    assert steps.most_under_way == 1 + AHEAD
    assert [(one.step, one.finite) for one in steps.told] == [(1, True), (2, True), (3, True), (4, True), (5, False)]
    assert steps.told[-1].given.batch.tokens[0, 0] == POISON
    assert steps.saved_behind == []


def test_the_last_step_is_told_before_it_is_saved_also_where_it_is_not_finite(train):
    steps = Steps(Device(1.0), [7, 7, 7, 7, POISON])
    with pytest.raises(ArithmeticError):
        train(steps)
    assert len(steps.told) == 5
    assert steps.saved_behind == []


def test_a_checkpoint_waits_for_all_steps_that_were_handed_over(train):
    steps = Steps(Device(1.0), [7] * 9)
    actor = train(steps, every=6.0)
    assert steps.most_under_way > 1
    due = [step for step in saved(actor) if step < 9]
    assert due
    assert steps.saved_behind == saved(actor)  # so many were told when each was saved


def test_steps_that_are_handed_over_ahead_find_what_others_find(train):
    tokens = [7, 8, 9, 10, 11, 12]
    one_by_one, ahead = Steps(Device(60.0), tokens), Steps(Device(1.0), tokens)
    train(one_by_one)
    train(ahead)
    assert [one.loss for one in ahead.told] == [one.loss for one in one_by_one.told]
    assert ahead.most_under_way > one_by_one.most_under_way
