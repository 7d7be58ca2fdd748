"""Tiny students as a training leaves them: adapters that change something, in no time."""

import jax
import numpy as np
from flax import nnx

from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.handle import StudentHandle
from tunixhack.train.models.load import find
from tunixhack.train.settings import settings

TEXT = "A short text to look at, twice as long as the window of a sliding layer."


def trained(folder, family="gemma3", method="lora", devices=1, compute="float32"):
    """Make a student whose weights differ from its base's, as much as a long training would make them."""
    return trained_from(find(write_tiny_student(folder, family)), method, devices, compute)


def trained_from(base, method="lora", devices=1, compute="float32"):
    """Do the same with a student that is there."""
    chosen = settings(method, compute=compute, lora_rank=4, lora_alpha=8.0, system="Be brief.")
    student = StudentHandle.prepare(base, chosen, device_mesh(devices, jax.devices()[:devices]))
    kind = nnx.Param if method == "full" else nnx.LoRAParam
    random = np.random.default_rng(7)

    def changed(leaf):
        return leaf + jax.device_put(0.05 * random.standard_normal(leaf.shape).astype(leaf.dtype), leaf.sharding)

    nnx.update(student.model, jax.tree.map(changed, nnx.state(student.model, kind)))
    return student


def tokens_of(student, text=TEXT):
    return student.base.tokenizer.encode(text)
