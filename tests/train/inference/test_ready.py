"""A student made ready to be asked: merged adapters reply the same, and the student is as before."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from flax import nnx

from tests.train.export.trained import trained
from tunixhack.train.inference import ready as module
from tunixhack.train.inference.generate import generate
from tunixhack.train.inference.ready import PAYS_FROM, ready

QUESTIONS = ["Why?", "What is two and two, and why is it that and not another number?"]


def adapters(model):
    return len(jax.tree.leaves(nnx.state(model, nnx.LoRAParam)))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("student") / "base", "llama")


@pytest.mark.parametrize(
    ("family", "method"), [("gemma3", "lora"), ("llama", "lora"), ("qwen", "lora"), ("llama", "qlora")]
)
def test_merged_adapters_reply_what_adapters_beside_their_weights_do(tmp_path, monkeypatch, family, method):
    student = trained(tmp_path / "base", family, method)
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(student.model))]
    with ready(student, PAYS_FROM, seeded=False) as asked:
        assert not adapters(asked.model)
        merged = generate(asked, QUESTIONS, max_new_tokens=PAYS_FROM)
    assert generate(student, QUESTIONS, max_new_tokens=PAYS_FROM) == merged
    monkeypatch.setattr(module, "PAYS_FROM", 10**9)
    with ready(student, PAYS_FROM, seeded=False) as asked:
        assert asked.model is student.model
        assert generate(asked, QUESTIONS, max_new_tokens=PAYS_FROM) == merged
    after = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(student.model))]
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert adapters(student.model)


def test_the_copy_is_freed(llama):
    generate(llama, QUESTIONS, max_new_tokens=PAYS_FROM)
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    with ready(llama, PAYS_FROM, seeded=False) as asked:
        assert sum(array.nbytes for array in jax.live_arrays()) > before
        assert asked.held > sum(array.nbytes for array in jax.tree.leaves(nnx.state(llama.model)))
    del asked
    gc.collect()
    assert sum(array.nbytes for array in jax.live_arrays()) == before


def test_one_that_is_ready_is_asked_as_it_is(llama):
    with ready(llama, PAYS_FROM, seeded=True) as asked, ready(asked, 1, seeded=False) as again:
        assert again is asked


def test_short_replies_do_not_pay_a_merge(llama):
    with ready(llama, PAYS_FROM - 1, seeded=True) as asked:
        assert asked.model is llama.model


def test_without_memory_for_a_copy_adapters_stay_beside_their_weights(llama, monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda: 1000)
    with ready(llama, PAYS_FROM, seeded=False) as asked:
        assert asked.model is llama.model
    # with seeds of their own, replies must not depend on what else lies on the device
    with ready(llama, PAYS_FROM, seeded=True) as asked:
        assert not adapters(asked.model)
    monkeypatch.setattr(module, "whole_memory", lambda: 1000)
    with ready(llama, PAYS_FROM, seeded=True) as asked:
        assert asked.model is llama.model


@pytest.mark.parametrize(("said", "raised"), [("RESOURCE_EXHAUSTED: Out of memory", False), ("INTERNAL: else", True)])
def test_memory_that_runs_out_on_the_way_leaves_adapters_beside_their_weights(llama, monkeypatch, said, raised):
    def fail(*_):
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(module, "merged", fail)
    if raised:
        with pytest.raises(jax.errors.JaxRuntimeError, match="else"), ready(llama, PAYS_FROM, seeded=True):
            pass
        return
    with ready(llama, PAYS_FROM, seeded=True) as asked:
        assert asked.model is llama.model


def test_a_student_without_adapters_is_not_copied(tmp_path):
    student = trained(tmp_path / "base", "llama", "full")
    with ready(student, PAYS_FROM, seeded=False) as asked:
        assert asked.model is student.model


def test_merged_weights_are_rounded_once_and_lie_as_the_others_do(llama):
    exact = module.merged(llama.model, 2.0, jnp.float32)
    rounded = module.merged(llama.model, 2.0, jnp.bfloat16)
    one, other = (model.layers[0].attn.q_proj.w[...] for model in (exact, rounded))
    assert jnp.array_equal(one.astype(jnp.bfloat16), other)
    assert other.sharding == llama.model.layers[0].attn.q_proj.w[...].sharding
