"""The scripted teacher refuses and leaves out what the servers do whose dialect it speaks."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.clock import Clock
from tunixhack.testing import Behaviour, Faults, ScriptedTeacher
from tunixhack.testing import server as module


def ask(teacher: ScriptedTeacher, **body: Any) -> requests.Response:
    messages = [{"role": "user", "content": "Why?"}]
    return requests.post(f"{teacher.url}/chat/completions", json={"messages": messages} | body, timeout=240)


@pytest.mark.parametrize(
    ("dialect", "body", "said"),
    [
        ("openai", {"max_tokens": 9}, "Use 'max_completion_tokens' instead"),
        ("openai", {"temperature": 0.5}, "'temperature' is not supported"),
        ("gemini", {"seed": 1}, 'Unknown name "seed"'),
        ("deepseek", {"n": 2}, "only n = 1"),
        ("anthropic", {"n": 2}, "only n = 1"),
    ],
)
def test_what_a_provider_refuses_is_refused_and_nothing_else(dialect: str, body: dict[str, Any], said: str) -> None:
    with ScriptedTeacher(dialect=dialect) as teacher:
        refused = ask(teacher, **body)
        assert refused.status_code == 400
        assert said in refused.json()["error"]["message"]
        assert ask(teacher, n=1).ok
    with ScriptedTeacher() as plain:
        assert ask(plain, **body).ok


@pytest.mark.parametrize("dialect", ["lmstudio", "ollama", "openrouter"])
def test_some_give_one_choice_whatever_n_is(dialect: str) -> None:
    with ScriptedTeacher(dialect=dialect) as teacher:
        assert len(ask(teacher, n=4).json()["choices"]) == 1


def test_ollama_tells_what_it_has_and_what_of_it_is_loaded() -> None:
    with ScriptedTeacher(dialect="ollama", models=("a", "b"), loaded=("b",), context=3000) as teacher:
        root = teacher.url.removesuffix("/v1")
        here = requests.get(f"{root}/api/tags", timeout=240).json()["models"]
        running = requests.get(f"{root}/api/ps", timeout=240).json()["models"]
    assert [model["name"] for model in here] == ["a", "b"]
    assert [(model["name"], model["context_length"]) for model in running] == [("b", 3000)]


@pytest.mark.parametrize(
    ("slots", "delays"), [(None, [0.2, 0.2, 0.2, 0.2]), (2, [0.2, 0.2, 0.4, 0.4]), (1, [0.2, 0.4, 0.6, 0.8])]
)
def test_a_server_with_slots_answers_as_many_at_once(
    slots: int | None, delays: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    server = module.Server(Behaviour(faults=Faults(latency=0.2), slots=slots))
    assert [server.delay() for _ in range(4)] == pytest.approx(delays)
    clock.now += 1
    assert server.delay() == pytest.approx(0.2), "all slots are free again"
