"""A teacher that refuses whatever it is asked is asked no more, and what it says of it is told."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.builds import build, small_recipe, write_questions
from tests.teachers.odd_server import GOOD, Reply, completion, odd_server
from tunixhack.errors import TeacherFailed
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.registry.presets import ANY_SERVER
from tunixhack.teachers.transport.call_state import REFUSALS
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.retries import http_failure

pytestmark = pytest.mark.usefixtures("no_pauses")

QUESTIONS = 60


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Two samples of each question and nothing else."""
    return small_recipe(write_questions(tmp_path / "questions.jsonl", QUESTIONS), steps=(Sample(), Parse()), samples=2)


class Turning:
    """A server that answers so many requests, and from then on with something else."""

    def __init__(self, after: int, then: Reply) -> None:
        self.after, self.then, self.refused = after, then, 0
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any], headers: Any) -> Reply:
        with self.lock:
            self.after -= 1
            if self.after < 0:
                self.refused += 1
                return self.then
        return 200, completion(*[f"{GOOD[:-9]} {body['seed'] + i}</answer>" for i in range(body.get("n", 1))])


def told(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


QUOTA = told("You exceeded your current quota.", type="insufficient_quota", code="insufficient_quota")
REFUSED: dict[str, tuple[Reply, str]] = {
    "401": ((401, told("invalid api key")), r"HTTP 401: invalid api key\): put a key that it takes into"),
    "402": ((402, told("Insufficient Balance")), r"HTTP 402: Insufficient Balance\): see to the account there"),
    "403": ((403, told("Key limit exceeded")), r"HTTP 403: Key limit exceeded\)"),
    "a quota, with 429": ((429, QUOTA), r"HTTP 429: You exceeded your current quota\.\): see to the account"),
    "a quota, with 200": ((200, QUOTA), r"an error with HTTP 200: You exceeded your current quota\.\)"),
    "402, with 200": ((200, told("Insufficient credits", code=402)), r"\(code 402\): Insufficient credits\)"),
    "402, in a choice": (
        (200, {"choices": [{"index": 0, "message": {"content": ""}, **told("no money", code=402)}]}),
        r"\(code 402\): no money\)",
    ),
    "402, beside half an answer": (
        (200, {"choices": [{"index": 0, "message": {"content": "It is sev"}, **told("no money", code=402)}]}),
        r"\(code 402\): no money\)",
    ),
    "credit, with 400": ((400, told("Your credit balance is too low")), r"HTTP 400: Your credit balance is too low\)"),
    "a redirect": ((307, b""), r"HTTP 307: a redirect, which is not followed\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_account_that_is_empty_midway_ends_the_build_after_a_few_requests(what: str, recipe: Recipe, tmp_path: Path):
    then, sentence = REFUSED[what]
    turning = Turning(30, then)
    with odd_server(turning) as server:
        with pytest.raises(TeacherFailed, match=f"refuses every request .*{sentence}"):
            build(recipe, server.url, tmp_path / "run", questions=QUESTIONS, yes=True)
        assert turning.refused <= REFUSALS + ANY_SERVER.concurrency, "those in flight"
        kept = Run.load(tmp_path / "run").store.answers().height
        assert kept >= 20
        turning.after = 10**6  # somebody has paid
        assert build(recipe, server.url, tmp_path / "run", questions=QUESTIONS, yes=True).store.answers().height == 120


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refusal_now_and_then_ends_nothing(status: int, recipe: Recipe, tmp_path: Path):
    """A moderator's, or a key's that is just being renewed: those between are answered."""
    lock, count = threading.Lock(), 0

    def reply(body: dict[str, Any], headers: Any) -> Reply:
        nonlocal count
        with lock:
            count += 1
            odd = 20 < count < 80 and not count % 8
        return (status, told("no")) if odd else (200, completion(*[GOOD] * body.get("n", 1)))

    with odd_server(reply) as server:
        run = build(recipe, server.url, tmp_path / "run", questions=QUESTIONS, yes=True)
    assert run.store.answers().height == 120


@pytest.mark.parametrize(
    "reply",
    [
        (400, told("too long")),
        (422, told("no")),
        (403, told("flagged", metadata={"reasons": ["violence"], "flagged_input": "How"})),
        (413, b""),
    ],
)
def test_questions_that_are_refused_for_what_they_ask_do_not_end_the_others(
    reply: Reply, recipe: Recipe, tmp_path: Path
):
    def answer(body: dict[str, Any], headers: Any) -> Reply:
        # every other question, whole rows of them one after the other
        refused = body["max_tokens"] > 100 and zlib.crc32(body["messages"][-1]["content"].encode()) % 4
        return reply if refused else (200, completion(GOOD))

    with odd_server(answer) as server, pytest.raises(TeacherFailed, match="answers were not received"):
        build(recipe, server.url, tmp_path / "run", questions=QUESTIONS, yes=True)
    assert Run.load(tmp_path / "run").store.answers().height > 10


@pytest.mark.parametrize(
    ("status", "retry_after", "blame"),
    [(402, None, "teacher"), (402, "3", "server"), (429, None, "server"), (401, "3", "teacher"), (500, None, "server")],
)
def test_money_that_requests_in_flight_hold_back_is_waited_for(status: int, retry_after: str | None, blame: str):
    failure = http_failure(status, "{}", retry_after, Endpoint(url="u", model="m"))
    assert failure.blame == blame


def test_a_secret_in_an_errors_sentence_is_not_passed_on_even_where_it_is_cut():
    endpoint = Endpoint(url="u", model="m", headers={"Authorization": "Bearer sk-0123456789"}, secret="sk-0123456789")
    for before in (0, 290, 295):
        failure = http_failure(402, '{"error": {"message": "%s sk-0123456789"}}' % ("x" * before), None, endpoint)
        assert "sk-0" not in str(failure)
