"""Exports as a whole: written, checked, named; or one sentence and nothing left."""

import errno
import json
import shutil

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax
import jax.numpy as jnp
from flax import nnx

from tests.train.export.trained import tokens_of, trained
from tunixhack._util.installation import install_command
from tunixhack.errors import UserError
from tunixhack.train.export import export as exporting
from tunixhack.train.export.check import compare
from tunixhack.train.export.export import export
from tunixhack.train.models.base_model import FAMILIES
from tunixhack.train.models.load import find


@pytest.fixture
def student(tmp_path):
    return trained(tmp_path / "base")


@pytest.fixture(autouse=True)
def _without_llama_cpp(monkeypatch):
    monkeypatch.setattr(exporting, "available", lambda: False)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("family", "method"),
    [("gemma3", "lora"), ("gemma3", "qlora"), *((family.name, "full") for family in FAMILIES)],
)
def test_the_exported_folder_is_the_live_student(tmp_path, family, method):
    student = trained(tmp_path / "base", family, method)
    said = []
    exported = export(student, tmp_path / "out", ("safetensors",), say=said.append)
    assert exported.safetensors == tmp_path / "out" / "safetensors"
    again = find(exported.safetensors)
    assert again.family is student.base.family
    measured = exported.measured["safetensors"]
    assert measured["largest"] < 1e-3
    assert any("safetensors: checked" in sentence for sentence in said)
    found = compare(
        again.family, student.model, again.load(student.mesh, jnp.float32), [tokens_of(student)], student.mesh
    )
    if method == "qlora":
        # merged into weights that were never quantised
        assert exported.measured["merged"]["largest"] > 1e-3
    else:
        assert found.largest < 1e-3


def test_all_formats_lie_in_one_folder(tmp_path, student):
    (student.base.folder / "NOTICE.md").write_text("terms")
    exported = export(student, str(tmp_path / "deep" / "out"), step=12, say=lambda sentence: None)
    out = tmp_path / "deep" / "out"
    assert left(out) == ["export.json", "gguf", "orbax", "safetensors"]
    assert exported.orbax == out / "orbax"
    assert (out / "orbax" / "actor" / "12" / "model_params").is_dir()
    assert exported.gguf == out / "gguf" / "out-f16.gguf"
    assert left(out / "gguf") == ["Modelfile", "NOTICE.md", "out-f16.gguf"]
    assert (out / "safetensors" / "NOTICE.md").read_text() == "terms"
    assert left(out.parent) == ["out"]
    told = json.loads((out / "export.json").read_text())
    assert told["settings"]["lora_rank"] == 4
    assert told["measured"] == exported.measured


def test_where_llama_cpp_is_missing_it_is_said_that_the_gguf_file_is_unchecked(tmp_path, student):
    said = []
    exported = export(student, tmp_path / "out", ("gguf",), say=said.append)
    assert "xllamacpp" not in exported.measured
    assert install_command("local") in exported.unchecked["gguf"]
    assert any("NOT checked" in sentence for sentence in said)


def test_an_empty_folder_may_be_there(tmp_path, student):
    (tmp_path / "out").mkdir()
    export(student, tmp_path / "out", ("orbax",), say=lambda sentence: None)
    assert left(tmp_path / "out") == ["export.json", "orbax"]


def test_what_is_there_is_not_replaced(tmp_path, student):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="out is there already"):
        export(student, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file is there already"):
        export(student, tmp_path / "file")


@pytest.mark.parametrize(("formats", "message"), [(("safetensor",), "did you mean safetensors"), ((), "name a format")])
def test_unknown_formats_are_refused(tmp_path, student, formats, message):
    with pytest.raises(UserError, match=message):
        export(student, tmp_path / "out", formats)


def test_weights_that_are_not_finite_are_refused(tmp_path, student):
    state = nnx.state(student.model, nnx.LoRAParam)
    nnx.update(student.model, jax.tree.map(lambda leaf: leaf * jnp.nan, state))
    with pytest.raises(UserError, match="not finite, so it is not exported: go back to an earlier checkpoint"):
        export(student, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stage", ["write_weights", "write_gguf", "write_orbax", "write_beside_weights"])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path, student, monkeypatch, stage):
    real = getattr(exporting, stage)

    def full(*arguments, **named):
        real(*arguments, **named)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exporting, stage, full)
    with pytest.raises(UserError, match="No space left on device; nothing was left there"):
        export(student, tmp_path / "out", say=lambda sentence: None)
    assert left(tmp_path) == ["base"]


def test_a_disk_that_is_too_small_is_told_before(tmp_path, student, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 10**5))
    with pytest.raises(UserError, match=r"needs 0\.1 GB \(safetensors 0\.0, .*has 0\.0 GB free"):
        export(student, tmp_path / "out")
    assert left(tmp_path) == ["base"]


def test_an_export_that_is_not_the_student_is_an_error_and_leaves_nothing(tmp_path, student, monkeypatch):
    real = exporting.write_weights

    def wrong(path, tensors, shapes):
        real(path, ((name, -tensor if name.endswith("o_proj.weight") else tensor) for name, tensor in tensors), shapes)

    monkeypatch.setattr(exporting, "write_weights", wrong)
    with pytest.raises(UserError, match="the export as safetensors is not the student: its logits differ"):
        export(student, tmp_path / "out", say=lambda sentence: None)
    assert left(tmp_path) == ["base"]
    exported = export(student, tmp_path / "out", ("safetensors",), check=False, say=lambda sentence: None)
    assert exported.unchecked == {"safetensors": "it was not asked for"}


def test_orbax_that_reads_otherwise_is_an_error(tmp_path, student, monkeypatch):
    monkeypatch.setattr(exporting, "differs", lambda folder, model: "layers.0")
    with pytest.raises(UserError, match=r"the export as orbax is not the student: layers\.0 is read"):
        export(student, tmp_path / "out", ("orbax",), say=lambda sentence: None)


def test_an_export_that_was_killed_is_no_hindrance(tmp_path, student):
    draft = tmp_path / ".out.draft"
    draft.mkdir()
    (draft / "half").write_text("half")
    export(student, tmp_path / "out", ("orbax",), say=lambda sentence: None)
    assert left(tmp_path) == ["base", "out"]


def test_the_step_is_that_of_the_student(tmp_path, student):
    student.step = 100
    export(student, tmp_path / "out", ("orbax",), say=lambda sentence: None)
    assert left(tmp_path / "out" / "orbax" / "actor") == ["100"]
