"""A random Gemma 3 of six layers, or more, five in six of them with a window of eight tokens."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec
from tunix.models.gemma3 import model as gemma3

from tunixhack.train.models.gemma3 import Gemma3

VOCABULARY = 512


def tiny_gemma3(seed=0, mesh=None, layers=6):
    config = gemma3.ModelConfig(
        num_layers=layers,
        num_embed=VOCABULARY,
        embed_dim=64,
        hidden_dim=128,
        num_heads=4,
        head_dim=16,
        num_kv_heads=1,
        sliding_window_size=8,
        local_base_frequency=10_000,
        global_base_frequency=1_000_000,
    )
    model = Gemma3(config, rngs=nnx.Rngs(seed))
    # Tunix makes its feed-forward kernels of zeros, to be loaded: nothing could be learnt
    state = nnx.state(model, nnx.Param)
    leaves, tree = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    fresh = [
        0.08 * jax.random.normal(key, leaf.shape, jnp.float32) if leaf.ndim > 1 else jnp.zeros(leaf.shape, jnp.float32)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    state = jax.tree.unflatten(tree, fresh)
    if mesh is not None:
        specs = nnx.get_partition_spec(nnx.state(model, nnx.Param))
        where = jax.tree.map(lambda s: NamedSharding(mesh, s), specs, is_leaf=lambda s: isinstance(s, PartitionSpec))
        state = jax.device_put(state, where)
    nnx.update(model, state)
    return model
