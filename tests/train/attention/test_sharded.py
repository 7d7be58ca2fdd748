"""Attention over several devices: each computes its own rows, and what comes out is the dense attention."""

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

from tests.train.attention.cases import FP32, within
from tests.train.eight import eight_devices


def over_four():
    """Return the errors over four of eight devices, and what each holds of the outcome."""
    import jax
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    from tests.train.attention.cases import shape
    from tunixhack.train.attention.check import drawn, errors
    from tunixhack.train.attention.choose import choose

    mesh = jax.make_mesh((4, 1), ("fsdp", "tp"), axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:4])
    found = {}
    for rows in (4, 6):
        size = shape(rows=rows, length=160)
        chosen = choose(mesh, size)
        arrays = drawn(size, mean=30)
        q, k, v, segments = (
            jax.device_put(array, NamedSharding(mesh, PartitionSpec("fsdp" if rows == 4 else None)))
            for array in arrays[:4]
        )
        with mesh:
            value = jax.jit(lambda *of, chosen=chosen: chosen.attend(*of, None))(q, k, v, segments)
        text = jax.jit(lambda *of, chosen=chosen: chosen.attend(*of, None)).lower(q, k, v, segments).compile().as_text()
        found[str(rows)] = (
            chosen.name,
            tuple(errors(chosen.attend, arrays, 9)),
            value.sharding.shard_shape(value.shape)[0],
            "all-gather" in text,
        )
    return found


def test_each_device_attends_with_its_own_rows():
    with eight_devices() as process:
        found = process(over_four)
    name, errors, rows, gathers = found["4"]
    assert (name, rows, gathers) == ("chunked", 1, False)
    assert within(errors, FP32)
    assert within(found["6"][1], FP32)
