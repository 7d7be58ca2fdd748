"""The engine asks for what is missing, in blocks where the server's seeds allow it (contracts 4, 6, 7 and 11)."""

from __future__ import annotations

import io
import json
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, build, given_by_seed, small_recipe, write_questions
from tests.teachers.odd_server import GOOD, completion, odd_server
from tunixhack._util.ids import SEED_MODULUS, sample_seed
from tunixhack._util.progress import Reporter
from tunixhack.errors import NearlyAllDropped, TeacherFailed, UserError
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.parse import read_choice
from tunixhack.steps.request import PROBE, ROW_COLUMNS, Request
from tunixhack.teachers.engine import online_mode, plan
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.preflight import TINY
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.teachers.transport import retries
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.throughput import AnsweredRequest, Throughput
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

pytestmark = pytest.mark.usefixtures("no_pauses")

PREFLIGHT = ("ok",) * 3
"""What becomes of the preflight's requests to a server with consecutive seeds."""


def requests(questions: int, samples: int | list[int]) -> list[Request]:
    wanted = list(range(samples)) if isinstance(samples, int) else samples
    return [
        Request(question_id=f"{number:016x}", messages=[{"role": "user", "content": row["question"]}], samples=wanted)
        for number, row in enumerate(toy_questions(questions))
    ]


def engine_of(teacher: ScriptedTeacher | str, folder: Path, **endpoint: Any) -> Engine:
    """An engine on the store in a folder; ``endpoint`` are fields of `Endpoint` to be different."""
    known = resolve(teacher if isinstance(teacher, str) else teacher.url, RequestOptions())
    with known.connect() as there:
        changed: Endpoint = replace(there, **endpoint)
    return Engine(
        store=AnswerStore(folder / "answers", folder / "work"),
        teacher=replace(known, connect=lambda: nullcontext(changed)),
        seed=0,
        trace="written",
        report=QUIET,
    )


def bodies(teacher: ScriptedTeacher) -> list[dict[str, Any]]:
    """The bodies of real requests, by seed."""
    real = [body for body in teacher.stats["bodies"] if body["max_tokens"] != TINY]
    return sorted(real, key=lambda body: body["seed"])


def blocks_asked(teacher: ScriptedTeacher, question: int = 0) -> list[tuple[int, int]]:
    """First sample and number of samples of each request for one question."""
    base = sample_seed(0, f"{question:016x}", 0)
    asked = [((body["seed"] - base) % SEED_MODULUS, body.get("n", 1)) for body in bodies(teacher)]
    return sorted(block for block in asked if block[0] < 1000)


def test_two_copies_of_a_server_share_the_requests_and_give_what_one_gives(tmp_path: Path):
    with ScriptedTeacher() as one, ScriptedTeacher() as other, ScriptedTeacher() as alone:
        shared = engine_of(one, tmp_path / "shared", copies=(other.url,)).ask(requests(8, 16), "sample")
        single = engine_of(alone, tmp_path / "single").ask(requests(8, 16), "sample")
        asked = [len(bodies(server)) for server in (one, other)]
        everything = bodies(alone)
    message = pl.col("choice").str.json_path_match("$.message")
    assert shared.select("question_id", "sample", message).equals(single.select("question_id", "sample", message))
    assert sum(asked) == len(everything) == 8
    assert min(asked) >= 2, f"shared as {asked}"


# contract 6: blocks and seeds


def test_a_server_with_consecutive_seeds_is_asked_in_blocks_of_sixteen(teacher: ScriptedTeacher, tmp_path: Path):
    answers = engine_of(teacher, tmp_path).ask(requests(2, 20), "sample")
    assert [blocks_asked(teacher, question) for question in (0, 1)] == [[(0, 16), (16, 4)]] * 2
    assert answers["sample"].to_list() == [*range(20), *range(20)]
    assert answers["seed"].to_list() == [sample_seed(0, f"{q:016x}", s) for q in (0, 1) for s in range(20)]
    assert answers.columns == [*FIELDS, *ROW_COLUMNS]


@pytest.mark.parametrize("like", [{"seeds": "own"}, {"seeds": "ignored"}, {"n_supported": False}], ids=str)
def test_other_servers_are_asked_for_one_sample_at_a_time_with_its_seed(like: dict[str, Any], tmp_path: Path):
    with ScriptedTeacher(**like) as teacher:
        answers = engine_of(teacher, tmp_path).ask(requests(2, 4), "sample")
        assert blocks_asked(teacher) == [(sample, 1) for sample in range(4)]
        assert not any("n" in body for body in bodies(teacher))
    assert answers.height == 8
    assert answers["choice"].n_unique() == 8


def test_one_by_one_and_in_blocks_the_same_samples_are_the_same_answers(tmp_path: Path):
    with ScriptedTeacher() as several, ScriptedTeacher(n_supported=False) as single:
        one = engine_of(several, tmp_path / "a").ask(requests(3, 5), "sample")
        two = engine_of(single, tmp_path / "b").ask(requests(3, 5), "sample")
    message = pl.col("choice").str.json_path_match("$.message")
    assert one.select("question_id", "sample", message).equals(two.select("question_id", "sample", message))


def test_holes_among_stored_samples_are_filled_and_nothing_else(teacher: ScriptedTeacher, tmp_path: Path):
    asking = engine_of(teacher, tmp_path)
    asking.ask(requests(1, [0, 1, 5]), "sample")
    teacher.reset()
    answers = asking.ask(requests(1, 8), "sample")
    assert blocks_asked(teacher) == [(2, 3), (6, 2)]
    assert answers["sample"].to_list() == list(range(8))
    assert answers["seed"].to_list() == [sample_seed(0, f"{0:016x}", sample) for sample in range(8)]


def test_without_seeds_several_are_asked_at_once_and_no_seed_is_claimed(tmp_path: Path):
    with ScriptedTeacher(seeds="own") as teacher:
        asking = engine_of(teacher, tmp_path)
        asking.teacher = replace(asking.teacher, seeded=False)
        answers = asking.ask(requests(3, 20), "sample")
        real = [body for body in teacher.stats["bodies"] if body["max_tokens"] != TINY]
        assert sorted(body.get("n", 1) for body in real) == [4, 4, 4, 16, 16, 16]
        assert not any("seed" in body for body in teacher.stats["bodies"])
        assert teacher.stats["max_concurrency"] == 1, "as many choices at once as one by one"
    assert answers["sample"].to_list() == [*range(20)] * 3
    assert answers["seed"].null_count() == 60
    assert answers["choice"].n_unique() == 60


def test_a_server_that_refuses_seeds_is_sent_none(tmp_path: Path):
    with ScriptedTeacher(dialect="gemini", n_supported=False) as teacher:
        answers = engine_of(teacher, tmp_path).ask(requests(2, 3), "sample")
        assert teacher.stats["statuses"]["400"] == 1
    assert answers.height == 6
    assert answers["seed"].null_count() == 6


def test_seeds_wrap_at_2_to_the_31(teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "sample_seed", lambda seed, question, sample: (SEED_MODULUS - 2 + sample) % 2**31)
    answers = engine_of(teacher, tmp_path).ask(requests(1, 5), "sample")
    assert [(body["seed"], body.get("n", 1)) for body in bodies(teacher)] == [(0, 3), (SEED_MODULUS - 2, 2)]
    assert answers["seed"].to_list() == [SEED_MODULUS - 2, SEED_MODULUS - 1, 0, 1, 2]


def test_a_probe_is_no_sample(teacher: ScriptedTeacher, tmp_path: Path):
    asking = engine_of(teacher, tmp_path)
    assert asking.ask(requests(2, [PROBE]), "probe")["sample"].to_list() == [PROBE, PROBE]
    assert asking.ask(requests(2, 2), "sample")["sample"].to_list() == [0, 1, 0, 1]
    assert asking.store.answers().height == 6


# contract 7: missing is not bad


def test_choices_that_a_server_left_out_are_asked_again_and_nothing_else(tmp_path: Path):
    with ScriptedTeacher(faults=Faults(script=(*PREFLIGHT, "short"))) as teacher:
        answers = engine_of(teacher, tmp_path).ask(requests(1, 16), "sample")
        assert blocks_asked(teacher) == [(0, 16), (8, 8)]
        assert set(given_by_seed(teacher).values()) == {1}
    assert answers["sample"].to_list() == list(range(16))


def test_a_request_whose_replies_are_no_answers_is_sent_no_more_in_this_start(tmp_path: Path):
    """Each of them may have been paid for, and it was sent ten times."""
    odd = requests(3, 2)[1].messages[0]["content"]

    def reply(body: dict[str, Any], headers: Any) -> Any:
        broken = body["messages"][0]["content"] == odd and body["max_tokens"] != TINY
        return 200, b'{"choices": [{"mess' if broken else completion(*[GOOD] * body.get("n", 1))

    with odd_server(reply) as server:
        asking = engine_of(server.url, tmp_path)
        assert asking.ask(requests(3, 2), "sample").height == 4
        sent = sum(body["messages"][0]["content"] == odd and body["max_tokens"] != TINY for body in server.asked)
        assert sent == 2 * 5, "two samples, each as often as an answer may be asked for"
        assert asking.ask(requests(3, 2), "sample").height == 4
    assert sum(asking.failures.values()) == 4, "and once more by the next start"


def test_a_server_that_never_gives_all_is_left_alone_after_a_while(tmp_path: Path):
    """It answers half of whatever it is asked for: that is not asked for ever."""
    faults = Faults(script=PREFLIGHT, share={"short": 1.0}, first_attempt_only=False)
    with ScriptedTeacher(faults=faults) as teacher:
        answers = engine_of(teacher, tmp_path).ask(requests(1, 16), "sample")
        assert blocks_asked(teacher) == [(0, 16), (8, 8), (12, 4)]
    assert answers["sample"].to_list() == list(range(14))


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("length", "truncated"),
        ("content_filter", "filtered"),
        ("empty", "empty"),
    ],
)
@pytest.mark.parametrize("bad", [0, 2, 15])
def test_a_bad_choice_is_paid_stored_and_never_asked_again_nor_are_its_fifteen_others(
    fault: str, problem: str, bad: int, teacher: ScriptedTeacher, tmp_path: Path
):
    asking = engine_of(teacher, tmp_path)
    asking.ask(requests(2, 1)[1:], "sample")  # the preflight is over
    teacher.reset()
    teacher.change(faults=Faults(finish={bad: fault}))
    answers = asking.ask(requests(1, 16), "sample")
    problems = [read_choice(json.loads(choice), "written").problem for choice in answers["choice"]]
    assert problems == [problem if sample == bad else None for sample in range(16)]
    assert asking.ask(requests(1, 16), "sample").equals(answers)
    assert blocks_asked(teacher) == [(0, 16)]


# faults and interruptions


def test_a_teacher_that_dies_is_told_what_came_is_kept_and_the_difference_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retries, "MOST_TRIES", 10**6)
    faults = Faults(script=PREFLIGHT + ("ok",) * 4, share={"500": 1.0}, first_attempt_only=False)
    with ScriptedTeacher(faults=faults) as teacher:
        asking = engine_of(teacher, tmp_path, patience=0.3)
        with pytest.raises(TeacherFailed, match=r"has not answered for .* s \(HTTP 500"):
            asking.ask(requests(12, 4), "sample")
        assert asking.store.answers().height == 4 * 4
        assert not asking.store.work.exists()
        teacher.change(faults=Faults())
        assert engine_of(teacher, tmp_path).ask(requests(12, 4), "sample").height == 48
        assert set(given_by_seed(teacher).values()) == {1}
        assert len(given_by_seed(teacher)) == 48


def test_a_request_that_was_refused_once_is_asked_by_the_next_pass_and_told_of(tmp_path: Path):
    faults = Faults(script=(*PREFLIGHT, "ok", "404", "ok"))
    with ScriptedTeacher(faults=faults) as teacher:
        asking = engine_of(teacher, tmp_path, concurrency=1)
        answers = asking.ask(requests(3, 2), "sample")
        assert answers.height == 6
        assert sum(asking.failures.values()) == 1
        assert "HTTP 404" in next(iter(asking.failures))


def test_a_row_that_is_always_refused_leaves_the_others(tmp_path: Path):
    poisoned = requests(3, 2)[1].messages[0]["content"]

    def reply(body: dict[str, Any], headers: Any) -> Any:
        refused = body["messages"][0]["content"] == poisoned and body["max_tokens"] != TINY
        return (400, {"error": "refused"}) if refused else (200, completion(*[GOOD] * body.get("n", 1)))

    with odd_server(reply) as server:
        answers = engine_of(server.url, tmp_path).ask(requests(3, 2), "sample")
    assert answers["question_id"].to_list() == [f"{number:016x}" for number in (0, 0, 2, 2)]


def test_more_requests_than_a_wave_holds_are_sent_in_waves(
    teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []
    sent = online_mode.send_requests

    def counted(rows: list[Any], *rest: Any) -> None:
        sizes.append(len(rows))
        sent(rows, *rest)

    monkeypatch.setattr(online_mode, "WAVE", 5)
    monkeypatch.setattr(online_mode, "send_requests", counted)
    answers = engine_of(teacher, tmp_path).ask(requests(12, 2), "sample")
    assert sizes == [5, 5, 2]
    assert answers.height == 24
    assert set(given_by_seed(teacher).values()) == {1}


def test_an_interrupted_wave_keeps_what_came_and_asks_the_difference(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(latency=0.05))
    came: list[int] = []

    def watch(new: list[dict[str, Any]]) -> None:
        came.append(len(new))
        if sum(came) >= 3 * 4:
            raise KeyboardInterrupt

    asking = engine_of(teacher, tmp_path, concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        asking.ask(requests(20, 4), "sample", watch)
    kept = asking.store.answers().height
    assert sum(came) <= kept < 80
    assert not asking.store.work.exists()
    teacher.change(faults=Faults())
    assert asking.ask(requests(20, 4), "sample").height == 80
    again = Counter(given_by_seed(teacher).values())
    assert again[2] <= 4, "one request was in flight"
    assert set(again) <= {1, 2}


def test_what_is_watched_is_what_is_stored(teacher: ScriptedTeacher, tmp_path: Path):
    seen: list[dict[str, Any]] = []
    asking = engine_of(teacher, tmp_path)
    answers = asking.ask(requests(5, 3), "sample", seen.extend)
    key = ["question_id", "sample"]
    assert pl.DataFrame(seen, schema=FIELDS).drop("when").sort(key).equals(answers.drop("when", *ROW_COLUMNS).sort(key))


def test_messages_that_are_longer_than_those_examined_are_seen_to_fit_before_they_are_paid_for(
    teacher: ScriptedTeacher, tmp_path: Path
):
    """A pilot's messages are examined first, and the longest of the whole can be longer."""
    asking = engine_of(teacher, tmp_path)
    asking.teacher = replace(asking.teacher, context=4096 + 200)
    asking.ask(requests(4, 1), "sample")
    stored = asking.store.answers().height
    long = Request(question_id=f"{99:016x}", messages=[{"role": "user", "content": "word " * 400}], samples=[0])
    with pytest.raises(UserError, match=r"the longest prompt has 50\d tokens"):
        asking.ask([long], "sample")
    assert asking.store.answers().height == stored
    before = teacher.stats["requests"]
    asking.ask(requests(4, 2), "sample")
    assert teacher.stats["requests"] == before + 4, "what is no longer needs no look"


def test_answers_that_are_paid_for_are_not_asked_anew_unless_told_to(teacher: ScriptedTeacher, tmp_path: Path):
    engine_of(teacher, tmp_path).ask(requests(2, 2), "sample")
    other = engine_of(teacher, tmp_path)
    other.teacher = replace(other.teacher, sampling={"temperature": 0.1, "max_tokens": 99})
    with pytest.raises(UserError, match="4 answers of step sample are paid for already"):
        other.ask(requests(2, 2), "sample")
    other.ask_again = True
    assert other.ask(requests(2, 2), "sample").height == 4
    assert other.store.answers().height == 8


# how long it will take


@pytest.mark.parametrize(
    ("slots", "block", "seconds"),
    [
        (16, 16, 10 * 4.0),  # one request after the other, each as long as its longest answer
        (16, 4, 40 * 4.0 / 4 + 4.0 * 3 / 8),  # four at once, and half of the last three
        (None, 16, 4.0),  # all ten at once
    ],
)
def test_the_time_to_come_is_that_of_the_requests_to_come(
    slots: int | None, block: int, seconds: float, teacher: ScriptedTeacher, tmp_path: Path
):
    asking = engine_of(teacher, tmp_path)
    asking.teacher = replace(asking.teacher, slots=slots)
    assert asking.seconds_an_answer("sample", 160, block) is None
    asking.ask(requests(8, 2), "sample")
    assert asking.throughputs["sample"].choices == 2
    asking.throughputs["sample"] = Throughput([AnsweredRequest(0, 4.0, 2)] * 8, 8)
    assert asking.seconds_an_answer("sample", 160, block) == pytest.approx(seconds / 160)


def test_the_call_that_brought_the_most_tells_how_long_an_answer_takes(teacher: ScriptedTeacher, tmp_path: Path):
    asking = engine_of(teacher, tmp_path)
    asking.ask(requests(8, 2), "sample")
    asking.ask(requests(9, 2), "sample")
    assert len(asking.throughputs["sample"].answered) == 8
    assert asking.measured_seconds["sample"][1] == 16


# contract 11: the alarm


def test_nearly_only_malformed_answers_are_warned_of_once_and_end_in_an_error(tmp_path: Path):
    said = io.StringIO()
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 60))
    with ScriptedTeacher(style="none", faults=Faults(latency=0.1)) as teacher, pytest.raises(NearlyAllDropped):
        build(recipe, teacher, tmp_path / "run", questions=28, yes=True, report=Reporter(said, quiet=True))
    warnings = [line for line in said.getvalue().splitlines() if "answers" in line and line.startswith("WARNING")]
    assert len([line for line in warnings if "Ctrl-C stops" in line]) == 1
    assert "malformed" in warnings[0]


# requests that are held to a schema


HELD = {"type": "object", "properties": {"grade": {"type": "integer"}}, "required": ["grade"]}


def held(questions: int) -> list[Request]:
    return [replace(one, schema=HELD) for one in requests(questions, [0])]


def deepseek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: ScriptedTeacher) -> Engine:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-none")
    monkeypatch.setitem(PRESETS, "deepseek", replace(PRESETS["deepseek"], url=teacher.url))
    return engine_of("deepseek/deepseek-chat", tmp_path)


def test_a_refused_schema_is_left_out_of_requests_and_stays_in_their_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with ScriptedTeacher(dialect="deepseek", models=("deepseek-chat",)) as teacher:
        engine = deepseek(tmp_path, monkeypatch, teacher)
        said = io.StringIO()
        engine.report = Reporter(stream=said)
        before = engine.wanted(held(5))
        assert engine.ask(held(3), "judge").height == 3
        assert engine.ask(held(5), "judge").height == 5
        assert said.getvalue().count("takes no JSON schema, and is asked without one") == 1
        assert engine.wanted(held(5)).equals(before)
        refused = teacher.stats["statuses"]["400"]
    assert refused == 1, "it is tried once"


def test_what_a_server_refuses_for_another_reason_is_not_put_down_to_the_schema(tmp_path: Path):
    with ScriptedTeacher() as teacher:
        engine = engine_of(teacher, tmp_path)
        engine.ask(requests(1, [0]), "sample")
        teacher.change(context=10)
        with suppress(UserError, TeacherFailed):
            engine.ask(held(1), "judge")
        assert engine.teacher.takes_schema
        assert not engine.store.answers().filter(step="judge").height


def test_a_judge_that_always_says_the_same_does_not_hide_how_choices_are_given(tmp_path: Path):
    def answer(messages: list[dict[str, Any]], seed: int) -> str:
        return '{"grade": 3}' if messages == held(1)[0].messages else f"A long story, number {seed}."

    with ScriptedTeacher(answer=answer) as teacher:
        engine = engine_of(teacher, tmp_path)
        engine.ask(held(1), "judge")
        assert engine.block == engine.teacher.most_choices > 1
