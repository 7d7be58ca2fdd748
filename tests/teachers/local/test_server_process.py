"""The embedded teacher comes, serves, dies with its parent, and says why where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.waiting import PATIENCE, wait_for
from tunixhack.errors import MissingExtra, UserError
from tunixhack.teachers.local import server_process
from tunixhack.teachers.local.server_process import EmbeddedServer, serve_copies


def test_without_xllamacpp_the_extra_that_brings_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install .*\[local\]"'), EmbeddedServer(tmp_path / "x.gguf"):
        pass


# from here on with a real server -------------------------------------------------------------------------------------


def choices(server: EmbeddedServer, timeout: float = PATIENCE, **body: Any) -> list[str]:
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
    listed = requests.get(f"{embedded_server.url}/models", timeout=PATIENCE).text
    assert embedded_server.model.stem in listed
    assert str(embedded_server.model.parent) not in listed


@pytest.mark.embedded
def test_web_pages_are_not_allowed_to_use_it(embedded_server: EmbeddedServer) -> None:
    page = {"Origin": "https://example.org"}
    answer = requests.get(f"{embedded_server.url}/models", headers=page, timeout=PATIENCE)
    assert answer.headers.get("Access-Control-Allow-Origin") not in ("*", "https://example.org")


@pytest.mark.embedded
def test_a_client_that_goes_away_frees_its_slots(embedded_server: EmbeddedServer) -> None:
    with pytest.raises(requests.Timeout):
        choices(embedded_server, timeout=0.5, n=16, max_tokens=1500, ignore_eos=True)
    # llama.cpp looks for clients that went away after a second in which no other request ended, this question included
    wait_for(lambda: not _busy(embedded_server), every=3)


def _busy(server: EmbeddedServer) -> int:
    slots = requests.get(server.url.removesuffix("/v1") + "/slots", timeout=PATIENCE).json()
    return sum(slot["is_processing"] for slot in slots)


@pytest.mark.embedded
def test_a_killed_server_is_noticed_and_its_clients_get_an_error(local_model: Path) -> None:
    with EmbeddedServer(local_model, slots=2, context=2048) as server, ThreadPoolExecutor(1) as pool:
        assert server.alive()
        assert server._process is not None
        pending = pool.submit(choices, server, max_tokens=1900, n=2, ignore_eos=True)  # half a minute of writing
        wait_for(lambda: _busy(server))
        os.kill(server._process.pid, signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            pending.result(timeout=PATIENCE)
        wait_for(lambda: not server.alive())  # its connections end a moment before
    server.stop()


@pytest.mark.embedded
def test_copies_answer_alike_and_without_one_of_them_none_is_left_behind(local_model: Path) -> None:
    with serve_copies(local_model, 2, slots=4, context=256, small_keys=True) as servers:
        one, other = (choices(server, seed=7, n=2, temperature=0.0) for server in servers)
        assert one == other
        first, second = servers
        assert first._process is not None
        os.kill(first._process.pid, signal.SIGKILL)
        first._process.wait(PATIENCE)
        assert [server.alive() for server in servers] == [False, True]
    assert not second.alive()


@pytest.mark.embedded
def test_a_copy_that_cannot_load_takes_those_that_can_with_it(
    local_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and then nothing")
    made: list[EmbeddedServer] = []

    def second_is_broken(model: Path, *rest: Any, **more: Any) -> EmbeddedServer:
        made.append(EmbeddedServer(broken if made else model, *rest, **more))
        return made[-1]

    monkeypatch.setattr(server_process, "EmbeddedServer", second_is_broken)
    with (
        pytest.raises(UserError, match=r"cannot load .*broken\.gguf"),
        serve_copies(local_model, 2, slots=2, context=256, small_keys=True),
    ):
        pass
    assert [server.alive() for server in made] == [False, False]


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
        "import sys, time\nfrom pathlib import Path\n"
        "from tunixhack.teachers.local.server_process import EmbeddedServer\n"
        "with EmbeddedServer(Path(sys.argv[1]), slots=1, context=256) as server:\n"
        "    print(server.url, flush=True)\n    time.sleep(600)\n"
    )
    root = Path(__file__).resolve().parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", program, str(local_model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().decode().strip()
        assert requests.get(f"{url}/models", timeout=PATIENCE).ok
        parent.kill()
        parent.wait()
        wait_for(lambda: not _answers(url))


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/models", timeout=PATIENCE).ok
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
