"""The comparison with the dense attention: it lets rounding pass, and nothing else."""

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax.numpy as jnp
import numpy as np

from tests.train.attention.cases import shape
from tunixhack.errors import UserError
from tunixhack.train.attention.check import compare, drawn, errors
from tunixhack.train.attention.dense import dense


@pytest.mark.parametrize(("loss", "dtype"), [(2.001, "bfloat16"), (2.000001, jnp.float32)])
def test_losses_may_differ_by_rounding(loss, dtype):
    compare("splash", loss, 2.0, dtype)


@pytest.mark.parametrize(
    ("loss", "dtype"), [(2.01, "bfloat16"), (2.00001, "float32"), (float("nan"), "bfloat16"), (float("inf"), "float32")]
)
def test_others_end_with_both_numbers(loss, dtype):
    with pytest.raises(UserError, match=r"the attention splash gives a loss of .* where the dense one gives 2") as told:
        compare("splash", loss, 2.0, dtype)
    assert f"{loss:.8g}" in str(told.value)


def test_an_attention_that_sees_too_much_is_noticed():
    arrays = drawn(shape(), mean=11)

    def without_segments(q, k, v, segments, window):
        return dense(q, k, v, jnp.ones_like(segments), window)

    assert min(errors(without_segments, arrays, None)) > 1e-2
    assert max(errors(dense, arrays, None)) < 1e-6


def test_what_is_not_finite_is_no_small_error():
    arrays = drawn(shape(), mean=11)
    assert np.isnan(errors(lambda q, k, v, segments, window: q * jnp.nan, arrays, None).value)
