"""From what stands after --teacher to a teacher: who it is, and one sentence for everything that goes wrong."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builds import build, small_recipe, write_questions
from tests.teachers.named import named
from tests.teachers.odd_server import GOOD, completion, odd_server
from tunixhack._util.progress import Reporter
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.runs.run import Run
from tunixhack.teachers.engine.preflight import examine
from tunixhack.teachers.local import server_process
from tunixhack.teachers.prices import FREE
from tunixhack.teachers.registry import resolve as resolve_module
from tunixhack.teachers.registry.address import public_name
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.registry.resolve import LOCAL_CONTEXT, RequestOptions, resolve
from tunixhack.testing import Faults, ScriptedTeacher

KEY = "TUNIXHACK_API_KEY"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)


@pytest.fixture
def lmstudio(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """LM Studio with three models, of which one is loaded with less context than it could have."""
    about = {"models": ("qwen3-14b", "gemma-3-1b", "phi-4"), "loaded": ("qwen3-14b",), "context": 3000}
    with named(monkeypatch, "lmstudio", **about) as server:
        yield server


def refused(spec: str, options: RequestOptions | None = None) -> str:
    with pytest.raises(UserError) as raised:
        resolve(spec, options or RequestOptions())
    said = str(raised.value)
    assert "\n" not in said
    return said


# LM Studio


def test_lm_studios_loaded_context_and_quantisation_are_the_teachers(lmstudio: ScriptedTeacher):
    teacher = resolve("lmstudio/qwen3-14b", RequestOptions())
    assert (teacher.name, teacher.model) == ("lmstudio/qwen3-14b", "qwen3-14b")
    assert teacher.context == 3000, "what is loaded, not the 32,768 that the model could have"
    assert teacher.identity["quantisation"] == "Q4_K_M"
    assert teacher.identity["served"] == "qwen3-14b"
    assert teacher.most_choices == 1, "LM Studio gives one choice whatever n is"


def test_a_prompt_that_does_not_fit_lm_studios_context_names_its_setting(lmstudio: ScriptedTeacher):
    teacher = resolve("lmstudio/qwen3-14b", RequestOptions(max_tokens=2999))
    question = [{"role": "user", "content": "Write a letter about a missing key."}]
    with teacher.connect() as endpoint, pytest.raises(UserError) as raised:
        examine(endpoint, teacher, "written", question, print)
    assert "--max-tokens 2,999 that does not fit the 3,000 tokens of lmstudio/qwen3-14b" in str(raised.value)
    assert "the context length in LM Studio's load settings" in str(raised.value)


def test_a_model_that_lm_studio_has_not_loaded_is_a_sentence_that_says_how(lmstudio: ScriptedTeacher):
    said = refused("lmstudio/gemma-3-1b")
    assert "not loaded in LM Studio (loaded: qwen3-14b)" in said
    assert "lms load gemma-3-1b --context-length N" in said


def test_a_model_that_lm_studio_does_not_have_is_a_sentence_with_the_nearest(lmstudio: ScriptedTeacher):
    assert "LM Studio does not serve 'qwen3-14': did you mean qwen3-14b?" in refused("lmstudio/qwen3-14")


def test_something_else_on_lm_studios_port_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    for models in ([], {"data": None}, {"data": ["qwen"]}, {"data": [{"name": "x"}]}):
        with odd_server(lambda *_: (404, b""), lambda models=models: (200, models)) as server:  # type: ignore[misc]
            monkeypatch.setitem(PRESETS, "lmstudio", replace(PRESETS["lmstudio"], url=server.url))
            assert re.search("not LM Studio|LM Studio does not serve 'qwen'", refused("lmstudio/qwen"))


def test_a_whole_build_with_lm_studio(lmstudio: ScriptedTeacher, tmp_path: Path):
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20), max_tokens=1000)
    run = build(recipe, "lmstudio/qwen3-14b", tmp_path / "run", questions=3)
    assert run.train.height == 3 * 4
    assert set(run.train["teacher"]) == {"lmstudio/qwen3-14b"}
    assert lmstudio.stats["max_concurrency"] <= 4


# any server


def test_the_model_may_be_left_out_where_one_is_served_only():
    with ScriptedTeacher() as one:
        assert resolve(one.url, RequestOptions()).model == "scripted"
        assert (
            resolve(f"{one.url}/", RequestOptions()).identity
            == resolve(f"{one.url}#scripted", RequestOptions()).identity
        )
    with ScriptedTeacher(models=("small", "large")) as two:
        assert "serves 2 models: name one" in refused(two.url)
        assert "small, large" in refused(two.url)
        assert resolve(f"{two.url}#large", RequestOptions()).model == "large"
        assert "does not serve 'larg': did you mean large?" in refused(f"{two.url}#larg")


def test_what_a_server_tells_of_its_model_is_part_of_who_it_is():
    llamacpp = {"id": "m", "meta": {"size": 91_000_000, "n_params": 134_515_008, "n_ctx": 4096}}
    vllm = {"id": "m", "root": "Qwen/Qwen3-14B-AWQ", "max_model_len": 8192}
    for entry, quantisation, context in [
        (llamacpp, 91_000_000, 4096),
        (vllm, "Qwen/Qwen3-14B-AWQ", 8192),
        ({"id": "m"}, None, None),
        ({"id": "m", "meta": None}, None, None),
    ]:
        with odd_server(lambda *_: (404, b""), lambda entry=entry: (200, {"data": [entry]})) as server:  # type: ignore[misc]
            teacher = resolve(server.url, RequestOptions())
        assert teacher.identity == {"url": server.url, "served": "m", "quantisation": quantisation}
        assert teacher.context == context


@pytest.mark.parametrize("models", [[], {}, {"data": None}, {"data": "m"}, {"data": []}, {"data": [{"id": None}]}, 7])
def test_a_list_of_models_that_is_none_is_a_sentence(models: Any):
    with odd_server(lambda *_: (404, b""), lambda: (200, models)) as server:
        assert server.url in refused(server.url)


def test_sampling_is_temperature_one_and_the_users_wishes_over_it():
    with ScriptedTeacher() as server:
        assert resolve(server.url, RequestOptions()).sampling == {"temperature": 1.0, "max_tokens": 4096}
        options = RequestOptions(max_tokens=99, sampling={"temperature": 0.2, "top_p": 0.9})
        assert resolve(server.url, options).sampling == {"temperature": 0.2, "max_tokens": 99, "top_p": 0.9}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("401", "set it in the environment variable TUNIXHACK_API_KEY"),
        ("404", "does the address end in /v1?"),
        ("500", "HTTP 500"),
        ("html", "a web page: it is not an OpenAI-compatible server"),
        ("broken", "no JSON"),
    ],
)
def test_a_broken_server_is_one_sentence(fault: str, sentence: str):
    with ScriptedTeacher(faults=Faults(always=fault)) as server:
        assert sentence in refused(server.url)


@pytest.mark.parametrize("spec", ["gpt-4", "olama/qwen", "locale", "", "LMSTUDIO/x", "ftp://host/v1"])
def test_an_unknown_teacher_is_a_sentence_with_those_there_are(spec: str):
    said = refused(spec)
    assert said.startswith(f"teacher {spec!r} is unknown: ")
    assert "lmstudio/MODEL" in said


def test_a_server_that_is_away_is_what_the_run_remembers_and_an_error_when_it_is_needed():
    with ScriptedTeacher() as server:
        known = resolve(server.url, RequestOptions())
    remembered = {"model": known.model, "identity": dict(known.identity)}
    away = resolve(server.url, RequestOptions(), remembered)
    assert (away.identity, away.model, away.sampling) == (known.identity, known.model, known.sampling)
    with pytest.raises(UserError, match="no server answers"), away.connect():
        pass
    with pytest.raises(UserError, match="no server answers"):
        resolve(server.url, RequestOptions())


# keys and credentials


def test_the_key_comes_from_its_variable_and_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    with ScriptedTeacher(api_key="sk-1") as server:
        assert f"another one (HTTP 401): set it in the environment variable {KEY}" in refused(server.url)
        monkeypatch.setenv(KEY, "sk-1")
        teacher = resolve(server.url, RequestOptions())
        with teacher.connect() as endpoint:
            assert endpoint.headers == {"Authorization": "Bearer sk-1"}
            assert "sk-1" not in repr(endpoint)
        assert "sk-1" not in repr(teacher)


@pytest.mark.parametrize(
    ("written", "sent"),
    [("me:hunter2", "me:hunter2"), ("me:a%40b%2Fc", "me:a@b/c"), ("token-only", "token-only:")],
)
def test_credentials_in_the_address_are_sent_as_they_are_meant_and_kept_out_of_the_name(written: str, sent: str):
    heard: list[str] = []

    def reply(body: Any, headers: Any) -> Any:
        heard.append(headers["Authorization"])
        return 200, completion(GOOD)

    with odd_server(reply) as server:
        spec = server.url.replace("//", f"//{written}@") + "#odd"
        teacher = resolve(spec, RequestOptions())
        with teacher.connect() as endpoint:
            examine(endpoint, teacher, "written", [{"role": "user", "content": "Hi"}], print)
    assert set(heard) == {f"Basic {base64.b64encode(sent.encode()).decode()}"}
    assert teacher.name == public_name(spec) == f"{server.url}#odd"
    assert teacher.identity["url"] == server.url
    for secret in (written.rpartition(":")[2], sent.rpartition(":")[2] or "token-only"):
        assert secret not in repr(teacher) + repr(endpoint) + json.dumps(dict(teacher.identity))
        assert secret not in endpoint.redact(f"you sent {sent}, that is {heard[0]}")


@pytest.mark.parametrize("fault", ["401", "403", "404", "500", "html", "down", "not an address"])
def test_no_message_has_the_credentials(fault: str):
    def reply() -> Any:
        return (200, b"<html>") if fault == "html" else (int(fault), b"hunter2 is wrong")

    with odd_server(lambda *_: (500, b""), reply) as server:
        spec = server.url.replace("//", "//me:hunter2@")
        said = [] if fault == "down" else [refused({"not an address": "http://me:hunter2@[::1/v1"}.get(fault, spec))]
    said.append(refused(spec))
    assert "hunter2" not in " ".join(said)
    assert base64.b64encode(b"me:hunter2").decode() not in " ".join(said)


@pytest.mark.parametrize(("status", "ends"), [(400, nullcontext()), (403, pytest.raises(TeacherFailed))])
def test_credentials_are_in_no_file_of_a_run_and_on_no_screen(tmp_path: Path, status: int, ends: Any):
    number, refusing = itertools.count(), [True]

    def reply(body: Any, headers: Any) -> Any:
        if refusing[0] and "rival bakers" in str(body["messages"]):
            return status, f"{headers['Authorization']}, me:hunter2"
        return 200, completion(*[GOOD.replace("Said", f"Said {next(number)}") for _ in range(body.get("n", 1))])

    said = io.StringIO()
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20))
    with odd_server(reply) as server:
        spec = server.url.replace("//", "//me:hunter2@") + "#odd"
        order: dict[str, Any] = {"questions": 5, "report": Reporter(said)}
        with ends as raised:
            build(recipe, spec, tmp_path / "run", **order)
        unfinished = contents(tmp_path / "run")
        if status == 400:  # one question's own affair, of which a row tells
            (told,) = Run.load(tmp_path / "run").rejected.filter(reason="refused")["evidence"].unique()
            unfinished["evidence"] = told.encode()
            assert b"HTTP 400" in unfinished["evidence"]
        refusing[0] = False
        build(recipe, spec, tmp_path / "run", **order)
    everything = contents(tmp_path / "run") | {f"before {name}": raw for name, raw in unfinished.items()}
    assert "run.json" in everything
    everything |= {"the screen": said.getvalue().encode(), "the error": str(raised and raised.value).encode()}
    for secret in (b"hunter2", base64.b64encode(b"me:hunter2")):
        assert [name for name, raw in everything.items() if secret in raw] == []


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# the embedded teacher


def test_local_before_its_model_is_fetched_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "empty"))
    assert "run `tunixhack fetch-local` once" in refused("local")
    assert not (tmp_path / "empty").exists(), "looking leaves nothing behind"


def test_another_file_than_the_fetched_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path))
    (tmp_path / "SmolLM2-135M-Instruct.Q4_0.gguf").write_bytes(b"GGUF but not that one")
    assert "is not the file that was fetched: run `tunixhack fetch-local` again" in refused("local")


def test_a_file_that_is_none_or_no_gguf_is_a_sentence(tmp_path: Path):
    assert f"{tmp_path}/none.gguf is not a file" in refused(f"local/{tmp_path}/none.gguf")
    (tmp_path / "text.gguf").write_text("Hello")
    assert "is not a GGUF model file" in refused(f"local/{tmp_path}/text.gguf")


def test_an_embedded_teacher_is_its_file_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    for folder, content in (("a", b"GGUF one"), ("b", b"GGUF one"), ("c", b"GGUF two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.gguf").write_bytes(content)
    one, same, other = (resolve(f"local/{tmp_path}/{folder}/model.gguf", RequestOptions()).identity for folder in "abc")
    assert one == same != other
    assert set(one) == {"sha256"}


def test_a_limit_beyond_the_embedded_teachers_context_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    spec = f"local/{tmp_path}/model.gguf"
    assert f"--max-tokens {LOCAL_CONTEXT:,} does not fit" in refused(spec, RequestOptions(max_tokens=LOCAL_CONTEXT))
    assert resolve(spec, RequestOptions(max_tokens=100)).sampling["max_tokens"] == 100


def test_written_traces_of_the_embedded_teacher_follow_a_grammar_and_native_ones_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    spec = f"local/{tmp_path}/model.gguf"
    assert "<reasoning>" in (resolve(spec, RequestOptions()).grammar or "")
    assert resolve(spec, RequestOptions(trace="native")).grammar is None
    assert resolve(spec, RequestOptions()).price == FREE


@pytest.mark.parametrize(("cores", "copies"), [(1, [(16, 1)]), (2, [(8, 1)] * 2), (5, [(8, 2)] * 2)])
def test_the_usual_model_is_served_by_copies_that_share_slots_and_cores_and_a_file_of_ones_own_by_one(
    cores: int, copies: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(server_process, "usable_cores", lambda: cores)
    monkeypatch.setattr(server_process.EmbeddedServer, "start", lambda self: started.append(self))
    monkeypatch.setattr(server_process.EmbeddedServer, "wait", lambda self: setattr(self, "url", f"copy {id(self)}"))
    monkeypatch.setattr(resolve_module.model_file, "model_path", lambda spec: tmp_path / "model.gguf")
    for spec, expected in (("local", copies), ("local/model.gguf", [(16, cores)])):
        started: list[server_process.EmbeddedServer] = []
        teacher = resolve(spec, RequestOptions())
        with teacher.connect() as endpoint:
            assert endpoint.addresses == tuple(server.url for server in started)
        assert [(server.slots, server.threads) for server in started] == expected
        assert all(server.small_keys == (spec == "local") for server in started)
        assert (teacher.slots, teacher.most_choices) == (16, expected[0][0])
