"""Under WSL2, LM Studio is looked for on the Windows host, too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import build, given_by_seed, small_recipe, write_questions
from tunixhack.errors import UserError
from tunixhack.teachers.registry import wsl
from tunixhack.teachers.registry.listing import as_lines, list_teachers
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.registry.wsl import default_gateway, windows_host
from tunixhack.teachers.transport.http import Unreachable
from tunixhack.testing import ScriptedTeacher

WSL2 = "Linux version 6.6.87.2-microsoft-standard-WSL2 (root@439a258ad544) (gcc (GCC) 11.2.0) #1 SMP PREEMPT_DYNAMIC"
WSL1 = "Linux version 4.4.0-22621-Microsoft (Microsoft@Microsoft.com) (gcc version 5.4.0 (GCC) ) #2506-Microsoft"
UBUNTU = "Linux version 6.8.0-60-generic (buildd@lcy02-amd64-098) (gcc-13 (Ubuntu 13.3.0)) #63-Ubuntu SMP"
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   \n"


def route(gateway: str, *, destination: str = "0.0.0.0", flags: int = 3, metric: int = 0) -> str:
    """Write a route as Linux does on the processors that there are: the last byte first."""
    told = [ipaddress.IPv4Address(one).packed[::-1].hex().upper() for one in (destination, gateway)]
    return f"eth0\t{told[0]}\t{told[1]}\t{flags:04X}\t0\t0\t{metric}\t00000000\t0\t0\t0   \n"


NAT = HEAD + route("172.30.96.1") + route("0.0.0.0", destination="172.30.96.0", flags=1)


def linux(root: Path, version: str, routes: str | None = NAT, *, mirrored: bool = False) -> Path:
    """Write what Linux tells of itself below a folder."""
    (root / "proc" / "net").mkdir(parents=True)
    (root / "proc" / "version").write_text(version, encoding="ascii")
    if routes is not None:
        (root / "proc" / "net" / "route").write_text(routes, encoding="ascii")
    if mirrored:
        (root / "sys" / "class" / "net" / "loopback0").mkdir(parents=True)
    return root


def test_under_wsl2_the_windows_host_is_the_default_gateway(tmp_path: Path):
    assert windows_host(linux(tmp_path, WSL2)) == "172.30.96.1"


@pytest.mark.parametrize("version", [WSL1, UBUNTU])
def test_another_linux_has_no_windows_host(version: str, tmp_path: Path):
    assert windows_host(linux(tmp_path, version)) is None


def test_in_a_mirrored_network_the_gateway_is_the_houses_router_and_is_not_asked(tmp_path: Path):
    assert windows_host(linux(tmp_path, WSL2, mirrored=True)) is None


@pytest.mark.parametrize("routes", [None, "", HEAD, HEAD + route("0.0.0.0", destination="10.0.0.0", flags=1)])
def test_without_a_default_route_there_is_no_host(routes: str | None, tmp_path: Path):
    assert windows_host(linux(tmp_path, WSL2, routes)) is None


def test_where_linux_tells_nothing_there_is_no_host(tmp_path: Path):
    assert windows_host(tmp_path) is None


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 2**31), st.integers(0, 2**31))
def test_of_two_default_routes_the_one_that_linux_prefers_is_taken(
    one: ipaddress.IPv4Address, other: ipaddress.IPv4Address, first: int, second: int
):
    routes = HEAD + route(str(one), metric=first) + route(str(other), metric=second)
    assert default_gateway(routes) == str(other if (second, str(other)) < (first, str(one)) else one)


@given(st.text() | st.text("0123456789ABCDEF \t\n-+x", min_size=20).map(HEAD.__add__))
def test_what_is_no_table_of_routes_has_no_gateway_or_one_that_is_an_address(text: str):
    found = default_gateway(text)
    assert found is None or ipaddress.IPv4Address(found)


# LM Studio on Windows, which is played by 127.0.0.1; the port of 127.0.0.2 is nobody's


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is inside a WSL2 whose Windows host is 127.0.0.1."""
    root = linux(tmp_path / "root", WSL2, HEAD + route("127.0.0.1"))
    monkeypatch.setattr(wsl, "windows_host", lambda: windows_host(root))


@pytest.fixture
def server(windows: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """LM Studio there, which does not answer here."""
    with ScriptedTeacher(dialect="lmstudio", models=("qwen3",)) as server:
        at(monkeypatch, server.url.replace("127.0.0.1", "127.0.0.2"))
        yield server


def at(monkeypatch: pytest.MonkeyPatch, url: str, name: str = "lmstudio") -> None:
    monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], url=url))


def test_lm_studio_on_the_windows_host_is_asked_there_and_is_who_it_would_be_here(server: ScriptedTeacher):
    teacher = resolve("lmstudio/qwen3", RequestOptions())
    with teacher.connect() as endpoint:
        assert endpoint.url == server.url
    # the host's address is another after each start of Windows, and no answer is to be paid for twice for that
    assert teacher.identity["url"] == PRESETS["lmstudio"].url


def test_answers_are_not_asked_again_after_a_start_of_windows_gave_it_another_address(
    server: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20))
    before = build(recipe, "lmstudio/qwen3", tmp_path / "run", questions=2)
    assert server.stats["choices"] > 0
    monkeypatch.setattr(wsl, "windows_host", lambda: "127.0.0.3")  # nobody is there: what is stored has to do
    assert build(recipe, "lmstudio/qwen3", tmp_path / "run", questions=2).train.equals(before.train)
    assert set(given_by_seed(server).values()) == {1}


def test_one_that_answers_here_is_taken_and_the_host_is_not_looked_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wsl, "windows_host", lambda: pytest.fail("it was looked up"))
    with ScriptedTeacher(dialect="lmstudio", models=("qwen3",)) as server:
        at(monkeypatch, server.url)
        with resolve("lmstudio", RequestOptions()).connect() as endpoint:
            assert endpoint.url == server.url


def test_nobody_in_either_place_is_a_sentence_with_both_and_the_setting(windows: None, monkeypatch: pytest.MonkeyPatch):
    at(monkeypatch, "http://127.0.0.2:9/v1")
    with pytest.raises(Unreachable) as raised:
        resolve("lmstudio/qwen3", RequestOptions())
    assert str(raised.value) == (
        "no server answers at http://127.0.0.2:9, nor on the Windows host at http://127.0.0.1:9: start "
        'LM Studio\'s, and if it runs on Windows, switch on "Serve on Local Network" in the settings of its server'
    )


def test_another_server_on_the_hosts_port_is_a_sentence_with_its_address(
    windows: None, monkeypatch: pytest.MonkeyPatch
):
    with ScriptedTeacher() as server:
        at(monkeypatch, server.url.replace("127.0.0.1", "127.0.0.2"))
        with pytest.raises(UserError, match=f"{server.url.removesuffix('/v1')} .*HTTP 404"):
            resolve("lmstudio/qwen3", RequestOptions())


def test_outside_wsl_only_the_address_here_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wsl, "windows_host", lambda: None)
    at(monkeypatch, "http://127.0.0.2:9/v1")
    with pytest.raises(Unreachable) as raised:
        resolve("lmstudio/qwen3", RequestOptions())
    assert "Windows" not in str(raised.value)


def test_other_teachers_are_not_looked_for_on_windows(windows: None, monkeypatch: pytest.MonkeyPatch):
    with ScriptedTeacher(dialect="vllm") as server:
        at(monkeypatch, server.url.replace("127.0.0.1", "127.0.0.2"), "vllm")
        with pytest.raises(Unreachable):
            resolve("vllm", RequestOptions())


def test_the_list_of_teachers_has_it_where_it_answers(server: ScriptedTeacher):
    assert f"lmstudio    answers at {server.url}, loaded: qwen3" in as_lines(list_teachers())


def test_the_list_says_what_to_switch_on_where_it_is_in_neither_place(windows: None, monkeypatch: pytest.MonkeyPatch):
    at(monkeypatch, "http://127.0.0.2:9/v1")
    (line,) = [line for line in as_lines(list_teachers()) if line.startswith("lmstudio")]
    assert line.endswith('switch on "Serve on Local Network" in the settings of its server')
