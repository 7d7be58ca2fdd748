"""A step's time is that of its computing, which jax hands over and does not wait for."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.testing.student import write_tiny_student
from tunixhack.train.mesh import device_mesh
from tunixhack.train.packing import Batch
from tunixhack.train.settings import settings
from tunixhack.train.student import Student
from tunixhack.train.students.find import find
from tunixhack.train.trainer import StepResult, Trainer

STEPS, BATCH, LENGTH = 5, 4, 512


def batch() -> Batch:
    tokens = np.full((BATCH, LENGTH), 7, np.int32)
    here = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
    everything = {"tokens": tokens, "loss_mask": here > 0, "segments": np.ones_like(tokens), "positions": here}
    more = {name: np.zeros_like(tokens) for name in Batch.__dataclass_fields__ if name not in everything}
    return Batch(**everything, **more)


def test_the_times_of_the_steps_add_up_to_the_time_that_passed(tmp_path):
    plan = settings("lora", batch=BATCH, length=LENGTH, compute="float32")
    mesh = device_mesh(BATCH)
    student = Student.prepare(find(write_tiny_student(tmp_path / "tiny")), plan, mesh)
    told: list[tuple[float, float]] = []

    def after_step(trainer: Trainer, result: StepResult) -> None:
        told.append((time.monotonic(), result.seconds))

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
    (began, _), *rest = told  # the first one compiles
    assert len(rest) == STEPS - 1
    assert sum(seconds for _, seconds in rest) > 0.7 * (rest[-1][0] - began)
