"""The shapes, and the segmentations of rows, that the attentions are compared on."""

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from tunixhack.train.attention.base import Shape

FP32 = (1e-6, 1e-5, 1e-5, 1e-5)
BF16 = (1e-2, 2e-2, 2e-2, 2e-2)
"""Bounds of value and of the gradients of q, k and v, as shares of their norms; bf16 itself rounds by 4e-3."""


def shape(**changes):
    asked = {"rows": 2, "length": 50, "heads": 4, "kv_heads": 2, "head_dim": 8, "window": None, "dtype": jnp.float32}
    return Shape(**(asked | changes))


def rows(*lines):
    """Make segments of the lengths of each row's; what is missing from the longest row is padding."""
    longest = max(sum(lengths) for lengths in lines)
    made = np.zeros((len(lines), longest), np.int32)
    for row, lengths in zip(made, lines, strict=True):
        row[: sum(lengths)] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    return jnp.asarray(made)


ODD = rows([50], [1, 1, 20, 1, 9], [], [1], [7] * 7)
"""One segment, segments of one token, a whole row of padding, one token and padding, and equal segments."""


@st.composite
def segmentations(draw, rows, length):
    """Rows of any segmentation, some of which end in padding."""
    made = np.zeros((rows, length), np.int32)
    for row in made:
        cuts = sorted(draw(st.sets(st.integers(1, length), max_size=8)))
        row[:] = np.searchsorted(cuts, np.arange(length), side="right") + 1
        if cuts and draw(st.booleans()):
            row[cuts[-1] :] = 0
    return jnp.asarray(made)


def within(errors, bounds):
    """Whether all errors are; what is not a number is not."""
    return all(error <= bound for error, bound in zip(errors, bounds, strict=True))
