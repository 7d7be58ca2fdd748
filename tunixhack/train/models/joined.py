"""Several matrices of a layer that meet the same input, as one product: what makes q, k and v, and gate and up.

A student's layers stay Tunix's, and so do the names and shapes of its weights: matrices are put beside one another
while a step is computed, and what comes of their gradients goes apart again by itself. Adapters of LoRA are joined
likewise: all of the first matrices are one product, and each second one is its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from tunixhack.errors import UserError

LORA_A, LORA_B = "_lora_a", "_lora_b"
"""What qwix calls the adapters of a weight, behind its name."""

PRODUCT = "product"
"""The name of what products with weights give, in rules of what to keep (`jax.checkpoint`)."""


class _Matrix(NamedTuple):
    """A module's weight as a matrix."""

    weight: jax.Array
    """[D, O], all outputs in one dimension."""
    outputs: tuple[int, ...]
    """Their shape."""
    first: jax.Array | None
    """[D, R], LoRA's first matrix; None without adapters."""
    second: jax.Array | None
    """[R, O]."""


def joined(x: jax.Array, modules: Sequence[nnx.Module], lora_scale: float | None) -> list[jax.Array]:
    """Multiply one input with several modules' matrices.

    Args:
        x: [B, L, D].
        modules: Linear of flax without bias, or Einsum of Tunix, with LoRA of qwix or without.
        lora_scale: what LoRA's output is multiplied with; None where that is not known.

    Returns:
        [B, L, …] of each: what stands behind D in a weight, in its order. Weights of four bits are not joined.

    Raises:
        UserError: there are adapters, and what their output is multiplied with is not known.
    """
    if any(quantised(module) for module in modules):
        return [kept(_apart(x, module)) for module in modules]
    parts = [_matrix(module) for module in modules]
    found = _products(x, [part.weight for part in parts])
    firsts = [part.first for part in parts if part.first is not None]
    if firsts:
        if lora_scale is None:
            raise UserError(
                "the scale of this model's adapters is not known: add them by tunixhack.train.core.mesh.with_lora, or "
                "note it as model.lora_scale = alpha / rank"
            )
        low = iter(_split(x @ jnp.concatenate(firsts, 1), [first.shape[1] for first in firsts]))
        found = [
            product if part.second is None else product + (next(low) @ part.second) * lora_scale
            for product, part in zip(found, parts, strict=True)
        ]
    return [kept(array.reshape(*x.shape[:-1], *part.outputs)) for array, part in zip(found, parts, strict=True)]


@jax.custom_vjp
def _products(x: jax.Array, weights: Sequence[jax.Array]) -> list[jax.Array]:
    """Multiply [B, L, D] with matrices [D, …], in one product forward and in one of each backward.

    Backward, one product would first copy all gradients that come in beside one another. Of Gemma 3 1B's gate and up
    that is 226 MB written and read for 8,192 tokens, a third of the time of the product itself.
    """
    return _split(x @ jnp.concatenate(weights, 1), [weight.shape[1] for weight in weights])


def _products_backward(kept: tuple[jax.Array, Sequence[jax.Array]], changes: Sequence[jax.Array]) -> tuple[Any, Any]:
    x, weights = kept
    of_x = sum(change @ weight.T for change, weight in zip(changes, weights, strict=True))
    flat = x.reshape(-1, x.shape[-1])
    of_weights = [flat.T @ change.reshape(-1, change.shape[-1]) for change in changes]
    return of_x, of_weights


_products.defvjp(lambda x, weights: (_products(x, weights), (x, weights)), _products_backward)


def kept(product: jax.Array) -> jax.Array:
    """Name what a product with weights gave, adapters included, as worth keeping for the backward pass."""
    named: jax.Array = checkpoint_name(product, PRODUCT)
    return named


def quantised(module: nnx.Module) -> bool:
    """Return whether qwix keeps a module's weight in fewer bits."""
    return not isinstance(getattr(module, _name(module)), nnx.Variable)


def _name(module: Any) -> str:
    return "kernel" if isinstance(module, nnx.Linear) else "w"


def _matrix(module: Any) -> _Matrix:
    name = _name(module)
    weight: jax.Array = getattr(module, name)[...]
    if isinstance(module, nnx.Linear):
        axis = 0
    else:
        left, right, _ = _letters(module.einsum_str)
        axis = right.index(left[-1])
    weight = jnp.moveaxis(weight, axis, 0)
    width, *outputs = weight.shape
    flat = math.prod(outputs)
    first, second = (getattr(module, name + part, None) for part in (LORA_A, LORA_B))
    if first is None or second is None:
        return _Matrix(weight.reshape(width, flat), tuple(outputs), None, None)
    first, second = first[...], second[...]
    return _Matrix(weight.reshape(width, flat), tuple(outputs), first, second.reshape(first.shape[1], flat))


def _letters(equation: str) -> tuple[str, str, str]:
    inputs, output = equation.replace(" ", "").split("->")
    left, right = inputs.split(",")
    return left, right, output


def _apart(x: jax.Array, module: Any) -> jax.Array:
    """Call a module as it is, and bring its output's dimensions into the order of `joined`."""
    found: jax.Array = module(x)
    if isinstance(module, nnx.Linear):
        return found
    left, right, output = _letters(module.einsum_str)
    wanted = left[:-1] + right.replace(left[-1], "")
    return jnp.transpose(found, [output.index(letter) for letter in wanted])


def _split(x: jax.Array, sizes: Sequence[int]) -> list[jax.Array]:
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes) - 1)]
    return jnp.split(x, ends, axis=-1)
