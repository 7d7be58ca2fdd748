"""A domain's class is still a plain Curator LLM: called with rows, it returns one row per choice."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from datasets import Dataset

from tests.processes import Started
from tests.teachers.odd_server import GOOD, completion, odd_server
from tests.waiting import PATIENCE, wait_for
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipes.creative import CreativeWriting
from tunixhack.teachers.llm import ReasoningLLM
from tunixhack.teachers.transport import _curator_online, retries
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

pytestmark = pytest.mark.usefixtures("no_pauses")

ROWS = toy_questions(5)


def writer(url: str, kind: type[ReasoningLLM] = CreativeWriting, **options: Any) -> ReasoningLLM:
    return kind("scripted", backend_params={"base_url": url}, **options)


def asked(llm: ReasoningLLM, teacher: ScriptedTeacher, folder: Path, rows: Any = None) -> int:
    """Call it and count the requests that it took."""
    before = teacher.stats["requests"]
    llm(ROWS if rows is None else rows, working_dir=str(folder))
    return int(teacher.stats["requests"]) - before


# what comes out


def test_one_row_per_choice_with_the_questions_columns(teacher: ScriptedTeacher, tmp_path: Path):
    rows = [{"question": "Who?", "mine": 1}, {"question": "Why?", "mine": 2}]
    llm = writer(teacher.url, generation_params={"n": 4, "seed": 3})
    answers = llm(rows, working_dir=str(tmp_path)).dataset
    assert teacher.stats["requests"] == 2
    assert [(row["question"], row["mine"], row["sample"]) for row in answers] == [
        (row["question"], row["mine"], sample) for row in rows for sample in range(4)
    ]
    assert len(set(answers["answer"])) == 8
    assert set(answers["problem"]) == {None}
    assert set(answers["teacher"]) == {"scripted"}


def test_rows_of_different_choices_and_problems_fit_one_table(tmp_path: Path):
    """The first answer has no trace: what its columns hold is not known from it."""
    contents = iter([None, "no tags", GOOD, GOOD])
    with odd_server(lambda body, headers: (200, completion(next(contents)))) as server:
        llm = CreativeWriting("odd", backend_params={"base_url": server.url, "max_concurrent_requests": 1})
        answers = llm(toy_questions(4), working_dir=str(tmp_path)).dataset
    assert answers["problem"] == ["empty", "malformed", None, None]
    assert answers["answer"] == [None, None, "Said.", "Said."]


def test_it_takes_a_dataset_as_well_as_a_list(teacher: ScriptedTeacher, tmp_path: Path):
    llm = writer(teacher.url)
    assert asked(llm, teacher, tmp_path, Dataset.from_list(ROWS)) == 5
    assert asked(llm, teacher, tmp_path, ROWS) == 0


def test_without_a_prompt_of_its_own_a_class_sends_its_system_message_and_the_question_with_its_context():
    class Polite(ReasoningLLM):
        system = "Be polite."

    question = {"question": "Shorten this.", "context": "It rained and it rained."}
    task = {"role": "user", "content": "Shorten this.\n\nIt rained and it rained."}
    assert Polite("any", trace="native").render(question) == [{"role": "system", "content": "Be polite."}, task]
    own = Polite("any", trace="native", system="Be brief.").render(question)
    assert own == [{"role": "system", "content": "Be brief."}, task]
    assert ReasoningLLM("any", trace="native").render(question) == [task]


def test_an_unknown_trace_is_a_sentence(teacher: ScriptedTeacher, tmp_path: Path):
    with pytest.raises(UserError, match="trace='thought' is unknown"):
        writer(teacher.url, trace="thought")(ROWS, working_dir=str(tmp_path))


# going on


def test_the_same_rows_are_asked_once(teacher: ScriptedTeacher, tmp_path: Path):
    first = writer(teacher.url)(ROWS, working_dir=str(tmp_path)).dataset
    again = writer(teacher.url)(ROWS, working_dir=str(tmp_path)).dataset
    assert teacher.stats["requests"] == 5
    assert again.to_list() == first.to_list()


def test_rows_that_failed_are_asked_again_and_no_others(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    broken = [True]

    def reply(body: Any, headers: Any) -> Any:
        if broken[0] and "rival bakers" in str(body["messages"]):
            return 400, {"error": "not today"}
        return 200, completion(GOOD)

    with odd_server(reply) as server:
        answers = writer(server.url)(ROWS, working_dir=str(tmp_path)).dataset
        assert len(answers) == 4
        assert "1 of 5 rows were not answered: 1 time: HTTP 400" in caplog.text
        broken[0] = False
        answers = writer(server.url)(ROWS, working_dir=str(tmp_path)).dataset
    assert len(server.asked) == 6
    assert [row["question"] for row in answers] == [row["question"] for row in ROWS]


def call_one_at_a_time(url: str, folder: Path) -> None:
    backend = {"base_url": url, "max_concurrent_requests": 1}
    CreativeWriting("scripted", backend_params=backend)(ROWS, working_dir=str(folder))


def test_a_killed_call_asks_again_only_what_was_in_flight(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("ok", "ok", "hang")))
    process = Started(tmp_path / "log", call_one_at_a_time, teacher.url, tmp_path)
    wait_for(lambda: teacher.stats["requests"] >= 3 or not process.running)
    process.kill()
    assert process.wait() == -signal.SIGKILL, process.said
    teacher.change(faults=Faults())
    assert asked(writer(teacher.url), teacher, tmp_path) == 3


@pytest.mark.parametrize("cut", range(1, 200, 33))
def test_a_torn_line_costs_one_answer(cut: int, tmp_path: Path):
    """The cut may go through a letter: half of it is no UTF-8."""
    with ScriptedTeacher(answer=lambda messages, seed: f"<reasoning>{'äöü€' * 99}</reasoning><answer>ß</answer>") as t:
        llm = writer(t.url)
        llm(ROWS, working_dir=str(tmp_path))
        (file,) = tmp_path.glob("*/responses_0.jsonl")
        lines = file.read_bytes().splitlines(keepends=True)
        half = lines[-1][: lines[-1].index("äö".encode()) + cut]
        file.write_bytes(b"".join(lines[:-1]) + half)
        assert asked(llm, t, tmp_path) == 1


def test_every_change_of_what_is_asked_asks_again(teacher: ScriptedTeacher, tmp_path: Path):
    class Reworded(CreativeWriting):
        def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
            return [{"role": "user", "content": f"Please: {row['question']}"}]

    assert asked(writer(teacher.url), teacher, tmp_path) == 5
    assert asked(writer(teacher.url, system_prompt="Be brief."), teacher, tmp_path) == 5
    assert asked(writer(teacher.url, system_prompt="Be briefer."), teacher, tmp_path) == 5
    assert asked(writer(teacher.url, Reworded), teacher, tmp_path) == 5
    assert asked(writer(teacher.url, trace="native"), teacher, tmp_path) == 5
    assert asked(writer(teacher.url, generation_params={"temperature": 0.1}), teacher, tmp_path) == 5
    assert asked(writer(teacher.url), teacher, tmp_path, ROWS[:4]) == 4, "other rows, another folder of Curator's"
    with ScriptedTeacher() as elsewhere:
        assert asked(writer(elsewhere.url), elsewhere, tmp_path) == 5


def test_what_changes_no_request_asks_nothing(teacher: ScriptedTeacher, tmp_path: Path):
    assert asked(writer(teacher.url), teacher, tmp_path) == 5
    patient = {"base_url": teacher.url, "api_key": "k", "request_timeout": 77, "max_concurrent_requests": 2}
    assert asked(CreativeWriting("scripted", backend_params=patient), teacher, tmp_path) == 0


def test_an_edited_parse_is_applied_to_the_answers_that_are_there(teacher: ScriptedTeacher, tmp_path: Path):
    class Shouting(CreativeWriting):
        def parse(self, row: dict[str, Any], response: Any) -> list[dict[str, Any]]:
            return [parsed | {"answer": parsed["answer"].upper()} for parsed in super().parse(row, response)]

    quiet = writer(teacher.url)(ROWS, working_dir=str(tmp_path)).dataset["answer"]
    loud = writer(teacher.url, Shouting)(ROWS, working_dir=str(tmp_path)).dataset["answer"]
    assert list(loud) == [answer.upper() for answer in quiet]
    assert teacher.stats["requests"] == 5


# a good guest in its process


def test_it_works_in_a_running_event_loop_and_leaves_the_loop_as_it_was(teacher: ScriptedTeacher, tmp_path: Path):
    async def notebook() -> int:
        run, loop = asyncio.run, asyncio.get_running_loop()
        rows = len(writer(teacher.url)(ROWS, working_dir=str(tmp_path)).dataset)
        assert asyncio.run is run
        assert asyncio.get_running_loop() is loop
        assert not hasattr(loop, "_nest_patched")
        task = asyncio.ensure_future(asyncio.sleep(0, "afterwards"))
        assert await asyncio.wait_for(task, PATIENCE) == "afterwards"
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(int)
        return rows

    assert asyncio.run(notebook()) == 5
    assert asyncio.run(asyncio.sleep(0, "another loop")) == "another loop"


def test_nothing_stays_open_after_many_calls(teacher: ScriptedTeacher, tmp_path: Path):
    def opened() -> tuple[int, int]:
        loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
        return len(process.open_files()), sum(len(logger.handlers) for logger in [*loggers, logging.root])

    process, llm = psutil.Process(), writer(teacher.url)
    llm(ROWS[:1], working_dir=str(tmp_path))
    before, fds = opened(), process.num_fds()
    for number in range(30):
        llm([{"question": f"What is {number}?"}], working_dir=str(tmp_path / str(number)))
    assert opened() == before
    assert process.num_fds() < fds + 10


def test_a_server_that_answers_nothing_is_one_sentence(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(always="401"))
    with pytest.raises(TeacherFailed, match=r"none of 2 rows was answered: 2 times: HTTP 401: .*scripted 401"):
        writer(teacher.url)(ROWS[:2], working_dir=str(tmp_path))


def test_a_server_that_refuses_one_row_after_the_other_is_asked_no_more(teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(always="401"))
    with pytest.raises(
        TeacherFailed, match=r"refuses every request \(HTTP 401: scripted 401\): put a key that it takes"
    ):
        writer(teacher.url)(ROWS, working_dir=str(tmp_path))


def test_a_server_that_stays_away_ends_the_call(
    teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retries, "MOST_TRIES", 10**6)
    original = _curator_online.Endpoint
    monkeypatch.setattr(_curator_online, "Endpoint", lambda **about: original(**about, patience=0.2))
    teacher.change(faults=Faults(script=("ok", "ok"), share={"500": 1.0}, first_attempt_only=False))
    with pytest.raises(TeacherFailed, match=r"has not answered for .*HTTP 500"):
        writer(teacher.url)(ROWS, working_dir=str(tmp_path))
    teacher.change(faults=Faults())
    assert asked(writer(teacher.url), teacher, tmp_path) == 3
