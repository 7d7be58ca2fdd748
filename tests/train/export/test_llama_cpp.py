"""GGUF files in llama.cpp itself: it writes what the live student would, and a wrong file is found out."""

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")
pytest.importorskip("xllamacpp", reason="needs tunixhack[local]")

import jax
from flax import nnx

from tests.train.export.trained import trained
from tunixhack.errors import UserError
from tunixhack.train.core.mesh import device_mesh
from tunixhack.train.data.chat import Renderer
from tunixhack.train.export import export as exporting
from tunixhack.train.export.check import QUESTIONS
from tunixhack.train.export.export import export
from tunixhack.train.export.folder import Ends
from tunixhack.train.export.gguf import write_gguf
from tunixhack.train.export.llama_cpp import Written, compare_written
from tunixhack.train.export.merge import plain_model
from tunixhack.train.models.base_model import FAMILIES
from tunixhack.train.models.load import find
from tunixhack.train.settings import settings
from tunixhack.train.student import Student

pytestmark = pytest.mark.embedded


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_llama_cpp_writes_what_the_student_would(tmp_path, family):
    said = []
    exported = export(trained(tmp_path / "base", family), tmp_path / "out", ("gguf",), say=said.append)
    measured = exported.measured["gguf"]
    assert measured["questions"] == len(QUESTIONS) == 10
    assert measured["equal"] >= 8
    assert measured["tokens"] > 100
    assert any("gguf: checked" in sentence for sentence in said)


@pytest.mark.slow
def test_llama_cpp_writes_what_smollm2_would(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "QUESTIONS", QUESTIONS[:5])
    base = find("smollm2-135m-instruct")
    student = Student.prepare(base, settings(lora_rank=4), device_mesh(1, jax.devices()[:1]))
    random = np.random.default_rng(0)
    adapters = nnx.state(student.model, nnx.LoRAParam)
    shaken = jax.tree.map(lambda leaf: leaf + 0.004 * random.standard_normal(leaf.shape, np.float32), adapters)
    nnx.update(student.model, shaken)
    measured = export(student, tmp_path / "out", ("gguf",)).measured
    assert measured["gguf"]["questions"] == 5
    assert measured["gguf"]["equal"] >= 4


def test_wrong_weights_are_found_out(tmp_path, monkeypatch):
    real = exporting.write_gguf

    def wrong(path, base, renderer, tensors, *, name):
        turned = ((name, np.flip(tensor, 0) if "q_proj" in name else tensor) for name, tensor in tensors)
        real(path, base, renderer, turned, name=name)

    monkeypatch.setattr(exporting, "write_gguf", wrong)
    with pytest.raises(
        UserError, match=r"the export as gguf is not the student: the first 20 tokens that llama\.cpp writes"
    ):
        export(trained(tmp_path / "base"), tmp_path / "out", ("gguf",), say=lambda sentence: None)
    assert not (tmp_path / "out").exists()


def test_another_chat_template_is_found_out(tmp_path):
    student = trained(tmp_path / "base")
    base = student.base
    other = Renderer(base.family.chat, base.tokenizer, system="Be verbose.")
    path = tmp_path / "x.gguf"
    write_gguf(path, base, other, base.family.to_huggingface(plain_model(student)), name="tiny")
    arguments = (path, base.family, student.model, student.renderer, Ends.of(base), QUESTIONS[:2], student.mesh)
    with pytest.raises(UserError, match=r"llama\.cpp makes other tokens of the question"):
        compare_written(*arguments)


def test_eight_of_ten_are_enough():
    assert Written(equal=8, questions=10, agreed=180, tokens=200).enough
    assert not Written(equal=7, questions=10, agreed=199, tokens=200).enough
