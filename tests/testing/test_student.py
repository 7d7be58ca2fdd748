"""The tiny student: the same for one seed, and trainable everywhere."""

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from safetensors.numpy import load_file

from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student

FAMILIES = ["gemma3", "llama", "qwen", "qwen2"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_says_all(tmp_path, family):
    one, same = (write_tiny_student(tmp_path / name, family) for name in "ab")
    other = write_tiny_student(tmp_path / "c", family, seed=1)
    assert sorted(path.name for path in one.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for path in one.iterdir():
        assert path.read_bytes() == (same / path.name).read_bytes()
    assert (one / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_can_learn(tmp_path, family):
    weights = load_file(write_tiny_student(tmp_path, family) / "model.safetensors")
    assert sum(weight.size for weight in weights.values()) < 400_000
    for name, weight in weights.items():
        assert weight.std() > 0.01, name


def test_an_unknown_family_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match="did you mean gemma3"):
        write_tiny_student(tmp_path, "gemma")
