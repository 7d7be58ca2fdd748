"""Dense attention: what Tunix's layers compute."""

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tunix.models.gemma3 import model as gemma3
from tunix.models.llama3 import model as llama3

from tests.train.attention.cases import rows
from tunixhack.train.attention.dense import dense, seen_pairs

WIDE, WINDOW = 32, 5
SEGMENTS = rows([10, 13], [24])
INPUTS = jax.random.normal(jax.random.key(1), (*SEGMENTS.shape, WIDE))
POSITIONS = jnp.zeros(SEGMENTS.shape, jnp.int32)
"""At which rotation changes nothing."""


def gemma(kind):
    return gemma3.Attention(
        num_heads=4,
        num_kv_heads=2,
        features=WIDE,
        head_dim=8,
        attn_type=kind,
        sliding_window_size=WINDOW,
        rope_base_frequency=10_000,
        rope_scale_factor=1.0,
        query_pre_attn_norm=gemma3.QueryPreAttentionNormalisation.BY_ONE_OVER_SQRT_HEAD_DIM,
        shd_config=gemma3.ShardingConfig.get_default_sharding(),
        remat_config=gemma3.RematConfig.NONE,
        param_dtype=jnp.float32,
        rngs=nnx.Rngs(0),
    )


def same_on_real_tokens(found, wanted):
    real = np.asarray(SEGMENTS > 0)
    np.testing.assert_allclose(np.asarray(found)[real], np.asarray(wanted)[real], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "window"), [(gemma3.AttentionType.GLOBAL, None), (gemma3.AttentionType.LOCAL_SLIDING, WINDOW)]
)
def test_it_is_what_tunix_computes_in_gemma3(kind, window):
    layer = gemma(kind)
    _, wanted = layer(INPUTS, POSITIONS, None, seen_pairs(SEGMENTS, None))
    q, (k, v) = layer._query_norm(layer.q_einsum(INPUTS)), layer.kv_einsum(INPUTS)
    found = dense(q * layer.query_pre_attn_scalar, layer._key_norm(k), v, SEGMENTS, window)
    same_on_real_tokens(layer.attn_vec_einsum(found), wanted)


def test_it_is_what_tunix_computes_in_llama():
    config = llama3.ModelConfig(
        num_layers=1, vocab_size=8, embed_dim=WIDE, hidden_dim=8, num_heads=4, head_dim=8, num_kv_heads=2,
        norm_eps=1e-6, rope_theta=10_000,
    )  # fmt: skip
    layer = llama3.Attention(config, rngs=nnx.Rngs(0))
    _, wanted = layer(INPUTS, POSITIONS, None, seen_pairs(SEGMENTS, None))
    q, k, v = (project(INPUTS) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
    same_on_real_tokens(layer.o_proj(dense(q * layer.scale, k, v, SEGMENTS, None)), wanted)
