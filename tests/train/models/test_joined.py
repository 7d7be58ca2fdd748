"""Adapters whose scale nobody has noted are told of, and not computed with some other scale."""

from __future__ import annotations

from types import SimpleNamespace

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
