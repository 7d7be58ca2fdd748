"""What is assumed of Curator 0.1.31, hook by hook, and what each hook is there for.

A new version of Curator that breaks an assumption breaks a test here, and nowhere else first.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pytest

import tunixhack
from tests.teachers.odd_server import GOOD, completion, odd_server
from tests.waiting import PATIENCE
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipes.creative import CreativeWriting
from tunixhack.runs.journal import read_journal
from tunixhack.teachers.llm import MessagesLLM
from tunixhack.teachers.transport import _curator, _curator_online, retries

# from our own files, which switch Curator's telemetry off before they import Curator
from tunixhack.teachers.transport._curator import LLM, HardenedLLM, PromptFormatter
from tunixhack.teachers.transport._curator_online import GenericResponse, OnlineProcessor, OpenAIOnlineRequestProcessor
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.retries import read_retry_after
from tunixhack.teachers.transport.threads import in_thread
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

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


def message_rows(*contents: str) -> list[dict[str, Any]]:
    return [
        {
            "messages": json.dumps([{"role": "user", "content": content}]),
            "generation_params": json.dumps({"seed": number}),
            "request_key": f"key {number}",
            "question_id": f"question {number}",
            "first": 0,
            "count": 1,
            "seed": number,
            "step": "sample",
            "teacher": "odd",
        }
        for number, content in enumerate(contents)
    ]


def send(url: str, rows: list[dict[str, Any]], folder: Path, **endpoint: Any) -> CallState:
    """Send rows the way the engine does, and return the call; what came is in the folder."""
    state = CallState(Endpoint(**({"url": url, "model": "odd", "timeout": 5.0, "attempts": 2} | endpoint)))
    llm = MessagesLLM("odd", backend_params={"base_url": url})
    in_thread(lambda: _curator.transport(llm, rows, folder, state), state)
    return state


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob("**/responses_*.jsonl") for line in file.open()]


def received(folder: Path) -> list[str]:
    return sorted(line["generic_request"]["original_row"]["question_id"] for line in journal(folder))


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
    assert set(vars(ours._request_processor)) - {"journal_only", "journal", "state"} == set(
        vars(theirs._request_processor)
    )


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


def test_as_many_requests_are_in_flight_as_were_allowed(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(latency=0.1))
    writer(teacher.url, backend_params={"max_concurrent_requests": 3})(toy_questions(9), working_dir=str(tmp_path))
    assert teacher.stats["max_concurrency"] == 3


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


def test_the_engines_journal_lacks_the_prompt_too_and_no_dataset_is_built(tmp_path: Path):
    with odd_server(lambda body, headers: (200, completion(GOOD))) as server:
        send(server.url, message_rows("A prompt of its own."), tmp_path)
    (line,) = journal(tmp_path)
    assert "A prompt of its own." not in json.dumps(line)
    assert line["generic_request"]["original_row"]["request_key"] == "key 0"
    assert not list(tmp_path.glob("**/*.arrow"))
    assert not list(tmp_path.glob("**/metadata.db"))


def test_a_failure_is_no_line_so_that_it_is_asked_again(tmp_path: Path):
    with odd_server(lambda body, headers: (400, {"error": "no"})) as server:
        send(server.url, message_rows("one"), tmp_path)
    assert journal(tmp_path) == []


def deep(levels: int) -> Any:
    inside: Any = "deep"
    for _ in range(levels):
        inside = [inside]
    return inside


UNWRITABLE = {
    "half an emoji, spelled": json.dumps(completion("\ud83d")).encode(),
    "half an emoji, in bytes": json.dumps(completion("CUT")).encode().replace(b"CUT", b"\xf0\x9f\x98"),
    "half a surrogate pair, in bytes": json.dumps(completion("CUT")).encode().replace(b"CUT", b"\xed\xa0\xbd"),
    "UTF-16": json.dumps(completion("\ud83d"), ensure_ascii=False).encode("utf-16-le", "surrogatepass"),
    "lists in lists": json.dumps(completion(GOOD) | {"more": deep(800)}).encode(),
    "lists in lists in a choice": json.dumps({"choices": [{"message": {"content": GOOD, "more": deep(300)}}]}).encode(),
    "a count that no table holds": json.dumps(completion(GOOD, usage={"prompt_tokens": 2**63})).encode(),
    "a count that is endless": b'{"choices": [{}], "usage": {"prompt_tokens": 1e999, "completion_tokens": NaN}}',
    "a number of 5,000 digits": b'{"choices": [{"index": ' + b"9" * 5000 + b"}]}",
    "a line's end in a string": b'{"choices": [{"message": {"content": "one\ntwo"}}]}',
}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_whatever_is_in_a_choice_is_paid_for_once_kept_and_read_again(what: str, tmp_path: Path):
    with odd_server(lambda body, headers: (200, UNWRITABLE[what])) as server:
        state = send(server.url, message_rows("one"), tmp_path)
        assert len(server.asked) == 1
    assert not state.failures
    assert received(tmp_path) == ["question 0"]
    assert read_journal(tmp_path).height == 1


@pytest.mark.parametrize("what", UNWRITABLE)
def test_a_plain_call_returns_it_too(what: str, tmp_path: Path):
    with odd_server(lambda body, headers: (200, UNWRITABLE[what])) as server:
        for _ in range(2):  # the second reads what the first has written
            assert len(writer(server.url)(toy_questions(1), working_dir=str(tmp_path)).dataset) == 1
        assert len(server.asked) == 1


# _free_capacity


def test_an_answer_that_tells_of_more_tokens_than_its_bucket_holds_holds_up_no_other(tmp_path: Path):
    """Those after it waited for the bucket to fill again, for a minute or for a thousand years."""
    usage = {"prompt_tokens": 4294967295, "completion_tokens": 2**62}
    with odd_server(lambda body, headers: (200, completion(GOOD, usage=usage))) as server:
        state = send(server.url, message_rows(*map(str, range(40))), tmp_path, concurrency=4)
    assert state.successes == 40


# call_single_request: what goes wrong with one row is that row's business alone


def test_429_waits_as_long_as_the_server_says(
    teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slept: list[float] = []
    sleep = asyncio.sleep

    async def no_sleep(seconds: float, *rest: Any) -> None:
        slept.append(seconds)
        await sleep(min(seconds, 0.01))

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    teacher.change(faults=Faults(script=("429", "429"), retry_after=7))
    state = send(teacher.url, message_rows("one"), tmp_path)
    assert slept.count(7.0) == 2
    assert state.successes == 1


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("1e9", 600.0), ("-1", 0.0), ("Wed, 21 Oct", None)])
def test_retry_after_is_believed_within_reason(header: str, seconds: float | None):
    assert read_retry_after(header) == seconds


@pytest.mark.parametrize("fault", ["429", "500", "hang", "broken", "html", "no_usage"])
def test_a_fault_that_passes_costs_one_more_try_at_most(fault: str, teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("ok", fault)))
    timeout = 2.0 if fault == "hang" else PATIENCE  # else a busy machine could run into it, too
    state = send(teacher.url, message_rows("one", "two", "three"), tmp_path, timeout=timeout)
    assert received(tmp_path) == ["question 0", "question 1", "question 2"]
    assert teacher.stats["requests"] == (3 if fault == "no_usage" else 4)
    assert not state.failures


POISON = {
    "broken JSON": (200, b'{"choices": [{"mess'),
    "a web page": (200, b"<!doctype html><html>Sign in</html>"),
    "no JSON object": (200, ["choices"]),
    "no choices": (200, {"choices": []}),
    "choices that are none": (200, {"choices": [None, 3]}),
    "an error with status 200": (200, {"error": {"message": "it broke"}}),
    "an error with status 200 that the request is to blame for": (200, {"error": {"message": "no", "code": 400}}),
    "an error with status 200 that the server is to blame for": (200, {"error": {"message": "no", "code": 502}}),
    "a choice that is an error": (200, {"choices": [{"error": {"message": "no"}, "message": {"content": ""}}]}),
    "not UTF-8": (200, b'{"choices": "\xff\xfe"}'),
    "a redirect": (307, b""),
    "400": (400, {"error": "too long"}),
    "401": (401, {"error": "who are you"}),
    "422": (422, {"error": "no"}),
    "500": (500, {"error": "out of memory"}),
}
TRIES = {"a redirect": 1, "400": 1, "401": 1, "422": 1, "500": 4} | {
    "an error with status 200 that the request is to blame for": 1,
    "an error with status 200 that the server is to blame for": 4,
}
"""Of a request that is refused, or that the server is to blame for; all others have the two of `send`."""


@pytest.mark.parametrize("what", POISON)
def test_a_row_that_always_fails_leaves_the_others_alone_and_is_named(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retries, "MOST_TRIES", 4)
    with odd_server(
        lambda body, _: POISON[what] if "poison" in str(body["messages"]) else (200, completion(GOOD))
    ) as server:
        state = send(server.url, message_rows("one", "poison", "three"), tmp_path)
    tries = sum("poison" in str(body["messages"]) for body in server.asked)
    assert received(tmp_path) == ["question 0", "question 2"]
    assert sum(state.failures.values()) == 1
    assert state.gave_up is None
    assert tries == TRIES.get(what, 2)
    assert len(server.asked) == tries + 2


@pytest.mark.parametrize(
    "odd",
    [
        completion(None),
        completion(""),
        completion(GOOD, usage=None),
        completion(GOOD, usage="many"),
        completion(GOOD, usage={"prompt_tokens": "3", "completion_tokens": None}),
        completion(GOOD, finish="content_filter"),
        {"choices": [{"message": None}]},
        {"choices": [{}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}},
        {"choices": None, "usage": {"total_tokens": 3}},
        {"choices": ["text", None], "usage": {"total_tokens": 3}},
        completion(GOOD, GOOD),
        {"error": {"code": 502}, **completion(GOOD)},
    ],
)
def test_an_odd_completion_is_paid_for_and_kept_and_asked_once(odd: Any, tmp_path: Path):
    with odd_server(lambda body, _: (200, odd if "odd one" in str(body["messages"]) else completion(GOOD))) as server:
        state = send(server.url, message_rows("one", "odd one"), tmp_path)
        assert len(server.asked) == 2
    assert received(tmp_path) == ["question 0", "question 1"]
    assert not state.failures


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed_so_that_prompts_and_key_stay_where_they_were_sent(status: int, tmp_path: Path):
    with odd_server(lambda *_: (200, completion(GOOD))) as other:
        moved = {"Location": f"{other.url}/chat/completions"}
        with odd_server(lambda *_: (status, b""), headers=moved) as server:
            state = send(server.url, message_rows("one"), tmp_path)
        assert other.asked == []
    assert other.url.removesuffix("/v1") in next(iter(state.failures))


def test_an_answer_without_an_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_curator_online, "MOST_BYTES", 1000)
    with odd_server(lambda *_: (200, completion("x" * 2000))) as server:
        state = send(server.url, message_rows("one"), tmp_path)
        assert len(server.asked) == 2
    assert list(state.failures) == ["the answer has more than 1,000 bytes"]


# process_requests_from_file


def test_a_folder_may_have_requests_in_its_name(teacher: ScriptedTeacher, tmp_path: Path):
    folder = tmp_path / "requests_of_mine"
    assert len(writer(teacher.url)(toy_questions(2), working_dir=str(folder)).dataset) == 2
    send(teacher.url, message_rows("one"), folder / "engine")
    assert received(folder / "engine") == ["question 0"]


def test_a_stopped_wire_ends_the_call_and_hangs_up(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("ok", "hang", "hang", "hang")))
    state = CallState(Endpoint(url=teacher.url, model="odd"))
    llm = MessagesLLM("odd", backend_params={"base_url": teacher.url})

    def tick() -> None:
        if state.successes == 1 and teacher.stats["requests"] == 4:
            state.cancel()

    rows = message_rows(*(str(number) for number in range(4)))
    in_thread(lambda: _curator.transport(llm, rows, tmp_path, state), state, tick)
    assert len(received(tmp_path)) == 1
    while teacher.stats["cancelled"] < 3:  # the test's own time limit ends this
        pass


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
        llm = writer(server.url, backend_params={"api_key": key, "request_timeout": 5})
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
