"""The loss of packed rows: fp32 cross-entropy over 262,144 tokens, in little memory and without wasted products.

Logits of a batch of B × L tokens are B · L · 1 MiB in fp32 with Gemma's vocabulary, and Tunix's own loss holds them
several times, a one-hot among them. In a small student they are most of the work as well: 80 % of a step of Gemma 3
270M with LoRA. Three things make them cheap here:

* only positions that are learnt become logits: prompts and padding are moved to each row's end, and chunks that hold
  nothing else are left out while the step runs;
* a chunk of positions meets the vocabulary a block at a time, and what softmax needs of the blocks before is carried
  along and rescaled, as attention does in Dao et al., FlashAttention (2022, arXiv:2205.14135), and cross-entropy in
  Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models (2024, arXiv:2411.09009);
* the same pass gathers the hidden states' gradient, so that where the table is frozen (LoRA) no logit is made twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PRODUCT = 1024
"""Rows of a product with the vocabulary: positions of all training rows of a device that become logits at once."""

SHARE = 4
"""A chunk is at most one in so many positions of a row: one with a single learnt position is computed whole."""

SHORTEST_SHARE = 128
"""Positions of a training row below which `SHARE` makes no chunk smaller."""

BLOCK = 16_384
"""Tokens of the vocabulary that they are made for at once, at most."""

LEAST_BLOCK = 1024
"""A vocabulary that no number between this and `BLOCK` divides is taken as a whole."""


def block_of(vocabulary: int) -> int:
    """Return how many tokens of a vocabulary become logits at once: a divisor, since padding would copy the table.

    >>> [block_of(size) for size in (262_144, 151_936, 49_152, 300, 50_021)]
    [16384, 9496, 16384, 300, 50021]
    """
    for blocks in range(-(-vocabulary // BLOCK), vocabulary // LEAST_BLOCK + 1):
        if vocabulary % blocks == 0:
            return vocabulary // blocks
    return vocabulary


def chunk_of(rows: int, length: int) -> int:
    """Return how many positions of each training row become logits at once.

    What a product takes goes by its rows, which are those of all training rows. On an H200, forward and backward pass
    of the loss of Gemma 3 1B took 43.7 ms with chunks of 128 and 16.0 with 1,024 for one row of 8,192 tokens, and 31.5
    ms with 128, 31.0 with 512 and 40.0 with 1,024 for eight rows of 2,048.

    Args:
        rows: training rows on a device.
        length: tokens of a training row.

    >>> [chunk_of(*shape) for shape in ((1, 8192), (4, 2048), (8, 2048), (32, 1024), (1, 256), (1, 90))]
    [1024, 256, 128, 32, 128, 90]
    """
    return min(max(1, PRODUCT // rows), max(SHORTEST_SHARE, length // SHARE), length)


def _chunk_of_batch(tokens: jax.Array) -> int:
    rows, length = tokens.shape
    return chunk_of(-(-rows // jax.device_count()), length)


def token_losses(
    hidden: jax.Array, table: jax.Array, tokens: jax.Array, loss_mask: jax.Array, *, chunk: int | None = None
) -> jax.Array:
    """Return the negative log-likelihood of each token under the loss mask.

    Args:
        hidden: float [B, L, D], the model's last hidden states.
        table: float [V, D], the matrix that makes logits of them.
        tokens: int [B, L].
        loss_mask: bool [B, L]: which tokens are learnt.
        chunk: positions of each row that become logits at once; None for as many as `chunk_of` says.

    Returns:
        fp32 [B, L - 1]: of tokens 1 to L - 1, in nats; 0 where the mask is false.
    """
    chunks = learnt_first(hidden, tokens, loss_mask, chunk)
    return chunks.put_back(_losses(chunks.states, table, chunks.wanted, chunks.weights))


def mean_loss(
    hidden: jax.Array, table: jax.Array, tokens: jax.Array, loss_mask: jax.Array, *, chunk: int | None = None
) -> jax.Array:
    """Return the mean of `token_losses` over the batch's tokens under the mask, a scalar fp32; 0 without any."""
    learnt = loss_mask[:, 1:].sum()
    return token_losses(hidden, table, tokens, loss_mask, chunk=chunk).sum() / jnp.maximum(learnt, 1)


class Chunks(NamedTuple):
    """The positions of a batch in chunks, each row's learnt ones first, in their order."""

    states: jax.Array
    """[chunks, B, chunk, D], the hidden states."""
    wanted: jax.Array
    """int [chunks, B, chunk], the token behind each."""
    weights: jax.Array
    """bool [chunks, B, chunk]: whether that token is learnt."""
    inverse: jax.Array
    """int [B, L - 1]: where each position went."""

    def put_back(self, values: jax.Array) -> jax.Array:
        """Make [chunks, B, chunk] a [B, L - 1] in the order of the tokens."""
        rows = jnp.moveaxis(values, 0, 1).reshape(self.inverse.shape[0], -1)[:, : self.inverse.shape[1]]
        # gathered with the order's inverse, which scatters nothing
        return jnp.take_along_axis(rows, self.inverse, 1)


def learnt_first(hidden: jax.Array, tokens: jax.Array, loss_mask: jax.Array, chunk: int | None) -> Chunks:
    """Cut a batch into chunks of positions, such that those without a learnt one are the last; see `token_losses`."""
    size = _chunk_of_batch(tokens) if chunk is None else chunk
    targets, learnt = tokens[:, 1:], loss_mask[:, 1:]
    order = jnp.argsort(~learnt, axis=1, stable=True)
    inverse = jnp.argsort(order, axis=1)
    wanted, weights = (jnp.take_along_axis(array, order, 1) for array in (targets, learnt))

    def chunks(array: jax.Array) -> jax.Array:
        """Make [B, L - 1, …] a [chunks, B, chunk, …]."""
        padded = jnp.pad(array, ((0, 0), (0, -array.shape[1] % size)) + ((0, 0),) * (array.ndim - 2))
        return jnp.moveaxis(padded.reshape(array.shape[0], -1, size, *array.shape[2:]), 1, 0)

    states = _permuted(hidden[:, :-1], order, inverse)
    return Chunks(chunks(states), chunks(wanted), chunks(weights), inverse)


@jax.custom_vjp
def _permuted(array: jax.Array, order: jax.Array, inverse: jax.Array) -> jax.Array:
    """Take [B, L, D] in another order of L."""
    return jnp.take_along_axis(array, order[..., None], 1)


_permuted.defvjp(
    lambda array, order, inverse: (_permuted(array, order, inverse), inverse),
    lambda inverse, change: (jnp.take_along_axis(change, inverse[..., None], 1), None, None),
)


class _Running(NamedTuple):
    """The values that softmax over the blocks so far needs to go on, each fp32 [B, C] but the last."""

    highest: jax.Array
    total: jax.Array
    """Of exp(logit - highest)."""
    wanted: jax.Array
    """The logit of the token that really stands there; 0 until its block has come."""
    mean: jax.Array | None
    """fp32 [B, C, D]: the table's rows, each weighted with exp(logit - highest); None where no gradient is wanted."""


def table_blocks(table: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the table as [blocks, V / blocks, D], and each block's first token."""
    size = block_of(table.shape[0])
    blocks = table.reshape(-1, size, table.shape[1])
    return blocks, jnp.arange(len(blocks)) * size


def block_logits(states: jax.Array, block: jax.Array) -> jax.Array:
    """Return fp32 [B, C, V / blocks] of states [B, C, D]."""
    return jnp.einsum("bcd,vd->bcv", states, block, preferred_element_type=jnp.float32)


def _one_chunk(
    states: jax.Array, table: jax.Array, wanted: jax.Array, *, gradient: bool
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Return losses [B, C], the logarithm of softmax's denominator [B, C], and the losses' gradient [B, C, D]."""

    def body(so_far: _Running, part: tuple[jax.Array, jax.Array]) -> tuple[_Running, None]:
        block, first = part
        logits = block_logits(states, block)
        highest = jnp.maximum(so_far.highest, logits.max(-1))
        shrunk = jnp.exp(so_far.highest - highest)
        weights = jnp.exp(logits - highest[..., None])
        place = wanted - first
        here = (place >= 0) & (place < block.shape[0])
        found = jnp.take_along_axis(logits, jnp.where(here, place, 0)[..., None], -1)[..., 0]
        mean = None
        if so_far.mean is not None:
            added = jnp.einsum("bcv,vd->bcd", weights.astype(block.dtype), block, preferred_element_type=jnp.float32)
            mean = so_far.mean * shrunk[..., None] + added
        total = so_far.total * shrunk + weights.sum(-1)
        return _Running(highest, total, jnp.where(here, found, so_far.wanted), mean), None

    nothing = jnp.zeros(wanted.shape, jnp.float32)
    mean = jnp.zeros(states.shape, jnp.float32) if gradient else None
    start = _Running(jnp.full(wanted.shape, -jnp.inf), nothing, nothing, mean)
    end, _ = jax.lax.scan(body, start, table_blocks(table))
    log_total = end.highest + jnp.log(end.total)
    if end.mean is not None:
        mean = end.mean / end.total[..., None] - table[wanted].astype(jnp.float32)
    return log_total - end.wanted, log_total, mean


def _all_chunks(
    states: jax.Array, table: jax.Array, wanted: jax.Array, weights: jax.Array, *, gradient: bool
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Do `_one_chunk` for each, and nothing for those without a learnt position."""

    def work(part: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        states, wanted, weights = part
        losses, log_total, change = _one_chunk(states, table, wanted, gradient=gradient)
        change = None if change is None else jnp.where(weights[..., None], change, 0).astype(states.dtype)
        return jnp.where(weights, losses, 0), log_total, change

    def idle(part: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        states, wanted, _ = part
        nothing = jnp.zeros(wanted.shape, jnp.float32)
        return nothing, nothing, jnp.zeros_like(states) if gradient else None

    found: tuple[jax.Array, jax.Array, jax.Array | None] = jax.lax.map(
        lambda part: jax.lax.cond(part[2].any(), work, idle, part), (states, wanted, weights)
    )
    return found


@jax.custom_vjp
def _losses(states: jax.Array, table: jax.Array, wanted: jax.Array, weights: jax.Array) -> jax.Array:
    """Return the losses, fp32 [chunks, B, C], of states [chunks, B, C, D]; 0 where weights are false."""
    return _all_chunks(states, table, wanted, weights, gradient=False)[0]


def _forward(states: Any, table: Any, wanted: Any, weights: Any) -> tuple[jax.Array, Any]:
    """Compute losses, and of their gradient what this pass can; the table's only where the table is learnt."""
    arrays = states.value, table.value, wanted.value, weights.value
    losses, log_total, change = _all_chunks(*arrays, gradient=states.perturbed)
    return losses, (change, (*arrays, log_total) if table.perturbed else None)


def _backward(kept: Any, change_of_losses: jax.Array) -> tuple[Any, Any, None, None]:
    change, for_table = kept
    of_states = None if change is None else (change * change_of_losses[..., None]).astype(change.dtype)
    of_table = None if for_table is None else _of_table(for_table, change_of_losses)
    return of_states, of_table, None, None


def _of_table(kept: tuple[jax.Array, ...], change_of_losses: jax.Array) -> jax.Array:
    """Return the table's gradient [V, D], a block after the other, from logits that are made again."""
    states, table, wanted, weights, log_total = kept
    scale = jnp.where(weights, change_of_losses, 0)

    def of_block(part: tuple[jax.Array, jax.Array]) -> jax.Array:
        block, first = part

        def work(chunk: Any, so_far: jax.Array) -> jax.Array:
            states, wanted, _, log_total, scale = chunk
            chances = jnp.exp(block_logits(states, block) - log_total[..., None])
            there = wanted[..., None] - first == jnp.arange(block.shape[0])
            logits = ((chances - there) * scale[..., None]).astype(block.dtype)
            return so_far + jnp.einsum("bcv,bcd->vd", logits, states, preferred_element_type=jnp.float32)

        def body(so_far: jax.Array, chunk: Any) -> tuple[jax.Array, None]:
            return jax.lax.cond(chunk[2].any(), work, lambda chunk, so_far: so_far, chunk, so_far), None

        found, _ = jax.lax.scan(body, jnp.zeros(block.shape, jnp.float32), (states, wanted, weights, log_total, scale))
        return found.astype(block.dtype)

    blocks: jax.Array = jax.lax.map(of_block, table_blocks(table))
    return blocks.reshape(table.shape)


_losses.defvjp(_forward, _backward, symbolic_zeros=True)


def in_compute_dtype(state: Any, dtype: Any) -> Any:
    """Cast the floating leaves of a tree, so that fp32 master weights compute in bf16.

    Trained in bf16 throughout, most of Adam's updates would be lost to rounding: at a learning rate of 1e-5 they
    change one weight in ten.
    """
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, state)
