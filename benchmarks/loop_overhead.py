"""Seconds of short training steps through our trainer over those of the bare compiled step: what a loop costs.

A tiny student learns sums, a step in milliseconds, so that everything beside the step weighs as much as it can. The
bare side calls the same compiled function with arrays that are on the device already and waits once, at the end. Ours
packs batches, tells every step, and writes its line and TensorBoard's, as a training does. All sides take turns.

    loop_overhead             with steps ahead, and batches made ready in a thread, as trainings run (goal: ≤ 1.5)
    loop_overhead_no_ahead    each step waited for before the next is sent, and packed in between
    loop_overhead_gain        seconds of the second over those of the first, round by round (goal: ≥ 1.0)

On a processor this process and the step share the cores; what an accelerator gains was not measured.

    python benchmarks/loop_overhead.py [--steps 100] [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the figures are of this machine's processor

import jax
import numpy as np
from flax import nnx

from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core import trainer as trainer_file
from tunixhack.train.core.batches import put_on_mesh, step_inputs
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.core.saving import Saving
from tunixhack.train.core.trainer import GivenBatch, Trainer, TrainingStep
from tunixhack.train.data.datasets import read
from tunixhack.train.data.packing import Packed
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.data.tokenize import tokenise
from tunixhack.train.models.load import find
from tunixhack.train.report import metrics
from tunixhack.train.run.batches import PreparedBatches
from tunixhack.train.run.step_numbers import StepNumbers
from tunixhack.train.settings import settings
from tunixhack.train.student import Student

RATE = 1e-4
NO_END = 1000
"""Epochs: more batches than are asked for."""


class Sides:
    """One student, and the ways to train it."""

    def __init__(self, folder: Path) -> None:
        self.plan = settings("lora", batch_size=4, max_seq_len=128, epochs=NO_END, compute="float32")
        self.mesh = device_mesh(self.plan.batch_size)
        base = find(str(write_tiny_student(folder / "tiny", "llama")))
        self.data = sums(folder, base.renderer(self.plan.format, None), self.plan.max_seq_len)
        self.student = Student.prepare(base, self.plan, self.mesh)
        self._numbers = StepNumbers(self.student)
        self._sinks: list[metrics.Sink] = [metrics.JsonLines(folder, 0), metrics.TensorBoard(folder, 0)]
        self._end = 0
        self._batches: PreparedBatches | Packed | None = None
        self.trainer = Trainer(
            self.student.model,
            family=base.family,
            attend=self.student.attend,
            settings=self.plan,
            saving=Saving(folder / "actor", max_to_keep=1, every=1e9),
            callbacks=self,
        )
        self.trainer.is_managed_externally = True  # Tunix's word for: there is more to come, do not close

    def packed(self) -> Packed:
        """Return the batches from the first."""
        plan = self.plan
        return Packed(self.data, max_seq_len=plan.max_seq_len, batch_size=plan.batch_size, epochs=NO_END)

    def next_batch(self, step: int) -> GivenBatch | None:
        """Return the next batch, made ready by whatever this side has."""
        if step >= self._end:
            return None
        if isinstance(self._batches, PreparedBatches):
            return self._batches.next(RATE)
        assert self._batches is not None
        batch = self._batches.next()
        return None if batch is None else GivenBatch(batch, RATE)

    def data_position(self) -> Mapping[str, Any]:
        """Return nothing: no checkpoint is gone on from."""
        return {}

    def after_step(self, result: TrainingStep) -> None:
        """Write what a training writes."""
        metrics.write_all(self._sinks, result.step, self._numbers.of(result))

    def before_save(self) -> None:
        """Do nothing: nothing is saved."""

    def through_trainer(self, steps: int, *, ahead: bool) -> float:
        """Train for so many steps; returns the seconds of one."""
        usual = trainer_file.AHEAD
        batches = PreparedBatches(self.packed(), self.mesh) if ahead else self.packed()
        entered: AbstractContextManager[Any] = batches if isinstance(batches, PreparedBatches) else nullcontext()
        self._batches, self._end = batches, self.trainer.train_steps + steps
        trainer_file.AHEAD = usual if ahead else 0
        try:
            with self.mesh, entered:
                began = time.perf_counter()
                self.trainer.train([])
                return (time.perf_counter() - began) / steps
        finally:
            trainer_file.AHEAD = usual

    def bare(self, steps: int) -> float:
        """Call the compiled step so many times; returns the seconds of one."""
        packed = self.packed()
        with self.mesh:
            step, _ = self.trainer.jit_train_and_eval_step(False, True)
            rate = np.asarray(RATE, np.float32)
            given = []
            for _ in range(steps):
                batch = packed.next()
                assert batch is not None
                given.append({**put_on_mesh(step_inputs(batch), self.mesh), "learning_rate": rate})
            jax.block_until_ready(given)
            began = time.perf_counter()
            found = [step(one)[0] for one in given]
            jax.block_until_ready(found)
            jax.block_until_ready(jax.tree.leaves(nnx.state(self.student.model, nnx.LoRAParam)))
            return (time.perf_counter() - began) / steps


def sums(folder: Path, renderer: Any, length: int) -> TokenSet:
    """Write sums with their solutions, and turn them into tokens."""
    rows = folder / "sums.jsonl"
    found = [
        {"prompt": f"What is {one} + {other}?", "response": f"<think>I add.</think>{one + other}"}
        for one in range(20)
        for other in range(20)
    ]
    rows.write_text("".join(f"{json.dumps(row)}\n" for row in found), encoding="utf-8")
    return tokenise([read(rows)], renderer, max_seq_len=length)


def told(name: str, ratios: Sequence[float], goal: str) -> None:
    """Print the median of some rounds and their span."""
    print(f"{name}: {statistics.median(ratios):.2f}")
    print(f"  goal {goal}; rounds {', '.join(f'{one:.2f}' for one in ratios)}; load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Let the sides take turns, and print how they compare."""
    parser = argparse.ArgumentParser(description="Short steps through our trainer over the bare compiled step.")
    parser.add_argument("--steps", type=int, default=100, help="of each side in a round")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        sides = Sides(Path(kept))
        for ahead in (True, False):
            sides.through_trainer(5, ahead=ahead)  # compiles
        sides.bare(5)
        rounds = [
            (
                sides.through_trainer(asked.steps, ahead=True),
                sides.through_trainer(asked.steps, ahead=False),
                sides.bare(asked.steps),
            )
            for _ in range(asked.rounds)
        ]
    told("loop_overhead", [now / bare for now, _, bare in rounds], "≤ 1.5")
    told("loop_overhead_no_ahead", [waited / bare for _, waited, bare in rounds], "none")
    told("loop_overhead_gain", [waited / now for now, waited, _ in rounds], "≥ 1.0")
    print(f"  {1000 * min(bare for _, _, bare in rounds):.1f} ms a bare step at best")


if __name__ == "__main__":
    main()
