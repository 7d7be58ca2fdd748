"""Adapters whose scale nobody has noted are told of, and not computed with some other scale."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tunixhack.errors import UserError
from tunixhack.train.models.joined import joined
from tunixhack.train.models.packed import lora_scale


def test_adapters_without_a_scale_are_a_sentence():
    plain, adapted = (nnx.Linear(3, 2, use_bias=False, rngs=nnx.Rngs(0)) for _ in range(2))
    adapted.kernel_lora_a = nnx.LoRAParam(jnp.ones((3, 1)))
    adapted.kernel_lora_b = nnx.LoRAParam(jnp.ones((1, 2)))
    x = jnp.ones((1, 1, 3))
    unknown = lora_scale(SimpleNamespace())
    (without,) = joined(x, [plain], unknown)
    with pytest.raises(UserError, match=r"scale of this model's adapters is not known.*lora_scale = alpha / rank"):
        joined(x, [plain, adapted], unknown)
    known = lora_scale(SimpleNamespace(lora_scale=2))
    _, with_adapters = joined(x, [plain, adapted], known)
    np.testing.assert_allclose(with_adapters, without + 6, rtol=1e-6)


def test_one_product_has_the_gradients_of_single_ones_and_copies_none_beside_another():
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 7, 5)), jnp.float32)
    weights = [jnp.asarray(draw.normal(size=(5, width)), jnp.float32) for width in (4, 2, 3)]
    changes = [jnp.asarray(draw.normal(size=(2, 7, width)), jnp.float32) for width in (4, 2, 3)]

    def together(x, weights):
        made = [nnx.Linear(5, weight.shape[1], use_bias=False, rngs=nnx.Rngs(0)) for weight in weights]
        for module, weight in zip(made, weights, strict=True):
            module.kernel[...] = weight
        return joined(x, made, None)

    def apart(x, weights):
        return [x @ weight for weight in weights]

    here, back = jax.vjp(together, x, weights)
    there, wanted = jax.vjp(apart, x, weights)
    found, expected = (jax.tree.leaves(both) for both in ((here, back(changes)), (there, wanted(changes))))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert str(jax.make_jaxpr(together)(x, weights)).count("concatenate[") == 1
    assert "concatenate[" not in str(jax.make_jaxpr(back)(changes))
