"""How many logits a training step makes at once: what the loss computes by and the memory's estimate counts with."""

from __future__ import annotations

CHUNK = 128
"""Positions of each training row that become logits at once."""

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
