"""The loss of a student or base on solutions that were given to it, one forward pass in batches; see `losses`.

As a reply, a loss is computed in a shape that follows its own length alone, so that neither other questions, a kill nor
a shard change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from tunixhack._util.progress import Reporter
from tunixhack.evaluate.brief import Brief
from tunixhack.evaluate.losses import STORED, Solutions, store_losses
from tunixhack.evaluate.students import StudentArm
from tunixhack.train.core.mesh import FSDP
from tunixhack.train.core.step import Inputs, batch_losses
from tunixhack.train.data.chat import Rendered
from tunixhack.train.inference.ready import compute_dtype
from tunixhack.train.student import Student

SHORTEST, LONGEST = 64, 4096
"""Tokens of the shortest row, and of all rows of a batch together unless a single one is longer."""


@dataclass(frozen=True)
class RowLoss:
    """The loss of one row's learnt tokens."""

    nats: float
    """Of all of them together."""
    tokens: int


def solution_losses(
    arm: StudentArm,
    rows: pl.DataFrame,
    solutions: Solutions,
    brief: Brief | None,
    *,
    known: pl.DataFrame,
    place: Path,
    report: Reporter,
) -> pl.DataFrame:
    """Return a student's losses on the solutions of questions; what is not known yet is computed, and stored.

    A solution that the student's context does not hold has no loss.

    Args:
        arm: the student or base; its weights are loaded when the first loss is missing.
        rows: the questions, in the QUESTION schema.
        solutions: of some of them.
        brief: how questions are put; None puts them as in training.
        known: what was computed before, by whom it may be, in the columns `STORED`.
        place: the arm's folder.
        report: where progress goes.

    Returns:
        The columns `STORED`.
    """
    wanted = {}
    for row in rows.iter_rows(named=True):
        solution = solutions.get(row["question_id"])
        if solution is not None:
            key, rendered = arm.rendered(row, solution, brief)
            if len(rendered.tokens) <= arm.base.context:
                wanted[key] = (row["question_id"], rendered)
    have = known.filter(pl.col("key").is_in(list(wanted)))
    missing = [key for key in wanted if key not in set(have["key"])]
    store_losses(place, have)
    done = 0
    for batch in row_losses(arm.student, [wanted[key][1] for key in missing]) if missing else ():
        new = [(missing[at], wanted[missing[at]][0], loss.nats, loss.tokens) for at, loss in batch]
        have = pl.concat([have, pl.DataFrame(new, schema=STORED, orient="row")])
        store_losses(place, have)
        done += len(batch)
        report.say(f"  loss on {done:,} of {len(missing):,} of the source's own solutions")
    return have


def row_losses(student: Student, rows: Sequence[Rendered]) -> Iterator[list[tuple[int, RowLoss]]]:
    """Yield the losses of conversations, a batch at a time, each with its place among them.

    Args:
        student: whose weights are used.
        rows: each at most as long as the student's context.
    """
    family, dtype, mesh = student.base.family, compute_dtype(student.mesh), student.mesh
    graph, state = nnx.split(student.model)
    split = NamedSharding(mesh, PartitionSpec(FSDP))
    losses = jax.jit(
        lambda state, inputs: batch_losses(nnx.merge(graph, state), family, inputs, dtype, student.attend).sum(axis=-1)
    )
    buckets: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        buckets.setdefault(padded_length(len(row.tokens)), []).append(place)
    devices = mesh.shape[FSDP]
    for length, places in sorted(buckets.items(), reverse=True):
        size = max(1, LONGEST // length // devices) * devices
        for start in range(0, len(places), size):
            batch = places[start : start + size]
            inputs = _inputs([rows[place] for place in batch], size, length)
            with mesh:
                found = np.asarray(losses(state, {name: jax.device_put(a, split) for name, a in inputs.items()}))
            yield [
                (place, RowLoss(float(found[at]), int(rows[place].loss_mask.sum()))) for at, place in enumerate(batch)
            ]


def padded_length(tokens: int) -> int:
    """Return the length that a row is filled up to: a power of two, or one and a half times one.

    >>> [padded_length(tokens) for tokens in (5, 65, 97, 129, 256)]
    [64, 96, 128, 192, 256]
    """
    power = max(SHORTEST, 1 << (tokens - 1).bit_length())
    return power * 3 // 4 if tokens <= power * 3 // 4 and power > SHORTEST else power


def _inputs(rows: Sequence[Rendered], size: int, length: int) -> Inputs:
    tokens, segments = np.zeros((size, length), np.int32), np.zeros((size, length), np.int32)
    mask = np.zeros((size, length), np.bool_)
    for at, row in enumerate(rows):
        own = slice(0, len(row.tokens))
        tokens[at, own], segments[at, own], mask[at, own] = row.tokens, 1, row.loss_mask
    positions = np.broadcast_to(np.arange(length, dtype=np.int32), (size, length))
    return {
        "tokens": jnp.asarray(tokens),
        "segments": jnp.asarray(segments),
        "loss_mask": jnp.asarray(mask),
        "positions": jnp.asarray(positions),
    }
