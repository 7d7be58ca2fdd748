"""`tunixhack teachers`: who could answer, and who does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.teachers.named import named
from tests.teachers.odd_server import odd_server
from tests.waiting import PATIENCE
from tunixhack._util.api_keys import KEY_VARIABLE
from tunixhack.cli.main import app
from tunixhack.teachers.registry import listing
from tunixhack.teachers.registry.listing import TeacherStatus, as_lines, list_teachers
from tunixhack.teachers.registry.presets import PRESETS


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys, and no server at the addresses of one's own servers, whatever runs on this machine."""
    for variable in {KEY_VARIABLE, "OLLAMA_HOST", *(preset.key for preset in PRESETS.values())}:
        monkeypatch.delenv(variable, raising=False)
    for name, preset in list(PRESETS.items()):
        if preset.local:
            monkeypatch.setitem(PRESETS, name, replace(preset, url="http://127.0.0.1:9/v1"))


def seen(name: str) -> TeacherStatus:
    return {one.name: one for one in list_teachers()}[name]


def line(name: str) -> str:
    return next(line for line in as_lines(list_teachers()) if line.startswith(f"{name} "))


def test_every_teacher_of_the_table_is_listed_in_its_order():
    assert [one.name for one in list_teachers()] == list(PRESETS)


def test_nobody_there_is_said_with_the_address_and_is_no_problem():
    assert (seen("vllm").answers, seen("vllm").problem) == (False, None)
    assert line("vllm") == "vllm        no server answers at http://127.0.0.1:9/v1"


@pytest.mark.parametrize("name", ["lmstudio", "ollama"])
def test_what_is_loaded_is_told_apart_from_what_could_be(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name, models=("a", "b", "c"), loaded=("b",)) as server:
        assert (seen(name).answers, seen(name).loaded, seen(name).available) == (True, ("b",), ("a", "c"))
        assert line(name).endswith(f"answers at {server.url}, loaded: b; 2 more could be loaded")
        assert server.stats["requests"] == 0
    with named(monkeypatch, name, models=("a",), loaded=()):
        assert line(name).endswith("loaded: nothing; 1 more could be loaded")


@pytest.mark.parametrize("name", ["vllm", "llamacpp"])
def test_what_is_served_is_loaded(name: str, monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, name, models=("a", "b")):
        assert line(name).endswith("loaded: a, b")


def test_a_provider_is_asked_nothing_and_its_key_is_named_but_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-1")
    with odd_server(lambda *_: (500, b""), lambda: pytest.fail("it was asked")) as server:
        for name in ("deepseek", "openai"):
            monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], url=server.url))
        found = {one.name: one for one in list_teachers()}
    assert (found["deepseek"].key_set, found["deepseek"].answers) == (True, None)
    assert (found["openai"].key_set, found["openai"].answers) == (False, None)
    assert line("deepseek").endswith("DEEPSEEK_API_KEY is set")
    assert line("openai").endswith("needs a key in OPENAI_API_KEY; its trace is hidden, use --trace written")
    assert "sk-1" not in repr(found)


@contextmanager
def silent_servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Servers that take connections and say nothing, in the place of all of one's own."""
    with ExitStack() as open_:
        servers = []
        for name, preset in list(PRESETS.items()):
            if preset.local:
                servers.append(open_.enter_context(socket.create_server(("127.0.0.1", 0))))
                url = f"http://127.0.0.1:{servers[-1].getsockname()[1]}/v1"
                monkeypatch.setitem(PRESETS, name, replace(preset, url=url))
        yield servers


def test_servers_that_say_nothing_are_waited_for_and_not_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "TIMEOUT", 0.2)
    with silent_servers(monkeypatch):
        assert all("did not answer" in str(one.problem) for one in list_teachers() if one.local)


def test_all_servers_are_asked_before_any_has_answered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "TIMEOUT", PATIENCE)

    def hang_up() -> None:
        """Once all are asked; one after the other, the second would not be while the first says nothing."""
        asked = [server.accept()[0] for server in servers]
        while asked:
            asked.pop().close()
        for server in servers:
            server.close()

    with silent_servers(monkeypatch) as servers:
        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        found = list_teachers()
        thread.join()
    assert len(servers) > 1
    assert not any(one.answers for one in found if one.local)
    assert not any("did not answer" in str(one.problem) for one in found)


def test_a_server_that_loads_its_model_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "llamacpp", loading_seconds=60):
        assert line("llamacpp").endswith("is loading its model")


def test_another_server_at_the_address_and_a_variable_without_one_are_problems(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "lmstudio", dialect="plain"):
        assert "HTTP 404" in line("lmstudio")
    monkeypatch.setenv("OLLAMA_HOST", "http://[::1")
    assert line("ollama") == "ollama      OLLAMA_HOST holds no address: it is HOST:PORT"


def test_a_models_name_does_nothing_to_the_terminal(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "vllm", models=("\x1b[2Jm",)):
        assert "\x1b" not in line("vllm")


def test_the_command_prints_lines_or_json(monkeypatch: pytest.MonkeyPatch):
    with named(monkeypatch, "vllm", models=("m",)):
        plain = CliRunner().invoke(app, ["teachers"])
        machine = CliRunner().invoke(app, ["teachers", "--json"])
    assert (plain.exit_code, machine.exit_code) == (0, 0)
    assert len(plain.stdout.splitlines()) == len(PRESETS)
    told = {one["name"]: one for one in json.loads(machine.stdout)["teachers"]}
    assert (told["vllm"]["answers"], told["vllm"]["loaded"]) == (True, ["m"])
    assert told["openai"]["answers"] is None
