"""What a build sends, and what comes of it: one row's trouble is that row's business alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.teachers.odd_server import GOOD, completion, odd_server
from tests.waiting import PATIENCE
from tunixhack.runs.journal import read_journal
from tunixhack.teachers.transport import client, retries
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.request_loop import send_requests
from tunixhack.teachers.transport.retries import read_retry_after
from tunixhack.teachers.transport.threads import in_thread
from tunixhack.testing import Faults, ScriptedTeacher

pytestmark = pytest.mark.usefixtures("no_pauses")


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
    state = CallState(Endpoint(**({"url": url, "model": "odd", "timeout": PATIENCE, "attempts": 2} | endpoint)))
    in_thread(lambda: send_requests(rows, {}, folder, state), state)
    return state


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob("**/responses_*.jsonl") for line in file.open()]


def received(folder: Path) -> list[str]:
    return sorted(line["generic_request"]["original_row"]["question_id"] for line in journal(folder))


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


def test_an_answer_that_tells_of_more_tokens_than_its_bucket_holds_holds_up_no_other(tmp_path: Path):
    """Those after it waited for the bucket to fill again, for a minute or for a thousand years."""
    usage = {"prompt_tokens": 4294967295, "completion_tokens": 2**62}
    with odd_server(lambda body, headers: (200, completion(GOOD, usage=usage))) as server:
        state = send(server.url, message_rows(*map(str, range(40))), tmp_path, concurrency=4)
    assert state.successes == 40


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
    monkeypatch.setattr(client, "MOST_BYTES", 1000)
    with odd_server(lambda *_: (200, completion("x" * 2000))) as server:
        state = send(server.url, message_rows("one"), tmp_path)
        assert len(server.asked) == 2
    assert list(state.failures) == ["the answer has more than 1,000 bytes"]


def test_a_stopped_wire_ends_the_call_and_hangs_up(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("ok", "hang", "hang", "hang")))
    state = CallState(Endpoint(url=teacher.url, model="odd"))

    def tick() -> None:
        if state.successes == 1 and teacher.stats["requests"] == 4:
            state.cancel()

    rows = message_rows(*(str(number) for number in range(4)))
    in_thread(lambda: send_requests(rows, {}, tmp_path, state), state, tick)
    assert len(received(tmp_path)) == 1
    while teacher.stats["cancelled"] < 3:  # the test's own time limit ends this
        pass
