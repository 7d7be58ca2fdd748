"""The scripted teacher keeps its promises: tests of everything else lean on it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.waiting import PATIENCE, wait_for
from tunixhack.steps.parse import read_choice
from tunixhack.testing import Behaviour, Faults, ScriptedTeacher, toy_questions

QUESTIONS = [row["question"] for row in toy_questions(200)]


def ask(teacher: ScriptedTeacher, question: str = "Why?", timeout: float = PATIENCE, **body: Any) -> requests.Response:
    body = {"model": "scripted", "messages": [{"role": "user", "content": question}]} | body
    return requests.post(f"{teacher.url}/chat/completions", json=body, timeout=timeout)


def texts(response: requests.Response) -> list[str]:
    return [choice["message"]["content"] for choice in response.json()["choices"]]


def test_the_same_messages_and_seed_get_the_same_answer_in_another_process_too(teacher: ScriptedTeacher) -> None:
    with ScriptedTeacher(process=True) as other:
        assert texts(ask(teacher, seed=7)) == texts(ask(other, seed=7))
    assert texts(ask(teacher, seed=7)) != texts(ask(teacher, seed=8))
    assert texts(ask(teacher, seed=7)) != texts(ask(teacher, "How?", seed=7))


def test_n_choices_of_a_seed_are_those_of_the_seeds_that_follow_it(teacher: ScriptedTeacher) -> None:
    singly = [texts(ask(teacher, seed=40 + i))[0] for i in range(16)]
    assert texts(ask(teacher, seed=40, n=16)) == singly
    assert len(set(singly)) == 16


def test_a_server_with_seeds_of_its_own_repeats_itself_but_does_not_count_up() -> None:
    with ScriptedTeacher(seeds="own") as teacher:
        pair = texts(ask(teacher, seed=40, n=2))
        assert pair == texts(ask(teacher, seed=40, n=2))
        assert [pair[0]] == texts(ask(teacher, seed=40))
        assert [pair[1]] != texts(ask(teacher, seed=41))


def test_a_server_that_ignores_seeds_never_repeats_itself() -> None:
    with ScriptedTeacher(seeds="ignored") as teacher:
        assert len({*texts(ask(teacher, seed=1, n=2)), *texts(ask(teacher, seed=1, n=2))}) == 4


def test_a_server_without_n_gives_one_choice() -> None:
    with ScriptedTeacher(n_supported=False) as teacher:
        assert len(texts(ask(teacher, n=16))) == 1


@pytest.mark.parametrize("style", ["reasoning_content", "reasoning", "think"])
def test_a_native_trace_is_where_its_style_says(style: str) -> None:
    with ScriptedTeacher(style=style) as teacher:
        choice = ask(teacher, seed=1).json()["choices"][0]
    assert read_choice(choice, "native").problem is None
    assert (style in choice["message"]) is (style != "think")


def test_written_answers_parse_and_differ_in_length_by_question(teacher: ScriptedTeacher) -> None:
    replies = [ask(teacher, question, seed=1).json()["choices"][0] for question in QUESTIONS[:40]]
    assert all(read_choice(reply, "written").problem is None for reply in replies)
    assert len({len(reply["message"]["content"]) for reply in replies}) > 20


def test_a_style_of_none_shows_no_trace() -> None:
    with ScriptedTeacher(style="none") as teacher:
        assert read_choice(ask(teacher).json()["choices"][0], "native").problem == "no_trace"


def test_an_answer_ends_at_max_tokens_with_finish_reason_length(teacher: ScriptedTeacher) -> None:
    reply = ask(teacher, seed=1, max_tokens=5).json()
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 5
    assert texts(ask(teacher, seed=1))[0].startswith(reply["choices"][0]["message"]["content"])


def test_usage_counts_all_choices_or_one_or_is_not_there() -> None:
    counted: dict[str, int | None] = {}
    for usage in ("all", "one", "none"):
        with ScriptedTeacher(usage=usage) as teacher:
            counted[usage] = ask(teacher, seed=1, n=4, max_tokens=5).json().get("usage", {}).get("completion_tokens")
    assert counted == {"all": 20, "one": 5, "none": None}


def test_empty_messages_are_refused(teacher: ScriptedTeacher) -> None:
    assert requests.post(f"{teacher.url}/chat/completions", json={"messages": []}, timeout=PATIENCE).status_code == 400
    assert requests.post(f"{teacher.url}/chat/completions", data=b"{", timeout=PATIENCE).status_code == 400
    assert teacher.stats["requests"] == 0


def test_a_prompt_beyond_the_context_is_refused() -> None:
    with ScriptedTeacher(context=100) as teacher:
        assert ask(teacher, "x" * 1000).status_code == 400


def test_an_answer_of_ones_own_is_given_whole() -> None:
    with ScriptedTeacher(answer=lambda messages, seed: f"{messages[-1]['content']}{seed}") as teacher:
        assert texts(ask(teacher, "Why", seed=3, n=2)) == ["Why3", "Why4"]


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("401", 401), ("404", 404)])
def test_a_share_of_one_fails_every_body_once_and_a_retry_recovers(fault: str, status: int) -> None:
    with ScriptedTeacher(faults=Faults(share={fault: 1.0})) as teacher:
        assert [ask(teacher, seed=1).status_code for _ in range(2)] == [status, 200]
        assert ask(teacher, seed=2).status_code == status


def test_a_retry_does_not_recover_where_faults_are_not_for_the_first_attempt_only() -> None:
    with ScriptedTeacher(faults=Faults(share={"500": 1.0}, first_attempt_only=False)) as teacher:
        assert [ask(teacher, seed=1).status_code for _ in range(3)] == [500] * 3


def test_shares_hit_about_that_share_and_the_same_bodies_every_time() -> None:
    faults = Faults(share={"500": 0.2, "429": 0.1})
    bodies = [b"%d" % number for number in range(2000)]
    met = [faults.of_request(body, 0, 0) for body in bodies]
    assert met == [faults.of_request(body, 5, 0) for body in bodies]
    assert 300 < met.count("500") < 500
    assert 130 < met.count("429") < 270
    assert met != [Faults(share=faults.share, seed=1).of_request(body, 0, 0) for body in bodies]


def test_a_script_decides_the_first_requests_in_their_order() -> None:
    with ScriptedTeacher(faults=Faults(script=("500", "ok", "429"), retry_after=2)) as teacher:
        responses = [ask(teacher) for _ in range(4)]
    assert [response.status_code for response in responses] == [500, 200, 429, 200]
    assert responses[2].headers["Retry-After"] == "2"


def test_a_429_can_come_without_retry_after() -> None:
    with ScriptedTeacher(faults=Faults(script=("429",))) as teacher:
        assert "Retry-After" not in ask(teacher).headers


def test_broken_bodies_are_html_half_json_without_usage_or_short_of_choices() -> None:
    with ScriptedTeacher(faults=Faults(script=("html", "broken", "no_usage", "short"))) as teacher:
        html, broken, no_usage, short = [ask(teacher, n=4) for _ in range(4)]
    assert html.headers["Content-Type"] == "text/html"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        broken.json()
    assert "usage" not in no_usage.json()
    assert len(texts(short)) == 2


def test_a_hung_request_is_never_answered_and_counts_as_cancelled_when_its_client_goes() -> None:
    with ScriptedTeacher(faults=Faults(script=("hang",))) as teacher:
        with pytest.raises(requests.Timeout):
            ask(teacher, timeout=0.3)
        wait_for(lambda: teacher.stats["cancelled"] == 1)
        assert ask(teacher).status_code == 200
        assert teacher.stats["answered"] == 1


def test_faults_of_choices_belong_to_the_answer_and_stay_when_it_is_asked_again() -> None:
    faults = Faults(truncated=0.2, filtered=0.2, empty=0.2)
    with ScriptedTeacher(faults=faults) as teacher:
        first, again = [ask(teacher, seed=0, n=200).json()["choices"] for _ in range(2)]
    assert first == again
    reasons = [choice["finish_reason"] for choice in first]
    assert 15 < reasons.count("length") < 70
    assert 15 < reasons.count("content_filter") < 70
    assert 15 < sum(choice["message"]["content"] is None for choice in first) < 70


def test_a_given_choice_can_be_cut() -> None:
    with ScriptedTeacher(faults=Faults(finish={2: "length"}), process=True) as teacher:
        choices = ask(teacher, seed=1, n=4).json()["choices"]
    assert [choice["finish_reason"] for choice in choices] == ["stop", "stop", "length", "stop"]
    assert read_choice(choices[2] | {"finish_reason": "stop"}, "written").problem == "malformed"


def test_a_server_that_is_down_for_good_says_so_everywhere_but_in_its_statistics() -> None:
    with ScriptedTeacher(faults=Faults(always="401")) as teacher:
        assert requests.get(f"{teacher.url}/models", timeout=PATIENCE).status_code == 401
        assert ask(teacher).status_code == 401
        assert teacher.stats["statuses"] == {"401": 1}


def test_unknown_faults_and_shares_above_one_are_refused() -> None:
    with pytest.raises(ValueError, match="'502'"):
        Faults(share={"502": 0.1})
    with pytest.raises(ValueError, match="more than 1"):
        Faults(share={"500": 0.7, "429": 0.7})
    with pytest.raises(TypeError):
        ScriptedTeacher(styl="think")


def test_a_key_is_asked_for() -> None:
    with ScriptedTeacher(api_key="sesame") as teacher:
        url = f"{teacher.url}/models"
        assert requests.get(url, timeout=PATIENCE).status_code == 401
        assert requests.get(url, headers={"Authorization": "Bearer sesame"}, timeout=PATIENCE).status_code == 200


def test_statistics_count_requests_choices_seeds_and_bodies(teacher: ScriptedTeacher) -> None:
    ask(teacher, seed=4, n=2)
    ask(teacher, seed=5)
    stats = teacher.stats
    assert (stats["requests"], stats["answered"], stats["choices"]) == (2, 2, 3)
    assert list(stats["messages"].values()) == [2]
    name = next(iter(stats["messages"]))
    assert stats["seeds"] == {f"{name}:4": 1, f"{name}:5": 2}
    assert [body["seed"] for body in stats["bodies"]] == [4, 5]
    teacher.reset()
    assert teacher.stats["requests"] == 0


def test_the_highest_concurrency_is_counted() -> None:
    with ThreadPoolExecutor(5) as pool:
        with ScriptedTeacher(faults=Faults(share={"hang": 1.0})) as teacher:
            asked = [pool.submit(ask, teacher, seed=seed) for seed in range(5)]
            wait_for(lambda: teacher.stats["max_concurrency"] == 5)
        assert all(isinstance(one.exception(), requests.ConnectionError) for one in asked)


@pytest.mark.parametrize("process", [False, True], ids=["thread", "process"])
def test_it_can_become_another_while_it_runs(process: bool) -> None:
    with ScriptedTeacher(process=process, faults=Faults(always="500")) as teacher:
        assert ask(teacher).status_code == 500
        teacher.change(faults=Faults(finish={0: "content_filter"}), models=("a", "b"))
        assert ask(teacher).json()["choices"][0]["finish_reason"] == "content_filter"
        listed = requests.get(f"{teacher.url}/models", timeout=PATIENCE).json()["data"]
    assert [model["id"] for model in listed] == ["a", "b"]


def test_lm_studio_tells_what_is_loaded() -> None:
    with ScriptedTeacher(dialect="lmstudio", models=("a", "b"), loaded=("b",), context=4096) as teacher:
        models = requests.get(teacher.url.removesuffix("/v1") + "/api/v0/models", timeout=PATIENCE).json()["data"]
    assert [(model["id"], model["state"]) for model in models] == [("a", "not-loaded"), ("b", "loaded")]
    assert models[1]["loaded_context_length"] == 4096
    assert "loaded_context_length" not in models[0]
    assert models[1]["quantization"] == "Q4_K_M"


def test_llama_cpp_answers_503_until_its_model_is_loaded() -> None:
    with ScriptedTeacher(dialect="llamacpp", loading_seconds=1e6, context=4096) as teacher:
        root = teacher.url.removesuffix("/v1")
        assert ask(teacher).status_code == 503
        assert requests.get(f"{root}/health", timeout=PATIENCE).json()["error"]["message"] == "Loading model"
        teacher.change(loading_seconds=0.0)
        assert requests.get(f"{root}/health", timeout=PATIENCE).status_code == 200
        assert requests.get(f"{root}/props", timeout=PATIENCE).json()["default_generation_settings"]["n_ctx"] == 4096


def test_another_dialects_addresses_are_not_found(teacher: ScriptedTeacher) -> None:
    assert requests.get(teacher.url.removesuffix("/v1") + "/api/v0/models", timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize("process", [False, True], ids=["thread", "process"])
def test_a_stopped_teacher_is_gone_and_leaves_no_thread(process: bool) -> None:
    before = set(threading.enumerate())
    with ScriptedTeacher(process=process) as teacher:
        ask(teacher)
        place = teacher.url.removeprefix("http://").removesuffix("/v1").split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((place[0], int(place[1])), timeout=PATIENCE)
    assert "scripted-teacher" not in [thread.name for thread in set(threading.enumerate()) - before]


def test_a_taken_port_is_an_error(teacher: ScriptedTeacher) -> None:
    port = int(teacher.url.removesuffix("/v1").rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), ScriptedTeacher(port=port):
        pass


def test_from_a_shell_it_prints_its_address_and_outlives_its_clients() -> None:
    behaviour = json.dumps({"style": "think", "faults": {"script": ["500"]}})
    server = subprocess.Popen(
        [sys.executable, "-m", "tunixhack.testing", "--port", "0", "--behaviour", behaviour], stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        statuses = [requests.post(f"{url}/chat/completions", json=body, timeout=PATIENCE).status_code for _ in range(2)]
        assert statuses == [500, 200]
    finally:
        server.kill()
        server.communicate()


def test_a_request_may_arrive_in_pieces(teacher: ScriptedTeacher) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "seed": 1}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    port = int(teacher.url.removesuffix("/v1").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for piece in (head[:20], head[20:], body[:5], body[5:]):
            connection.sendall(piece)
            time.sleep(0.02)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_toy_questions_are_distinct_and_the_same_every_time() -> None:
    assert toy_questions(3) == toy_questions(3000)[:3]
    assert len({row["question"] for row in toy_questions(3000)}) == 3000


def test_a_teacher_tells_its_behaviour() -> None:
    assert ScriptedTeacher(style="think").behaviour == Behaviour(style="think")
