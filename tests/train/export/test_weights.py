"""Safetensors written tensor by tensor: what the library reads is what was given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("safetensors", reason="needs tunixhack[train]")

from safetensors.numpy import load_file

from tunixhack.train.export.weights import write_weights

SHAPES = st.dictionaries(
    st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__"),
    st.lists(st.integers(1, 5), max_size=3).map(tuple),
    min_size=1,
    max_size=6,
)


@given(SHAPES, st.randoms(use_true_random=False))
def test_what_is_written_is_read(tmp_path_factory, shapes, random):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    tensors = {
        name: np.random.default_rng(0).standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }
    order = list(tensors.items())
    random.shuffle(order)
    write_weights(path, iter(order), shapes)
    read = load_file(path)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)


def test_numbers_of_another_type_become_fp32(tmp_path):
    write_weights(tmp_path / "x", [("w", np.array([1.5, 2], np.float16))], {"w": (2,)})
    assert load_file(tmp_path / "x")["w"].dtype == np.float32


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("a", np.zeros(2))], "gave no b"),
        ([("a", np.zeros(2)), ("b", np.zeros(4))], "b of shape"),
        ([("a", np.zeros(2)), ("a", np.zeros(2))], "twice"),
        ([("c", np.zeros(2))], "not a tensor"),
    ],
)
def test_tensors_other_than_a_model_has_are_refused(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        write_weights(tmp_path / "x", given, {"a": (2,), "b": (3,)})
