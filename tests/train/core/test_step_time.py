"""A step's time is that of its computing, which jax hands over and does not wait for, and of nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax

from tests.clock import Clock
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core import trainer as module
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.saving import Saving
from tunixhack.train.core.trainer import Trainer, TrainingStep
from tunixhack.train.data.packing import PackedBatch
from tunixhack.train.models.load import find
from tunixhack.train.settings import settings
from tunixhack.train.student import Student

STEPS, BATCH, LENGTH = 3, 4, 32


def batch() -> PackedBatch:
    tokens = np.full((BATCH, LENGTH), 7, np.int32)
    here = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    everything = {"tokens": tokens, "loss_mask": here > 0, "segments": np.ones_like(tokens), "positions": here}
    more = {name: np.zeros_like(tokens) for name in PackedBatch.__dataclass_fields__ if name not in everything}
    return PackedBatch(**everything, **more)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock on which computing takes a minute, once it is waited for, and nothing else takes any time."""
    clock, wait = Clock(), jax.block_until_ready

    def waiting(arrays: Any) -> Any:
        clock.now += 60
        return wait(arrays)

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(jax, "block_until_ready", waiting)
    return clock


class Steps:
    """The steps of the test, behind each of which some seconds pass."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.told: list[float] = []

    def next_batch(self, step: int) -> tuple[PackedBatch, float] | None:
        return (batch(), 1e-5) if step < STEPS else None

    def data_position(self) -> dict[str, int]:
        return {}

    def after_step(self, result: TrainingStep) -> None:
        self.told.append(result.seconds)
        self.clock.now += 5

    def before_save(self) -> None:
        pass


def test_a_steps_time_is_that_of_its_computing_and_not_of_what_is_done_between_steps(tmp_path, clock):
    plan = settings("lora", batch_size=BATCH, max_seq_len=LENGTH, compute="float32")
    mesh = device_mesh(BATCH)
    student = Student.prepare(find(write_tiny_student(tmp_path / "tiny", "llama")), plan, mesh)
    steps = Steps(clock)
    trainer = Trainer(
        student.model,
        family=student.base.family,
        settings=plan,
        saving=Saving(tmp_path / "actor", max_to_keep=1, every=1e9),
        callbacks=steps,
    )
    with mesh:
        trainer.run()
    assert steps.told == [60.0] * STEPS
