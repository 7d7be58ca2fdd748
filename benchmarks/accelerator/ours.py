"""This package as it is measured: the one file here that knows its insides, hence the one to change with them."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.accelerator.shapes import ROWS, STUDENT
from tunixhack import train
from tunixhack._util.progress import Reporter

WARM_UP = 2
"""Steps that are not timed: the first compiles, and the second may."""
TRACED = 2
"""Steps of the profile, behind those that are timed."""


class Watching(Reporter):
    """Takes the time of every step, as it is reported, and a profile of the last ones.

    Args:
        traces: a folder for the profile; None without one.
        first: the step behind which the profile begins.
    """

    def __init__(self, traces: Path | None, first: int) -> None:
        self.said = io.StringIO()
        super().__init__(self.said)
        self.stamps: list[float] = []
        self._traces, self._first = traces, first

    def update(self, force: bool = False) -> None:
        """Take the time: a training calls this behind each step, and with force where nothing new was done."""
        import jax

        super().update(force)
        if force:
            return
        self.stamps.append(time.monotonic())
        if self._traces is not None and len(self.stamps) == self._first:
            jax.profiler.start_trace(str(self._traces))
        if self._traces is not None and len(self.stamps) == self._first + TRACED:
            jax.profiler.stop_trace()


def train_steps(work: Path, asked: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train by `tunixhack.train.sft`, as a user does, and return the steps' figures.

    Args:
        work: has the student and the rows.
        asked: method, rows, length, attention, and whether layers are computed one by one and not in a loop.
        steps: how many are made before those of the profile.
    """
    import jax

    from tunixhack.train.core.trainer import Trainer
    from tunixhack.train.report import metrics

    attention = None if asked.get("attention", "chosen") == "chosen" else asked["attention"]
    # not what is measured, and with all weights 12 GB
    Trainer._save_last_checkpoint = lambda self: None  # type: ignore[method-assign]
    if asked.get("single_layers"):
        Trainer._stack_layers = Trainer.unstack_layers = lambda self: None  # type: ignore[method-assign]
    which = (asked["method"], asked["rows"], asked["length"], asked.get("attention"), asked.get("single_layers", False))
    out = work / "-".join(["out", *map(str, which)])
    # a profile of a processor has no kernels to count
    watching = Watching(None if jax.default_backend() == "cpu" else out / "profile", steps)
    train.sft(
        str(work / ROWS), str(work / STUDENT), asked["method"], out=out, steps=steps + TRACED, samples=0, epochs=4,
        save_every=1e9, attention=attention, max_seq_len=asked["length"], batch_size=asked["rows"],
        validation_questions=0, report=watching,
    )  # fmt: skip
    lines = [line for line in metrics.read(out) if "tokens" in line]
    timed = lines[WARM_UP:steps]
    stamps = watching.stamps[WARM_UP - 1 : steps]
    seconds = (stamps[-1] - stamps[0]) / (len(stamps) - 1)
    told = re.search(r"memory: about ([\d.,]+ \wB)", watching.said.getvalue())
    return {
        "step_ms": 1e3 * seconds,
        "tokens": float(np.mean([line["tokens"] for line in timed])),
        "learnt": float(np.mean([line["learnt"] for line in timed])),
        "losses": [line["loss"] for line in lines],
        "first_step_seconds": lines[0]["seconds"],
        "told": told[1] if told else None,
        "profile": str(out / "profile"),
    }


def attention_errors(sizes: dict[str, int], shapes: Sequence[tuple[int, int, int | None]]) -> list[dict[str, Any]]:
    """Compare the attention that is chosen for a device with the dense one, forward and backward.

    Args:
        sizes: of the student, as config.json names them.
        shapes: rows, tokens and window.
    """
    import jax.numpy as jnp

    from tunixhack.train.attention.base import Shape
    from tunixhack.train.attention.check import drawn, errors, value_and_gradients
    from tunixhack.train.attention.choose import choose
    from tunixhack.train.attention.dense import dense
    from tunixhack.train.core.mesh import device_mesh

    found = []
    for rows, length, window in shapes:
        shape = Shape(
            rows=rows, length=length, heads=sizes["num_attention_heads"], kv_heads=sizes["num_key_value_heads"],
            head_dim=sizes["head_dim"], window=window, dtype=jnp.bfloat16,
        )  # fmt: skip
        arrays = drawn(shape, mean=175)
        chosen = choose(device_mesh(rows), replace(shape, segments=int(arrays.segments.max())))
        found.append(
            {
                "name": chosen.name, "rows": rows, "length": length, "window": window,
                "error": max(errors(chosen.attend, arrays, window)),
                "ms": milliseconds(lambda: value_and_gradients(chosen.attend, arrays, window)),  # noqa: B023
                "dense_ms": milliseconds(lambda: value_and_gradients(dense, arrays, window)),  # noqa: B023
            }
        )  # fmt: skip
    return found


def milliseconds(call: Any, rounds: int = 8) -> float:
    """Return the median time of a call that was compiled before."""
    import jax

    jax.block_until_ready(call())
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


def generate_tokens(work: Path, prompts: int, new: int) -> dict[str, Any]:
    """Ask a student with adapters twice; the first call compiles."""
    import jax

    from tunixhack.train.core.mesh import device_mesh
    from tunixhack.train.inference.generate import generate
    from tunixhack.train.models.load import find
    from tunixhack.train.settings import settings
    from tunixhack.train.student import Student

    compute = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    base = find(str(work / STUDENT))
    student = Student.prepare(base, settings("lora", compute=compute), device_mesh(jax.device_count()))
    rows = json.loads((work / ROWS).read_text(encoding="utf-8"))
    questions = [row["question"] for row in rows[:prompts]]
    seconds, tokens = [], 0
    for _ in range(2):
        began = time.perf_counter()
        tokens = sum(reply.tokens for reply in generate(student, questions, max_new_tokens=new))
        seconds.append(time.perf_counter() - began)
    return {
        "rows": prompts,
        "length": new,
        "tokens_per_second": tokens / seconds[1],
        "first_step_seconds": seconds[0],
        "new_tokens": tokens,
    }


def packed_arrays(work: Path, length: int, batches: int, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Return packed rows for peers: tokens, loss_mask, segments and positions, [batches × rows, length]."""
    from tunixhack.train.core.batches import step_inputs
    from tunixhack.train.data.packing import Packed

    packed = Packed(_tokens(work, length), max_seq_len=length, batch_size=rows, epochs=4)
    found = []
    for _ in range(batches):
        if (batch := packed.next()) is not None:
            found.append(step_inputs(batch))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def padded_arrays(work: Path, length: int, count: int) -> dict[str, npt.NDArray[Any]]:
    """Return rows that are filled up, as Tunix's notebooks have them: tokens and loss_mask, [count, length]."""
    data = _tokens(work, length)
    tokens, mask = np.zeros((count, length), np.int32), np.zeros((count, length), np.bool_)
    for place in range(count):
        row = data.row(place % len(data))
        tokens[place, : len(row.tokens)], mask[place, : len(row.tokens)] = row.tokens, row.loss_mask
    return {"tokens": tokens, "loss_mask": mask}


def load_base(work: Path) -> tuple[Any, Any]:
    """Return the student's base, and where its weights are."""
    import jax

    from tunixhack.train.core.mesh import device_mesh
    from tunixhack.train.models.load import find

    return find(str(work / STUDENT)), device_mesh(jax.device_count())


def _tokens(work: Path, length: int) -> Any:
    from tunixhack.train.data.datasets import read_all
    from tunixhack.train.data.tokenize import tokenise
    from tunixhack.train.models.load import find

    renderer = find(str(work / STUDENT)).renderer("tags", None)
    folder = work / f"tokens-{length}"
    folder.mkdir(exist_ok=True)
    return tokenise(
        read_all(str(work / ROWS)), renderer, max_seq_len=length, validation_questions=0, seed=0, folder=folder
    )
