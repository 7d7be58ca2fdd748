"""The choice of the next token by its logits: the likeliest, or at random, as temperature, top_p and top_k say."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from tunixhack.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """The settings by which the next token is chosen."""

    temperature: float = 0.0
    """0 takes the likeliest; ``top_p`` and ``top_k`` then change nothing."""
    top_p: float | None = None
    """Of the likeliest tokens, as few as have this probability together; None for all."""
    top_k: int | None = None
    """As many of the likeliest tokens; None for all."""

    def __post_init__(self) -> None:
        """Refuse what is no way to choose.

        Raises:
            UserError: a number is out of its range.
        """
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature must be 0 (the likeliest token) or more, not {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UserError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k must be at least 1, not {self.top_k}")

    def choose(self, logits: jax.Array, keys: jax.Array) -> jax.Array:
        """Choose a token for each row.

        Args:
            logits: fp32 [B, V].
            keys: a random key for each row, [B].

        Returns:
            int32 [B].
        """
        if self.temperature == 0:
            return jnp.argmax(logits, axis=-1).astype(jnp.int32)
        logits = logits / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            logits = _likeliest(logits, self.top_k, by_count=True)
        if self.top_p is not None and self.top_p < 1:
            logits = _likeliest(logits, self.top_p, by_count=False)
        return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)


def _likeliest(logits: jax.Array, enough: float, *, by_count: bool) -> jax.Array:
    """Leave the fewest likeliest tokens that reach a count, or a probability together; those that tie stay together.

    Sorting 262,144 logits of a row takes a processor longer than Gemma 3 270M takes to make them. The threshold is
    halved its way to instead, over the bits of the probabilities, which are in the order of the numbers above zero.

    Args:
        logits: fp32 [B, V].
        enough: the count or the probability.
        by_count: which of both.

    Returns:
        fp32 [B, V], -inf for all others.
    """
    chances = jax.nn.softmax(logits, axis=-1)
    bits = jax.lax.bitcast_convert_type(chances, jnp.int32)
    weights = jnp.ones_like(chances) if by_count else chances

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reached, missed = bounds
        middle = reached + (missed - reached) // 2
        enough_left = jnp.sum(jnp.where(bits >= middle, weights, 0), axis=-1, keepdims=True) >= enough
        return jnp.where(enough_left, middle, reached), jnp.where(enough_left, missed, middle)

    none = jnp.max(bits, axis=-1, keepdims=True) + 1
    threshold, _ = jax.lax.fori_loop(0, 31, halve, (jnp.zeros_like(none), none))
    return jnp.where(bits >= threshold, logits, -jnp.inf)
