"""Three tiny requests tell what a server can do, before anything is paid for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.ports import reserved_port
from tests.teachers.odd_server import GOOD, completion, odd_server
from tests.waiting import PATIENCE
from tunixhack.errors import UserError
from tunixhack.teachers.base import Capabilities, Teacher
from tunixhack.teachers.engine.preflight import SEEDS, TINY, examine
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.transport import http
from tunixhack.teachers.transport.http import get_json, post_json
from tunixhack.testing import ScriptedTeacher

LONGEST = [{"role": "user", "content": "Write a letter from a lighthouse keeper about a missing key."}]


def check(server: Any, trace: str = "written", said: list[str] | None = None, **teacher: Any) -> Capabilities:
    """Examine a server; ``teacher`` are fields of `Teacher` to be different."""
    known = resolve(server.url, RequestOptions(trace=trace))
    known = Teacher(**(vars(known) | teacher))
    with known.connect() as endpoint:
        return examine(endpoint, known, trace, LONGEST, (said if said is not None else []).append)


# seeds


def test_consecutive_seeds_allow_blocks_of_as_many_choices_as_the_teacher_gives():
    with ScriptedTeacher() as teacher:
        assert check(teacher).block == 16
        assert teacher.stats["requests"] == 3
        assert {body["max_tokens"] for body in teacher.stats["bodies"]} == {TINY}


@pytest.mark.parametrize("like", [{"seeds": "own"}, {"seeds": "ignored"}, {"n_supported": False}], ids=str)
def test_other_servers_are_asked_one_by_one(like: dict[str, Any]):
    with ScriptedTeacher(**like) as teacher:
        assert check(teacher).block == 1


def test_a_server_that_says_the_same_whatever_the_seed_has_no_consecutive_seeds():
    with odd_server(lambda body, headers: (200, completion(*[GOOD] * body.get("n", 1)))) as server:
        assert check(server).block == 1


def test_one_seed_of_three_that_comes_out_differently_is_no_evidence_against_it():
    """Computed beside others, a choice can differ in its last bits."""

    def reply(body: dict[str, Any], headers: Any) -> Any:
        seeds = range(body["seed"], body["seed"] + body.get("n", 1))
        noise = "noise" if body["seed"] == SEEDS[0] else ""
        return 200, completion(*[f"{seed}{noise}" for seed in seeds])

    with odd_server(reply) as server:
        assert check(server).block == 16


def test_a_teacher_that_gives_one_choice_is_asked_once_and_never_for_two():
    with ScriptedTeacher() as teacher:
        assert check(teacher, most_choices=1).block == 1
        assert teacher.stats["requests"] == 1
        assert "n" not in teacher.stats["bodies"][0]


def test_what_is_asked_is_asked_with_the_sampling_of_the_run():
    with ScriptedTeacher() as teacher:
        check(teacher, sampling={"temperature": 0.25, "max_tokens": 500})
        assert {body["temperature"] for body in teacher.stats["bodies"]} == {0.25}


@pytest.mark.parametrize(("usage", "one"), [("one", True), ("all", False), ("none", False)])
def test_it_is_seen_whether_usage_counts_one_choice_only(usage: str, one: bool):
    with ScriptedTeacher(usage=usage) as teacher:
        assert check(teacher).counts_one_choice == one


# context


def test_a_prompt_that_does_not_fit_with_the_limit_is_refused_and_names_both_ways_out():
    with ScriptedTeacher() as teacher, pytest.raises(UserError) as raised:
        check(teacher, context=1000, context_setting="the slider", sampling={"max_tokens": 990})
    said = str(raised.value)
    assert "--max-tokens 990" in said
    assert "the 1,000 tokens" in said
    assert "raise the slider" in said
    lower = int(said.partition("lower --max-tokens to ")[2].split(" ")[0])
    with ScriptedTeacher() as teacher:
        assert check(teacher, context=1000, sampling={"max_tokens": lower}).block == 16


def test_without_a_known_context_or_usage_nothing_is_refused():
    with ScriptedTeacher() as teacher:
        assert check(teacher, sampling={"max_tokens": 10**6}).block == 16
    with ScriptedTeacher(usage="none") as teacher:
        assert check(teacher, context=10, sampling={"max_tokens": 10**6}).block == 16


def test_a_prompt_that_the_server_refuses_as_too_long_is_a_sentence():
    with ScriptedTeacher(context=10) as teacher, pytest.raises(UserError, match=r"HTTP 400: .*exceeds the context"):
        check(teacher)


# native traces


@pytest.mark.parametrize("style", ["reasoning_content", "reasoning", "think"])
def test_a_native_teacher_shows_its_thinking_in_any_of_three_places(style: str):
    with ScriptedTeacher(style=style) as teacher:
        assert check(teacher, "native").block == 16


def test_a_native_teacher_without_thinking_is_refused_and_the_other_way_is_named():
    with ScriptedTeacher(style="none") as teacher:
        with pytest.raises(UserError, match="shows no thinking of its own: use --trace written"):
            check(teacher, "native")
        assert teacher.stats["requests"] <= 3
        assert check(teacher, "written").block == 16


# replies that are odd


ODD = {
    "no choice beside one": completion("yes") | {"choices": [None, *completion("yes")["choices"]]},
    "usage that is a list": completion("yes", usage=[]),
    "usage that is text": completion("yes", usage="many"),
    "counts that are none": completion("yes", usage={"prompt_tokens": "3", "completion_tokens": 2**70}),
    "a message that is text": {"choices": [{"message": "yes"}]},
    "a message that is a list": {"choices": [{"message": ["yes"]}]},
    "no message": {"choices": [{}]},
    "content in parts": completion([{"type": "text", "text": "yes"}]),
    "a finish_reason that is none": completion("yes", finish=["stop"]),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_reply_is_read_as_far_as_it_can_be(what: str):
    with odd_server(lambda *_: (200, ODD[what])) as server:
        assert check(server).block == 1
        assert check(server, context=8192, seeded=False).block == 1


@pytest.mark.parametrize("choices", [[None], [[]], ["text"], {"0": {}}, "text", 7])
def test_a_reply_whose_choices_are_none_is_one_sentence(choices: Any):
    answer = {"choices": choices}
    with odd_server(lambda *_: (200, answer)) as server, pytest.raises(UserError, match="answers without choices"):
        check(server)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"message": "Rate limit exceeded", "code": 429}, r"an error \(HTTP 200, code 429\): Rate limit exceeded"),
        ({"message": "Insufficient credits", "code": 402}, "Insufficient credits; see to the account there"),
        ({"message": "You exceeded", "code": "insufficient_quota"}, "You exceeded; see to the account there"),
        ({"message": "upstream is down"}, r"an error \(HTTP 200\): upstream is down"),
    ],
)
def test_an_error_with_http_200_is_told_in_the_servers_words(error: Any, sentence: str):
    for answer in ({"error": error}, {"choices": [{"error": error, "message": {"content": None}}]}):
        odd = odd_server(lambda *_, answer=answer: (200, answer))
        with odd as server, pytest.raises(UserError, match=sentence):
            check(server)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (402, {"error": {"message": "Insufficient Balance"}}),
        (429, {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}),
        (400, {"error": {"message": "Your credit balance is too low", "type": "invalid_request_error"}}),
    ],
)
def test_an_empty_account_is_told_at_once(status: int, answer: Any):
    with odd_server(lambda *_: (status, answer)) as server:
        with pytest.raises(UserError, match=rf"HTTP {status}: {answer['error']['message']}; see to the account there"):
            check(server)
        assert len(server.asked) == 1


def test_no_redirect_is_followed_and_it_is_told_where_it_leads():
    with odd_server(lambda *_: (200, completion("yes"))) as other:
        moving = odd_server(lambda *_: (308, b""), headers={"Location": f"{other.url}/chat/completions?key=sk-1"})
        told = rf"HTTP 308, a redirect to {other.url.removesuffix('/v1')}, which is not followed"
        with moving as server, pytest.raises(UserError, match=told):
            check(server)
        assert other.asked == []


@pytest.mark.parametrize("get", [True, False])
def test_a_body_that_never_ends_is_not_waited_for(get: bool):
    with dripping() as url, pytest.raises(UserError, match="did not answer within 0 s"):
        get_json(url, {}, timeout=0.3) if get else post_json(url, {}, {}, 0.3)


def test_a_body_that_is_endless_is_no_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "MOST_BYTES", 1000)
    endless = odd_server(lambda *_: (200, {}), lambda: (200, b" " * 2000))
    with endless as server, pytest.raises(UserError, match="with more than 1,000 bytes"):
        get_json(server.url, {})


# servers without seeds


def test_a_server_that_takes_no_seed_is_sent_none_and_asked_for_as_many_at_once_as_it_gives():
    with ScriptedTeacher(dialect="gemini") as teacher:
        assert check(teacher, seeded=False) == Capabilities(block=16, seeded=False)
        assert all("seed" not in body for body in teacher.stats["bodies"])
    with ScriptedTeacher(n_supported=False) as teacher:
        assert check(teacher, seeded=False).block == 1


def test_copies_of_one_choice_are_not_taken_for_samples():
    with odd_server(lambda body, headers: (200, completion(*[GOOD] * body.get("n", 1)))) as server:
        assert check(server, seeded=False).block == 1


def test_two_choices_that_are_alike_once_are_no_evidence_against_others():
    asked: list[int] = []

    def reply(body: dict[str, Any], headers: Any) -> Any:
        asked.append(1)
        return 200, completion(*[f"{place if len(asked) > 1 else 0}" for place in range(body.get("n", 1))])

    with odd_server(reply) as server:
        assert check(server, seeded=False).block == 16


def test_a_server_that_refuses_the_seed_is_asked_without_and_that_is_said():
    said: list[str] = []
    with ScriptedTeacher(dialect="gemini") as teacher:
        assert check(teacher, said=said) == Capabilities(block=16, seeded=False)
        assert teacher.stats["statuses"] == {"400": 1, "200": 1}
    assert len(said) == 1
    assert "takes no seed, and is sent none" in said[0]


def test_another_refusal_is_not_blamed_on_the_seed():
    with odd_server(lambda body, headers: (400, {"error": "no such template"})) as server:
        with pytest.raises(UserError, match="no such template"):
            check(server)
        assert len(server.asked) == 1


def test_the_limit_goes_by_the_name_that_the_server_has_for_it():
    with ScriptedTeacher(dialect="openai") as teacher:
        check(teacher, sampling={"max_completion_tokens": 50}, limit_name="max_completion_tokens")
        assert {body["max_completion_tokens"] for body in teacher.stats["bodies"]} == {TINY}


# what can go wrong with an address


def ask_both(url: str) -> list[str]:
    """The sentences for a GET and for a POST."""
    sentences = []
    for ask in (lambda: get_json(url, {}), lambda: post_json(url, {}, {"messages": LONGEST}, PATIENCE, print)):
        with pytest.raises(UserError) as raised:
            ask()
        sentences.append(str(raised.value))
    return sentences


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            401,
            {"error": "who?"},
            "wants a key, or another one (HTTP 401): set it in the environment variable TUNIXHACK_API_KEY",
        ),
        (403, b"", "wants a key, or another one (HTTP 403)"),
        (403, {"error": {"message": "Key limit exceeded"}}, "TUNIXHACK_API_KEY; it says: Key limit exceeded"),
        (404, {"error": "no"}, "has nothing at /v1 (HTTP 404): does the address end in /v1?"),
        (500, {"error": "CUDA"}, "answers HTTP 500: "),
        (302, b"", "answers HTTP 302"),
        (200, b"<!DOCTYPE html><html>", "answers with a web page: it is not an OpenAI-compatible server"),
        (200, b"OK", "answers with something that is no JSON"),
        (200, b"\xff\xfe\x00", "answers with something that is no JSON"),
    ],
)
def test_what_no_chat_server_answers_is_one_sentence_with_its_place(status: int, body: Any, sentence: str):
    with odd_server(lambda *_: (status, body), lambda: (status, body)) as server:
        for said in ask_both(server.url):
            assert said.startswith(server.url.removesuffix("/v1"))
            assert sentence in said
            assert "\n" not in said


def test_nobody_there_is_one_sentence():
    with reserved_port() as port:
        for said in ask_both(f"http://127.0.0.1:{port}/v1"):
            assert said.startswith("no server answers at http://127.0.0.1:")


@pytest.mark.parametrize("address", ["http://", "http://127.0.0.1:99999/v1", "http://a b/v1", "http://[::1/v1"])
def test_an_address_that_is_none_is_one_sentence(address: str):
    with pytest.raises(UserError):
        resolve(address, RequestOptions())


@contextmanager
def dripping() -> Iterator[str]:
    """A server whose answer comes a letter at a time, and never comes to its end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            client, _ = listening.accept()
            with client, suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    client.sendall(b" ")
                    time.sleep(0.02)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def test_a_server_that_takes_the_connection_and_says_nothing_is_not_waited_for(silent: str):
    with pytest.raises(UserError, match="took the connection but did not answer within 0 s"):
        get_json(silent, {}, timeout=0.2)


def test_a_server_that_hangs_up_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            for _ in range(2):
                listening.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        ask_both(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        thread.join()


@pytest.mark.parametrize("answer", [[], "yes", {"choices": None}, {"choices": []}, {"error": None}])
def test_an_answer_without_choices_is_one_sentence(answer: Any):
    with odd_server(lambda *_: (200, answer)) as server, pytest.raises(UserError, match="answers without choices"):
        check(server)


@pytest.mark.parametrize("before", [0, 180])
def test_a_key_that_a_server_echoes_is_not_in_the_sentence(before: int):
    def reply(body: Any, headers: Mapping[str, str]) -> Any:
        return 500, f"{'-' * before}{headers['Authorization']}".encode()

    headers = {"Authorization": "Bearer sk-0123456789abcdefghij"}
    with odd_server(reply) as server, pytest.raises(UserError) as raised:
        post_json(server.url, headers, {"messages": LONGEST}, PATIENCE, print)
    assert "sk-0123" not in str(raised.value)


# loading


def test_a_server_that_loads_its_model_is_waited_for_and_that_is_said_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "SAY_AFTER", 0.2)
    said: list[str] = []
    with ScriptedTeacher(loading_seconds=1e6) as teacher:

        def say(sentence: str) -> None:
            said.append(sentence)
            # it is asked in vain once more, or twice
            threading.Timer(0.8, lambda: teacher.change(loading_seconds=0.0)).start()

        assert post_json(f"{teacher.url}/chat/completions", {}, {"messages": LONGEST}, PATIENCE, say)["choices"]
    assert len(said) == 1
    assert said[0].startswith("waiting for the model at http://127.0.0.1")


def test_the_list_of_models_is_waited_for_too(monkeypatch: pytest.MonkeyPatch):
    """It is what is asked first, and while a server loads it is not there either."""
    monkeypatch.setattr(http, "SAY_AFTER", 0.2)
    said: list[str] = []
    with ScriptedTeacher(loading_seconds=1e6) as teacher:

        def say(sentence: str) -> None:
            said.append(sentence)
            teacher.change(loading_seconds=0.0)

        assert resolve(teacher.url, RequestOptions(), say=say).model == "scripted"
    assert [sentence.partition(" at ")[0] for sentence in said] == ["waiting for the model"]


def test_a_short_load_is_not_mentioned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "SAY_AFTER", PATIENCE)  # so that the load is short however busy the machine is
    said: list[str] = []
    with ScriptedTeacher(loading_seconds=0.3) as teacher:
        post_json(f"{teacher.url}/chat/completions", {}, {"messages": LONGEST}, PATIENCE, said.append)
    assert said == []


def test_a_model_that_never_loads_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "LOADING_PATIENCE", 0.1)
    loading = ScriptedTeacher(loading_seconds=100)
    with loading as teacher, pytest.raises(UserError, match="is still loading its model after"):
        post_json(f"{teacher.url}/chat/completions", {}, {"messages": LONGEST}, PATIENCE, print)


def test_503_without_loading_is_a_failure_like_any_other():
    overloaded = odd_server(lambda *_: (503, {"error": "overloaded"}))
    with overloaded as server, pytest.raises(UserError, match="HTTP 503"):
        post_json(server.url, {}, {"messages": LONGEST}, PATIENCE, print)
