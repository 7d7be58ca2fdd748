"""What is assumed of Curator 0.1.31, hook by hook, and what each hook is there for.

A new version of Curator that breaks an assumption breaks a test here, and nowhere else first.
"""

from __future__ import annotations

import ast
import inspect
import json
import logging
import re
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pytest

import tunixhack
from tests.teachers.odd_server import GOOD, Reply, completion, odd_server
from tests.teachers.transport.test_request_loop import UNWRITABLE, message_rows, received, send
from tests.waiting import PATIENCE
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipes.creative import CreativeWriting
from tunixhack.teachers.transport import _curator, _curator_online, retries

# from our own files, which switch Curator's telemetry off before they import Curator
from tunixhack.teachers.transport._curator import LLM, HardenedLLM, PromptFormatter
from tunixhack.teachers.transport._curator_online import GenericResponse, OnlineProcessor, OpenAIOnlineRequestProcessor
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.testing import ScriptedTeacher, toy_questions

pytestmark = pytest.mark.usefixtures("no_pauses")

stock_module: Any = inspect.getmodule(OpenAIOnlineRequestProcessor)
IMPORT = re.compile(r"^\s*(from|import) bespokelabs", re.MULTILINE)
OWN_STATE = {"_config", "_fingerprint", "trace", "system_prompt", "_own_system"}


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which a constructor posts; nothing is sent, and no tokenizer is fetched."""
    sent: list[str] = []

    class Limits:
        headers: ClassVar[dict[str, str]] = {}

    def post(url: str, **options: Any) -> Limits:
        assert "timeout" not in options, "the stock constructor has learned to time out"
        sent.append(url)
        return Limits()

    monkeypatch.setattr(stock_module.requests, "post", post)
    monkeypatch.setattr(OpenAIOnlineRequestProcessor, "get_token_encoding", lambda self: None)
    return sent


URL = "http://127.0.0.1:9/v1"


def stock(url: str = URL, **options: Any) -> Any:
    return LLM("m", backend="openai", backend_params={"base_url": url, "api_key": "k"}, **options)


def writer(url: str = URL, **options: Any) -> CreativeWriting:
    backend = {"base_url": url} | options.pop("backend_params", {})
    return CreativeWriting("scripted", backend_params=backend, **options)


# the pin and the table


def test_curator_is_the_version_that_was_read():
    assert version("bespokelabs-curator") == "0.1.31"


def test_no_file_but_those_named_after_curator_imports_it():
    package = Path(tunixhack.__file__).parent
    importing = [file.name for file in package.rglob("*.py") if IMPORT.search(file.read_text(encoding="utf-8"))]
    assert len(importing) >= 3
    assert all(name.startswith("_curator") for name in importing)


def overridden(ours: type, theirs: type) -> set[str]:
    return {name for name in vars(ours) if name in dir(theirs) and callable(getattr(theirs, name))} - set(dir(object))


HOOKS = sorted(overridden(OnlineProcessor, OpenAIOnlineRequestProcessor))


LLM_HOOKS = sorted(overridden(HardenedLLM, LLM) - {"parse", "__call__"})  # which are what subclasses are for


@pytest.mark.parametrize(("module", "hooks"), [(_curator, LLM_HOOKS), (_curator_online, HOOKS)])
def test_the_table_at_the_top_of_the_file_names_every_hook(module: Any, hooks: list[str]):
    table = ast.get_docstring(ast.parse(inspect.getsource(module))) or ""
    # an abbreviated name is found by its beginning
    assert {name for name in hooks if name[:9] not in table} == set()


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_takes_what_the_stock_method_takes(name: str):
    ours = inspect.signature(getattr(OnlineProcessor, name)).parameters
    theirs = inspect.signature(getattr(OpenAIOnlineRequestProcessor, name)).parameters
    assert list(ours) == list(theirs)
    assert inspect.iscoroutinefunction(getattr(OnlineProcessor, name)) == inspect.iscoroutinefunction(
        getattr(OpenAIOnlineRequestProcessor, name)
    )


def test_the_fingerprint_hook_takes_what_the_stock_method_takes():
    ours = inspect.signature(HardenedLLM._hash_fingerprint).parameters
    assert list(ours) == list(inspect.signature(LLM._hash_fingerprint).parameters)


@pytest.mark.parametrize("name", HOOKS)
def test_curator_calls_the_hook(name: str, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    original = getattr(OnlineProcessor, name)

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(OnlineProcessor, name, counted)
    answers = writer(teacher.url)(toy_questions(2), working_dir=str(tmp_path)).dataset
    assert calls
    assert len(answers) == 2


# LLM.__init__ (not called), get_header_based_rate_limits, get_token_encoding


def test_the_stock_constructor_posts_and_ours_does_not(posts: list[str]):
    stock()
    assert posts == [f"{URL}/chat/completions"]
    writer()
    assert len(posts) == 1


def test_ours_sets_the_attributes_that_the_constructor_it_does_not_call_sets(posts: list[str]):
    theirs, ours = stock(), writer()
    assert ours._request_processor is ours._request_processor  # made at its first use
    assert set(vars(ours)) - OWN_STATE == set(vars(theirs))
    assert isinstance(ours.prompt_formatter, PromptFormatter)
    assert set(vars(ours.prompt_formatter)) == set(vars(theirs.prompt_formatter))
    assert set(vars(ours._request_processor)) - {"journal", "state"} == set(vars(theirs._request_processor))


def test_no_tokenizer_is_fetched(monkeypatch: pytest.MonkeyPatch):
    def fetch(name: str) -> None:
        raise AssertionError(f"it would download {name}")

    monkeypatch.setattr(stock_module.tiktoken, "get_encoding", fetch)
    assert writer()._request_processor.token_encoding is None


def test_the_limits_are_ours_and_a_request_costs_nothing_of_them():
    processor = writer()._request_processor
    assert processor.max_requests_per_minute == _curator.NO_LIMIT
    assert processor.max_tokens_per_minute == _curator.NO_LIMIT
    assert processor.estimate_total_tokens([{"role": "user", "content": "x" * 10_000}]).total in (None, 0)


def test_as_many_requests_are_in_flight_as_were_allowed(tmp_path: Path):
    """Each is answered when two others are there, too."""
    three, lock, inside = threading.Barrier(3), threading.Lock(), [0, 0]

    def reply(body: dict[str, Any], headers: Any) -> Reply:
        with lock:
            inside[0] += 1
            inside[1] = max(inside)
        three.wait(PATIENCE)
        with lock:
            inside[0] -= 1
        return 200, completion(GOOD)

    with odd_server(reply) as server:
        writer(server.url, backend_params={"max_concurrent_requests": 3})(toy_questions(9), working_dir=str(tmp_path))
        assert len(server.asked) == 9
    assert inside == [0, 3]


# _hash_fingerprint


def test_the_stock_fingerprint_lacks_the_system_prompt_and_the_address(posts: list[str]):
    one = stock()._hash_fingerprint("rows")
    assert one == stock("http://127.0.0.1:10/v1", system_prompt="Be brief.")._hash_fingerprint("rows")


# _tracker_console


def test_nothing_is_shown_beside_our_own_bar(
    teacher: ScriptedTeacher, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    writer(teacher.url)(toy_questions(3), working_dir=str(tmp_path))
    assert "".join(capfd.readouterr()) == ""


# append_generic_response, create_dataset_files, attempt_loading_cached_dataset


def test_a_journal_line_holds_the_answer_once_and_curator_reads_it(teacher: ScriptedTeacher, tmp_path: Path):
    writer(teacher.url)(toy_questions(1), working_dir=str(tmp_path))
    (file,) = tmp_path.glob("*/responses_0.jsonl")
    line = file.read_text()
    content = json.loads(line)["response_message"]["choices"][0]["message"]["content"]
    assert line.count(json.dumps(content, ensure_ascii=False)) == 1
    assert GenericResponse.model_validate_json(line).response_errors is None
    done, _ = writer(teacher.url)._request_processor.validate_existing_response_file(str(file))
    assert done == {0}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_a_plain_call_returns_it_too(what: str, tmp_path: Path):
    with odd_server(lambda body, headers: (200, UNWRITABLE[what])) as server:
        for _ in range(2):  # the second reads what the first has written
            assert len(writer(server.url)(toy_questions(1), working_dir=str(tmp_path)).dataset) == 1
        assert len(server.asked) == 1


# process_requests_from_file


def test_a_folder_may_have_requests_in_its_name(teacher: ScriptedTeacher, tmp_path: Path):
    folder = tmp_path / "requests_of_mine"
    assert len(writer(teacher.url)(toy_questions(2), working_dir=str(folder)).dataset) == 2
    send(teacher.url, message_rows("one"), folder / "engine")
    assert received(folder / "engine") == ["question 0"]


# keys


SECRET = "sk-0123456789abcdefghijklmnopqrstuvwxyz"


def echoing(status: int, before: int = 0) -> Any:
    """A server that repeats the key where it must not be repeated."""

    def reply(body: dict[str, Any], headers: Any) -> tuple[int, Any]:
        if "fine" in str(body["messages"]):
            return 200, completion(GOOD)
        return status, f"{'-' * before}bad key: {headers['Authorization']}".encode()

    return reply


# a key that is cut off in the middle is still most of a key: 265 and 60 put it across the ends of what is quoted
@pytest.mark.parametrize(("status", "before"), [(500, 0), (401, 0), (200, 0), (500, 265), (200, 40), (200, 50)])
def test_the_key_is_in_no_file_no_log_and_no_message(
    status: int, before: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retries, "MOST_TRIES", 2)
    key, part = SECRET, SECRET[:12]
    with caplog.at_level(logging.DEBUG), odd_server(echoing(status, before)) as server:
        endpoint = {"headers": {"Authorization": f"Bearer {key}"}, "secret": key}
        state = send(server.url, message_rows("fine", "not"), tmp_path / "engine", **endpoint)
        llm = writer(server.url, backend_params={"api_key": key, "request_timeout": int(PATIENCE)})
        response = llm([{"question": "fine"}, {"question": "not"}], working_dir=str(tmp_path / "plain"))
        with pytest.raises(TeacherFailed, match="none of 1 row was answered: 1 time: ") as raised:
            llm([{"question": "not"}], working_dir=str(tmp_path / "failing"))
    assert len(response.dataset) == 1
    assert state.failures
    assert part not in str(state.failures)
    assert part not in caplog.text
    assert part not in repr(raised.value)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path.name for path in files if part.encode() in path.read_bytes()] == []


def test_the_key_is_not_shown_with_its_endpoint():
    endpoint = Endpoint(url=URL, model="m", headers={"Authorization": f"Bearer {SECRET}"}, secret=SECRET)
    assert SECRET not in repr(endpoint)
    assert SECRET not in repr(CallState(endpoint))


# parameters


def test_backend_params_are_left_as_they_are():
    params, sampling = {"base_url": URL, "max_concurrent_requests": 2}, {"temperature": 0.5}
    CreativeWriting("m", backend_params=params, generation_params=sampling)
    assert params == {"base_url": URL, "max_concurrent_requests": 2}
    assert sampling == {"temperature": 0.5}


def test_unknown_parameters_and_backends_are_a_sentence():
    with pytest.raises(UserError, match="max_concurent_requests"):
        writer(backend_params={"max_concurent_requests": 3})
    with pytest.raises(UserError, match=r"vllm.*not supported"):
        writer(backend="vllm")
    with pytest.raises(UserError, match="no rows"):
        writer()([])


def test_a_key_under_a_mistyped_name_is_not_in_the_message():
    with pytest.raises(UserError, match="apikey: Extra inputs") as caught:
        CreativeWriting("m", backend_params={"base_url": "http://127.0.0.1:1/v1", "apikey": "sk-verysecret"})
    assert "sk-verysecret" not in str(caught.value)
    assert caught.value.__cause__ is None
