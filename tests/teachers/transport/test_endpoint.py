"""The server of a teacher: which one is local, how long it is waited for, and that its secrets are redacted."""

from __future__ import annotations

import pytest

from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.transport.endpoint import LOCAL_PATIENCE, PATIENCE, Endpoint, is_local
from tunixhack.testing import ScriptedTeacher


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1234/v1", True),
        ("http://localhost:1234/v1", True),
        ("http://[::1]:1234/v1", True),
        ("http://10.1.2.3/v1", True),
        ("http://172.16.0.9:8000/v1", True),
        ("http://192.168.0.4/v1", True),
        ("http://gpu:8000/v1", True),
        ("http://desk.local/v1", True),
        ("http://172.32.0.1/v1", False),
        ("https://8.8.8.8/v1", False),
        ("https://api.deepseek.com/v1", False),
    ],
)
def test_what_is_local(url: str, local: bool):
    assert is_local(url) is local


def test_a_local_server_is_waited_for_twice_as_long(teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch):
    with resolve(teacher.url, RequestOptions()).connect() as here:
        assert here.patience == LOCAL_PATIENCE == 600
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-no")
    with resolve("deepseek/deepseek-chat", RequestOptions()).connect() as there:
        assert there.patience == PATIENCE == 300


def test_credentials_are_redacted_in_the_form_in_which_they_were_sent():
    endpoint = Endpoint(url="u", model="m", headers={"Authorization": "Basic bWU6cHc="}, secret="pw")
    assert endpoint.redact("you sent Basic bWU6cHc=, that is me:pw") == "you sent Basic ***, that is me:***"
