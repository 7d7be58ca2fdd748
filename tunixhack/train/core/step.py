"""The computation of one training step: the loss of a batch, its gradients, and the update that they make."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from tunixhack.train.attention.base import Attend
from tunixhack.train.core.loss import in_compute_dtype, token_losses
from tunixhack.train.models.family import Family
from tunixhack.train.settings import Settings

Inputs = dict[str, Any]
"""A step's arrays: those of a `Batch` and the learning rate."""


def make_optimizer(settings: Settings) -> optax.GradientTransformationExtraArgs:
    """Return AdamW with clipping, whose learning rate is given with every update."""

    def update(updates: Any, state: Any, params: Any = None, *, learning_rate: Any, **rest: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda change: -learning_rate * change, updates), state

    given_rate = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    found: optax.GradientTransformationExtraArgs = optax.chain(
        optax.clip_by_global_norm(settings.max_grad_norm),
        optax.scale_by_adam(),
        optax.add_decayed_weights(settings.weight_decay),
        given_rate,
    )
    return found


def forward(
    model: nnx.Module, family: Family, inputs: Inputs, dtype: Any, attend: Attend
) -> tuple[jax.Array, jax.Array]:
    """Return the last hidden states of a batch, [B, L, D], and the matrix that makes logits of them, [V, D]."""
    graph, state = nnx.split(model)
    computing = nnx.merge(graph, in_compute_dtype(state, dtype))
    hidden = family.hidden_states(computing, inputs["tokens"], inputs["positions"], inputs["segments"], attend)
    return hidden, family.output_table(computing)


def batch_losses(model: nnx.Module, family: Family, inputs: Inputs, dtype: Any, attend: Attend) -> jax.Array:
    """Return the loss of each learnt token of a batch, in nats: fp32 [B, L - 1], 0 on the others."""
    return token_losses(*forward(model, family, inputs, dtype, attend), inputs["tokens"], inputs["loss_mask"])


def summed_losses(model: nnx.Module, family: Family, inputs: Inputs, dtype: Any, attend: Attend) -> jax.Array:
    """Return the sum of the losses of a batch's learnt tokens, a scalar fp32."""
    return batch_losses(model, family, inputs, dtype, attend).sum()


def loss_and_gradients(
    model: nnx.Module, kind: Any, family: Family, arrays: Inputs, settings: Settings, dtype: Any, attend: Attend
) -> tuple[jax.Array, Any]:
    """Return the summed loss of a batch and its gradients, computed over parts of the batch one after the other."""
    graph, *states = nnx.split(model, kind, ...)
    learnt, rest = states
    of_part = jax.value_and_grad(
        lambda learnt, part: summed_losses(nnx.merge(graph, learnt, rest), family, part, dtype, attend)
    )
    parts = settings.batch_size // (settings.micro_batch_size or settings.batch_size)
    if parts == 1:
        found: tuple[jax.Array, Any] = of_part(learnt, arrays)
        return found
    # [batch, …] becomes [parts, batch / parts, …] such that each device keeps the rows that it has
    split = {name: jnp.swapaxes(a.reshape(-1, parts, *a.shape[1:]), 0, 1) for name, a in arrays.items()}

    def add(sums: Any, part: Inputs) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, of_part(learnt, part)), None

    nothing = jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, learnt)
    sums, _ = jax.lax.scan(add, nothing, split)
    return sums[0], sums[1]


def learnt_state(model: nnx.Module, optimizer: Any, kind: Any) -> list[jax.Array]:
    """Return the arrays that a step changes: those of one kind of variable, and the optimizer's."""
    return jax.tree.leaves((nnx.state(model, kind), nnx.state(optimizer, nnx.optimizer.OptState)))


def undo_unless_finite(
    model: nnx.Module, optimizer: Any, kind: Any, finite: jax.Array, before: list[jax.Array]
) -> None:
    """Undo a step that was not finite: put everything back that it changed, as `learnt_state` gave it before."""
    states = nnx.state(model, kind), nnx.state(optimizer, nnx.optimizer.OptState)
    after, tree = jax.tree.flatten(states)
    kept = [jnp.where(finite, new, old) for new, old in zip(after, before, strict=True)]
    of_model, of_optimizer = jax.tree.unflatten(tree, kept)
    nnx.update(model, of_model)
    nnx.update(optimizer, of_optimizer)
