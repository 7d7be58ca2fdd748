"""LoRA merged into plain weights: W + (lora_alpha / lora_rank) · A · B for every matrix that has adapters.

Tunix merges for Gemma only, into one safetensors file, and removes the folder that it writes into. Here the result is
a model of Tunix like any other, which a family writes as it writes a fully trained one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import nnx

from tunixhack.train.core.loss import in_compute_dtype

A, B = "_lora_a", "_lora_b"
"""How qwix names the two adapters of a parameter, behind the parameter's own name."""

Array = npt.NDArray[np.float32]


def plain_model(student: Any) -> nnx.Module:
    """Return a student's weights as a model without adapters.

    Args:
        student: a `tunixhack.train.student.Student`. Fully trained, its own model is returned. Otherwise the base is
            read again, rounded as it was for the training, and the adapters are merged into that in fp32. Under QLoRA
            these are the weights before they were quantised to four bits.
    """
    if student.settings.method == "full":
        model: nnx.Module = student.model
        return model
    plain: nnx.Module = student.base.load(student.mesh, jnp.dtype(student.settings.compute))
    nnx.update(plain, in_compute_dtype(nnx.state(plain, nnx.Param), jnp.float32))
    merge(student.model, plain, scale=student.settings.lora_alpha / student.settings.lora_rank)
    return plain


def merge(adapted: nnx.Module, plain: nnx.Module, *, scale: float) -> None:
    """Add a model's adapters to the weights of a model without any.

    Args:
        adapted: has LoRA by qwix.
        plain: the same model before, with weights in fp32; changed in place, each weight where it is.
        scale: alpha / rank.
    """
    adapters = dict(nnx.to_flat_state(nnx.state(adapted, nnx.LoRAParam)))
    firsts = [path for path in adapters if str(path[-1]).endswith(A)]
    if not firsts or len(adapters) != 2 * len(firsts):
        raise ValueError("the model's adapters are not pairs of _lora_a and _lora_b")
    for path in firsts:
        where, name = path[:-1], str(path[-1]).removesuffix(A)
        first, second = _numbers(adapters[path]), _numbers(adapters[*where, name + B])
        weight = getattr(_at(plain, where), name)
        old = weight[...]
        change = np.einsum(adapter_equation(_at(adapted, where), name), first, second, optimize=True)
        weight[...] = jax.device_put(np.asarray(old, np.float32) + np.float32(scale) * change, old.sharding)


def adapter_equation(module: Any, name: str) -> str:
    """Return the einsum equation that multiplies two adapters such that the result lies as their weight does.

    qwix gives A the contracted dimensions of the weight and B the others, both in the weight's order. Which are which
    an einsum says; any other weight with adapters is the kernel [in, out] of a linear layer.

    Args:
        module: has the weight and its adapters.
        name: of the weight.
    """
    adapted_einsum = getattr(module, f"{name}_lora_einsum_str", None)
    if adapted_einsum is None:
        assert len(getattr(module, name).shape) == 2, f"{name} is no kernel of a linear layer"
        return "ar,rb->ab"
    _, left, right = adapted_einsum.partition("->")[0].split(",")
    weight = module.einsum_str.replace(" ", "").partition("->")[0].split(",")[1]
    return f"{left},{right}->{weight}"


def first_broken(model: nnx.Module) -> str | None:
    """Name the first parameter that holds a number that is not finite, or None."""
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        for leaf in jax.tree.leaves(variable):  # several of a quantised weight
            if jnp.issubdtype(leaf.dtype, jnp.floating) and not np.isfinite(np.asarray(leaf, np.float32)).all():
                return ".".join(map(str, path))
    return None


def _at(model: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        model = model[key] if isinstance(key, int) or isinstance(model, Mapping) else getattr(model, key)
    return model


def _numbers(variable: Any) -> Array:
    return np.asarray(jax.device_get(variable[...]), np.float32)
