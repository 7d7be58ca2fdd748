"""The attention of a training: which one it is, and a comparison of its loss with the dense one's on a batch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from tunixhack._util.progress import Reporter
from tunixhack.train.attention.base import Attend, Shape, most_segments
from tunixhack.train.attention.check import compare
from tunixhack.train.attention.choose import Chosen, choose
from tunixhack.train.attention.dense import dense
from tunixhack.train.core.batches import put_on_mesh, step_inputs
from tunixhack.train.core.step import Inputs, batch_losses
from tunixhack.train.data.packing import Packed
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.models.base_model import Base
from tunixhack.train.settings import Settings
from tunixhack.train.student import Student


def choose_attention(
    base: Base, chosen: Settings, data: TokenSet, mesh: Mesh, *, name: str | None, report: Reporter
) -> Chosen:
    """Choose the attention for a training on these devices, and say which it is.

    Args:
        base: the student.
        chosen: the lengths and numbers of a step.
        data: whose rows are packed.
        mesh: the devices.
        name: the one that the user asks for; None to choose.
        report: told of the choice, and of what was tried before it.

    Raises:
        UserError: the one that was asked for is unknown, or cannot be had here.
    """
    shape = Shape(
        rows=chosen.micro_batch_size or chosen.batch_size,
        length=chosen.max_seq_len,
        heads=base.config.num_heads,
        kv_heads=base.config.num_kv_heads,
        head_dim=base.config.head_dim,
        window=getattr(base.config, "sliding_window_size", None),
        dtype=jnp.dtype(chosen.compute),
        segments=most_segments(data.lengths, chosen.max_seq_len),
    )
    found = choose(mesh, shape, name)
    for note in found.notes:
        report.say(note)
    return found


def check_attention(student: Student, name: str, data: TokenSet, report: Reporter) -> None:
    """Compare the loss of the first batch with what it is with dense attention, before anything is learnt.

    Args:
        student: before its training.
        name: of its attention.
        data: its tokens.
        report: told both losses.

    Raises:
        UserError: they differ by more than rounding explains.
    """
    settings, mesh = student.settings, student.mesh
    rows = settings.micro_batch_size or settings.batch_size
    batch = Packed(data, max_seq_len=settings.max_seq_len, batch_size=rows, seed=settings.seed).next()
    if batch is None:
        return  # less than a batch of rows is an error of its own, told before
    inputs = put_on_mesh(step_inputs(batch), mesh)
    with mesh:
        loss, dense_loss = (_mean(student, attend, inputs) for attend in (student.attend, dense))
    report.say(f"attention checked: the first batch has a loss of {loss:.6g}, with dense attention {dense_loss:.6g}")
    compare(name, loss, dense_loss, settings.compute)


def _mean(student: Student, attend: Attend, inputs: Inputs) -> float:
    graph, state = nnx.split(student.model)
    family, dtype = student.base.family, jnp.dtype(student.settings.compute)
    losses = jax.jit(lambda state, inputs: batch_losses(nnx.merge(graph, state), family, inputs, dtype, attend))
    learnt = inputs["loss_mask"][:, 1:].sum()
    return float(losses(state, inputs).sum() / learnt)
