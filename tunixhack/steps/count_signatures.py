"""A text's characters, counted, in 64 bits: two texts whose bits differ much are not similar.

Most texts that share a word have little else in common. Their bits are compared in nanoseconds, and the texts
themselves need not be.
"""

from __future__ import annotations

import numpy as np
import polars as pl

_KINDS = 32
"""Characters whose numbers have the same last five bits are counted together: the letters of ASCII have one each."""
_GRAY = np.array([0b00, 0b01, 0b11, 0b10], dtype=np.uint64)
"""What is kept of a count, modulo four: one more or one less changes one bit."""
_PIECE = 2_000_000
"""Counts and characters that are in memory at once."""


def signatures(texts: pl.Series) -> pl.Series:
    """Return 64 bits of each text, of which an inserted or a deleted character changes one.

    To make one text of another therefore takes at least as many insertions and deletions as bits differ.

    Args:
        texts: strings without nulls.

    Returns:
        ``signature``, of type UInt64.

    >>> one, other = signatures(pl.Series(["which metal", "which metals"]))
    >>> (one ^ other).bit_count()
    1
    """
    if texts.is_empty():
        return pl.Series("signature", [], dtype=pl.UInt64)
    piece = ((texts.str.len_chars() + _KINDS).cum_sum() // _PIECE).alias("piece")
    heights = piece.rle().struct.field("len")
    found = [
        _of_some(texts.slice(end - height, height)) for end, height in zip(heights.cum_sum(), heights, strict=True)
    ]
    return pl.concat(found)


def _of_some(texts: pl.Series) -> pl.Series:
    characters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32) % _KINDS
    rows = np.repeat(np.arange(len(texts)), texts.str.len_chars().to_numpy())
    counts = np.bincount(rows * _KINDS + characters, minlength=len(texts) * _KINDS)
    bits = _GRAY[counts % 4].reshape(len(texts), _KINDS) << np.arange(0, 2 * _KINDS, 2, dtype=np.uint64)
    return pl.Series("signature", np.bitwise_or.reduce(bits, axis=1), dtype=pl.UInt64)
