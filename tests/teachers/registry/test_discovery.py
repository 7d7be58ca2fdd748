"""Lists of models are read as far as they can be, whatever a server puts into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._util.test_wire_json import DATA
from tests.teachers.odd_server import odd_server
from tunixhack.errors import UserError
from tunixhack.teachers.registry.discovery import (
    discover_any,
    discover_llamacpp,
    discover_lmstudio,
    discover_ollama,
    discover_openai,
)
from tunixhack.teachers.registry.resolve import RequestOptions, resolve

URL = "http://there:1/v1"
LOOKS = [discover_openai, discover_any, discover_llamacpp, discover_lmstudio, discover_ollama]


@pytest.mark.parametrize(
    ("told", "context"),
    [
        (8192, 8192),
        ("8192", 8192),
        (" 8192 ", 8192),
        (8192.0, 8192),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (2**70, None),
        ("9" * 400, None),
        (-1, None),
        (0, None),
        (0.5, None),
        ("many", None),
        ("٨", None),
        (True, None),
        (None, None),
        ([8192], None),
        ({"n": 8192}, None),
    ],
    ids=str,
)
def test_a_context_is_a_whole_number_however_it_is_spelled(told: Any, context: int | None):
    assert discover_openai(URL, lambda url: {"data": [{"id": "m", "max_model_len": told}]})["m"].context == context
    lmstudio = {"data": [{"id": "m", "state": "loaded", "loaded_context_length": told}]}
    assert discover_lmstudio(URL, lambda url: lmstudio)["m"].context == context
    assert discover_ollama(URL, lambda url: {"models": [{"name": "m", "context_length": told}]})["m"].context == context
    props = {"data": [{"id": "m"}], "default_generation_settings": {"n_ctx": told}, "total_slots": told}
    found = discover_llamacpp(URL, lambda url: props)["m"]
    assert (found.context, found.slots) == (context, context)


@pytest.mark.parametrize("name", [None, 3, [], {}, "", "  ", True])
def test_an_entry_without_a_name_is_left_out(name: Any):
    assert list(discover_openai(URL, lambda url: {"data": [{"id": name}, None, "m", {"id": "m"}]})) == ["m"]


@pytest.mark.parametrize("discover", LOOKS)
@given(DATA)
@settings(deadline=None)
def test_any_list_is_read_or_is_a_sentence(discover: Callable[..., Any], answer: Any):
    entries = answer if isinstance(answer, list) else [answer]
    for told in (answer, {"data": answer, "models": answer}, {"data": entries, "models": entries}):
        try:
            discover(URL, lambda url, told=told: told)
        except UserError:
            continue


@pytest.mark.parametrize("discover", LOOKS)
@given(st.dictionaries(st.sampled_from(["max_model_len", "meta", "root", "details", "state", "type", "digest"]), DATA))
@settings(deadline=None)
def test_any_entry_is_read(discover: Callable[..., Any], entry: dict[str, Any]):
    told = [entry | {"id": "m", "name": "m", "type": "llm"}]
    found = discover(URL, lambda url: {"data": told, "models": told, "default_generation_settings": entry})
    assert set(found) == {"m"}


@pytest.mark.parametrize(
    "models",
    [
        {"data": [{"id": "m", "max_model_len": "8192", "root": ["a", {"b": 2**70}]}]},
        {"data": [{"id": "m", "meta": {"n_ctx_train": 1, "size": float("nan")}}]},
        {"data": [{"id": "m", "meta": {"n_ctx_train": 1}}], "total_slots": -5},
        b'{"data": [{"id": "m\\ud83d", "root": ' + b"[" * 400 + b"]" * 400 + b"}]}",
        b'{"data": [{"id": "m\xf0\x9f\x98"}]}',
    ],
    ids=str,
)
def test_a_teacher_is_found_in_an_odd_list(models: Any):
    with odd_server(lambda *_: (200, {}), lambda: (200, models)) as server:
        teacher = resolve(server.url, RequestOptions())
    assert teacher.model.startswith("m")
    assert teacher.most_choices >= 1
