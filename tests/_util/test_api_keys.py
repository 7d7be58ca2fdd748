"""A key is looked for in the environment first, then where notebooks keep theirs."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from tunixhack._util.api_keys import find_key

NAME = "TUNIXHACK_API_KEY"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)


def notebook(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def kaggle(monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str]) -> None:
    client = SimpleNamespace(get_secret=secrets.__getitem__)
    notebook(monkeypatch, "kaggle_secrets", UserSecretsClient=lambda: client)


def colab(monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str]) -> None:
    notebook(monkeypatch, "google", __path__=[])
    notebook(monkeypatch, "google.colab", userdata=SimpleNamespace(get=secrets.__getitem__))


def test_nobody_has_it():
    assert find_key(NAME) is None


def test_the_environment_comes_before_kaggle_and_kaggle_before_colab(monkeypatch: pytest.MonkeyPatch):
    colab(monkeypatch, {NAME: "of colab"})
    assert find_key(NAME) == "of colab"
    kaggle(monkeypatch, {NAME: "of kaggle"})
    assert find_key(NAME) == "of kaggle"
    monkeypatch.setenv(NAME, "of the environment")
    assert find_key(NAME) == "of the environment"


def test_a_notebook_without_this_secret_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch):
    kaggle(monkeypatch, {})
    colab(monkeypatch, {})
    assert find_key(NAME) is None
