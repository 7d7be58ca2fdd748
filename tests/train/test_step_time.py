"""A step's time is that of its computing, which jax hands over and does not wait for, and of nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax

from tests.clock import Clock
from tunixhack.testing.student import write_tiny_student
from tunixhack.train import trainer as module
from tunixhack.train.mesh import device_mesh
from tunixhack.train.packing import Batch
from tunixhack.train.settings import settings
from tunixhack.train.student import Student
from tunixhack.train.students.find import find
from tunixhack.train.trainer import StepResult, Trainer

STEPS, BATCH, LENGTH = 3, 4, 32


def batch() -> Batch:
    tokens = np.full((BATCH, LENGTH), 7, np.int32)
    here = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    everything = {"tokens": tokens, "loss_mask": here > 0, "segments": np.ones_like(tokens), "positions": here}
    more = {name: np.zeros_like(tokens) for name in Batch.__dataclass_fields__ if name not in everything}
    return Batch(**everything, **more)


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


def test_a_steps_time_is_that_of_its_computing_and_not_of_what_is_done_between_steps(tmp_path, clock):
    plan = settings("lora", batch=BATCH, length=LENGTH, compute="float32")
    mesh = device_mesh(BATCH)
    student = Student.prepare(find(write_tiny_student(tmp_path / "tiny", "llama")), plan, mesh)
    told: list[float] = []

    def after_step(trainer: Trainer, result: StepResult) -> None:
        told.append(result.seconds)
        clock.now += 5

    trainer = Trainer(
        student.model,
        family=student.base.family,
        settings=plan,
        folder=tmp_path / "actor",
        keep=1,
        save_every=1e9,
        next_batch=lambda step: (batch(), 1e-5) if step < STEPS else None,
        place=dict,
        after_step=after_step,
    )
    with mesh:
        trainer.run()
    assert told == [60.0] * STEPS
