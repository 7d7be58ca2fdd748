"""Batches: half the price, the same store and keys, and nothing handed in twice."""

from __future__ import annotations

import _thread
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from tests.builds import asked, build, equal, small_recipe, write_questions
from tests.commands import Command
from tests.pipeline.test_mishaps import Notes
from tests.processes import Started
from tests.teachers.named import named
from tests.waiting import wait_for
from tunixhack.errors import LimitReached, TeacherFailed, UserError
from tunixhack.pipeline import answer_blocks
from tunixhack.recipe import Recipe
from tunixhack.runs import batch_ledger
from tunixhack.runs.batch_ledger import BatchLedger, split_into_batches
from tunixhack.runs.run import Run
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.engine.spending_limits import SpendingLimits
from tunixhack.teachers.registry import price_table
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.transport import _curator_batch
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.retries import Failure
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

TEACHER = "openai/scripted"
NEVER = 1e6
"""Seconds of a batch that does not end before the test says so."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at batches often."""
    monkeypatch.setattr(_curator_batch, "FIRST_POLL", 0.02)
    monkeypatch.setattr(_curator_batch, "LONGEST_POLL", 0.05)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """OpenAI, played by a scripted teacher; a tenth of a cent a token."""
    entry = {"litellm_provider": "openai", "input_cost_per_token": 0.001, "output_cost_per_token": 0.001}
    monkeypatch.setattr(price_table, "_table", lambda: {"scripted": entry})
    with named(monkeypatch, "openai", batch_seconds=0.1) as teacher:
        yield teacher


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters: four samples each, nothing probed."""
    return recipe.replace(steps=(Sample(), Parse()))


def in_batches(recipe: Recipe, out: Path, **order: Any) -> Run:
    return build(recipe, TEACHER, out, batch=True, **order)


def tokens(run: Run) -> int:
    usages = [json.loads(usage) for usage in run.store.answers()["usage"]]
    return sum(usage["prompt_tokens"] + usage["completion_tokens"] for usage in usages)


def test_a_batch_brings_what_single_requests_would_under_the_same_keys(
    provider: ScriptedTeacher, recipe: Recipe, tmp_path: Path
):
    one = in_batches(recipe, tmp_path / "batches")
    assert provider.stats["batches"] == 2, "the probes, and the samples"
    other = build(recipe, TEACHER, tmp_path / "singly")
    assert equal(one, other)
    assert not (tmp_path / "batches" / "batches").exists(), "nothing is under way any more"
    keys = ["request_key", "sample"]
    assert one.store.answers().select(keys).sort(keys).equals(other.store.answers().select(keys).sort(keys))


def test_a_build_that_is_judged_in_blocks_waits_for_all_batches_together(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 6)
    monkeypatch.setattr(answer_blocks, "_ASKED", 2)
    in_batches(plain, tmp_path / "run")
    assert provider.stats["batches"] == 1


def test_a_step_that_asks_in_batches_is_given_all_answers_of_a_shard_and_blocks_of_the_merged_run(
    provider: ScriptedTeacher, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []

    class Asks:
        name: ClassVar[str] = "asks"
        stage: ClassVar[str] = "answers"
        asks: ClassVar[bool] = True
        by_question: ClassVar[bool] = True

        def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
            seen.append(rows.height)
            return Verdict(keep=rows["sample"] >= 0)

    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 8)
    chosen = recipe.replace(steps=(Sample(), Parse(), Asks()))
    parts = [in_batches(chosen, tmp_path / "parts", shard=f"{number}/2").kept for number in (1, 2)]
    assert sorted(seen) == sorted(parts)
    assert max(seen) > answer_blocks.MOST_ANSWERS
    seen.clear()
    in_batches(chosen, tmp_path / "whole", merge=tmp_path / "parts")
    assert sum(seen) == sum(parts)
    assert max(seen) <= answer_blocks.MOST_ANSWERS


def test_the_same_command_again_asks_nothing_with_or_without_batches(
    provider: ScriptedTeacher, recipe: Recipe, tmp_path: Path
):
    in_batches(recipe, tmp_path / "run")
    before = provider.stats
    in_batches(recipe, tmp_path / "run")
    build(recipe, TEACHER, tmp_path / "run")
    after = provider.stats
    assert (after["batches"], after["choices"]) == (before["batches"], before["choices"])


def test_it_costs_half_and_the_funnel_the_card_and_the_budget_know_it(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path
):
    run = in_batches(plain, tmp_path / "run")
    (line,) = [line for line in run.state()["funnel"] if line["step"] == "sample"]
    assert line["cost"] == pytest.approx(0.001 * tokens(run) / 2)
    dear = build(plain, TEACHER, tmp_path / "singly")
    (line,) = [line for line in dear.state()["funnel"] if line["step"] == "sample"]
    assert line["cost"] == pytest.approx(0.001 * tokens(dear))


def test_the_pilot_is_asked_at_once_and_foretells_half_the_price(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path
):
    run = in_batches(plain, tmp_path / "run", questions=20, report=Notes())
    pilot = run.store.answers().filter(~run.store.answers()["usage"].str.contains('"batch": true'))
    assert pilot.height == 8 * 2
    assert run.store.answers().height == 20 * 4
    (coming,) = run.state()["pilot"]["to_come"]
    paid = run.state()["funnel"][-2]["cost"]
    whole = 0.001 * tokens(run)
    at_once = 0.001 * sum(
        json.loads(usage)["prompt_tokens"] + json.loads(usage)["completion_tokens"] for usage in pilot["usage"]
    )
    assert paid == pytest.approx((whole + at_once) / 2)
    assert coming["dollars"] == pytest.approx(paid - at_once, rel=0.3)
    assert coming["seconds"] is None, "how long a batch takes is unknown"
    assert coming["answers"] == 20 * 4 - 8 * 2


def test_a_budget_is_reckoned_at_the_price_of_batches(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    whole = in_batches(plain, tmp_path / "whole", questions=20)
    cost = next(line["cost"] for line in whole.state()["funnel"] if line["step"] == "sample")
    run = in_batches(plain, tmp_path / "run", questions=20, budget=1.2 * cost)
    assert run.train.height + run.rejected.height == whole.train.height + whole.rejected.height
    with pytest.raises(LimitReached, match="budget"):
        in_batches(plain, tmp_path / "little", questions=20, budget=0.7 * cost)
    little = Run.load(tmp_path / "little")
    each = little.store.answers().group_by("question_id").len()
    assert 8 <= each.height < 20
    assert set(each["len"]) == {4}, "whole questions"
    assert next(line["cost"] for line in little.state()["funnel"] if line["step"] == "sample") < 0.7 * cost


@pytest.mark.parametrize("teacher", ["deepseek/deepseek-chat", "http://SERVER", "reference"])
def test_a_teacher_without_batches_is_refused_in_one_sentence(
    tunixhack: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: str
):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-none")
    with ScriptedTeacher() as server:
        teacher = teacher.replace("http://SERVER", server.url)
        result = tunixhack("build", "math", "--source", "shipped", "--teacher", teacher, "--out", tmp_path, "--batch")
    assert not list(tmp_path.iterdir()), "nothing is begun"
    assert result.code == 2
    assert "--batch is for teachers that answer batches at half the price: openai/MODEL" in result.sentence


def test_the_command_that_goes_on_has_it(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    run = in_batches(plain, tmp_path / "run")
    assert run.state()["command"].endswith(" --batch")


# going on


def die(*anything: Any, **more: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(url: str, source: Path, out: Path, moment: str) -> None:
    """Build in batches, in a process of its own, to a moment that it does not survive."""
    PRESETS["openai"] = replace(PRESETS["openai"], url=url)
    _curator_batch.FIRST_POLL = 0.02
    if moment == "written down":
        real = BatchLedger.begin
        BatchLedger.begin = lambda self, rows: (real(self, rows), die())  # type: ignore[assignment, method-assign]
    elif moment == "handed in":
        BatchLedger.submitted = die  # type: ignore[assignment, method-assign]
    elif moment == "waiting":
        _curator_batch.BatchClient._poll = die  # type: ignore[assignment, method-assign]
    elif moment == "fetched":
        BatchLedger.close = die  # type: ignore[assignment, method-assign]
    in_batches(small_recipe(source).replace(steps=(Sample(), Parse())), out)


@pytest.mark.parametrize(
    ("moment", "submitted"), [("written down", 0), ("handed in", 1), ("waiting", 1), ("fetched", 1)]
)
def test_killed_at_any_moment_nothing_is_handed_in_twice(
    provider: ScriptedTeacher, plain: Recipe, source: Path, tmp_path: Path, moment: str, submitted: int
):
    process = Started(tmp_path / "log", killed, provider.url, source, tmp_path / "run", moment)
    assert process.wait() == -signal.SIGKILL, process.said
    assert provider.stats["batches"] == submitted
    run = in_batches(plain, tmp_path / "run")
    assert provider.stats["batches"] == 1
    assert asked(provider) == 6 * 4, "no answer was paid for twice"
    assert equal(run, build(plain, TEACHER, tmp_path / "singly"))


def stopped(plain: Recipe, out: Path) -> None:
    """Stop a build as soon as its batch is under way, by hours that are over."""

    def over(self: SpendingLimits) -> bool:
        if list((out / "batches").glob("*.json")) and BatchLedger(out / "batches").open()[0].id:
            self.reached = "the 2 hours are over"
        return self.reached is not None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SpendingLimits, "out_of_time", over)
        with pytest.raises(LimitReached, match="hours are over"):
            in_batches(plain, out, hours=2)


def test_hours_that_are_over_end_the_waiting_and_the_batch_is_fetched_later(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path
):
    provider.change(batch_seconds=NEVER)
    stopped(plain, tmp_path / "run")
    assert Run.load(tmp_path / "run").store.answers().is_empty()
    provider.change(batch_seconds=0.0)
    run = in_batches(plain, tmp_path / "run")
    assert provider.stats["batches"] == 1
    assert run.train.height + run.rejected.height == 6 * 4


def test_without_batch_nobody_pays_a_second_time_unless_told_to(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path
):
    provider.change(batch_seconds=NEVER)
    stopped(plain, tmp_path / "run")
    with pytest.raises(UserError, match=r"24 of the missing answers are in batches .* go on with --batch"):
        build(plain, TEACHER, tmp_path / "run")
    assert Run.load(tmp_path / "run").state()["state"] == "stopped", "the folder keeps what is under way"
    run = build(plain, TEACHER, tmp_path / "run", ask_again=True)
    assert run.train.height + run.rejected.height == 6 * 4


def test_a_changed_prompt_is_refused_while_the_old_one_is_under_way(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path
):
    provider.change(batch_seconds=NEVER)
    stopped(plain, tmp_path / "run")
    with pytest.raises(UserError, match="24 answers of step sample are paid for already"):
        in_batches(plain.replace(max_tokens=777), tmp_path / "run")


def test_an_interrupt_ends_the_waiting_at_once(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    provider.change(batch_seconds=NEVER)

    def interrupt() -> None:
        wait_for(lambda: any(batch.id for batch in BatchLedger(tmp_path / "run" / "batches").open()))
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        in_batches(plain, tmp_path / "run")
    provider.change(batch_seconds=0.0)
    assert [batch.id for batch in BatchLedger(tmp_path / "run" / "batches").open()] == ["batch_0"]


# what goes wrong


@pytest.mark.usefixtures("no_pauses")
def test_a_provider_that_is_away_for_a_while_is_waited_for(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    notes = Notes()

    def trouble() -> None:
        wait_for(lambda: provider.stats["batches"])
        provider.change(faults=Faults(always="500"))
        wait_for(lambda: any("does not answer (HTTP 500" in sentence for sentence in notes.said))
        provider.change(faults=Faults(), batch_seconds=0.0)

    provider.change(batch_seconds=NEVER)
    threading.Thread(target=trouble).start()
    run = in_batches(plain, tmp_path / "run", report=notes)
    assert run.store.answers().height == 24
    assert provider.stats["batches"] == 1


def test_line_separators_in_an_answer_do_not_break_its_line(
    monkeypatch: pytest.MonkeyPatch, plain: Recipe, tmp_path: Path
):
    def answer(messages: list[dict[str, Any]], seed: int) -> str:
        return f"<reasoning>one\u2028two\x85three {seed}</reasoning><answer>four\x0bfive</answer>"

    with named(monkeypatch, "openai", batch_seconds=0.0, answer=answer):
        run = in_batches(plain, tmp_path / "run")
    assert run.train.height == 24
    assert set(run.train["answer"]) == {"four\x0bfive"}
    assert run.train["reasoning"].str.starts_with("one\u2028two\x85three ").all()


def test_requests_that_failed_are_missing_and_the_next_start_asks_for_them_alone(
    provider: ScriptedTeacher, plain: Recipe, tmp_path: Path
):
    provider.change(faults=Faults(share={"500": 0.3}))
    with pytest.raises(TeacherFailed, match=r"answers were not received; .* times: .*500.*scripted 500"):
        in_batches(plain, tmp_path / "run")
    there = Run.load(tmp_path / "run").store.answers().height
    assert 0 < there < 24
    provider.change(faults=Faults())
    run = in_batches(plain, tmp_path / "run")
    assert run.store.answers().height == 24
    assert asked(provider) == 24


def test_a_question_that_the_provider_refuses_does_not_stop_the_length_filter(
    provider: ScriptedTeacher, recipe: Recipe, tmp_path: Path
):
    rows = [*toy_questions(7), {"question": "x" * 400_000}]
    run = in_batches(recipe.replace(source=write_questions(tmp_path / "q.jsonl", rows)), tmp_path / "run", questions=4)
    assert run.done
    assert sorted(run.rejected.filter(step="length_filter")["reason"]) == ["refused", "short", "short", "short"]


def test_a_question_that_the_provider_refuses_is_named(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    rows = [*toy_questions(3), {"question": "x" * 400_000}]
    with pytest.raises(TeacherFailed, match=r"4 times: question [0-9a-f]{16}: HTTP 400"):
        in_batches(plain.replace(source=write_questions(tmp_path / "q.jsonl", rows)), tmp_path / "run", questions=4)


def test_an_expired_batch_brings_what_it_got_to(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    provider.change(batch_ends="expired")
    with pytest.raises(TeacherFailed, match="12 answers were not received; 12 times: This request expired"):
        in_batches(plain, tmp_path / "run")
    provider.change(batch_ends="completed")
    assert in_batches(plain, tmp_path / "run").store.answers().height == 24
    assert asked(provider) == 24


def test_a_batch_that_is_refused_for_its_size_says_so(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    provider.change(batch_ends="failed")
    with pytest.raises(TeacherFailed, match="24 times: the batch batch_0 is failed: too many tokens"):
        in_batches(plain, tmp_path / "run")
    provider.change(batch_ends="completed")
    assert in_batches(plain, tmp_path / "run").store.answers().height == 24


def test_a_batch_that_the_provider_does_not_know_is_told_of(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    provider.change(batch_seconds=NEVER)
    stopped(plain, tmp_path / "run")
    ledger = BatchLedger(tmp_path / "run" / "batches")
    ledger.submitted(ledger.open()[0], "batch_77")
    with pytest.raises(UserError, match="does not know the batch batch_77 with this key"):
        in_batches(plain, tmp_path / "run")


ROWS = [{"question_id": "q", "count": 1}]


@pytest.mark.parametrize(
    "line",
    [b"no JSON", b"[]", b"null", b'{"custom_id": "7"}', b'{"custom_id": {}}', b'{"custom_id": "x"}', b"[" * 10**5],
)
def test_a_line_that_is_no_answer_is_left_out(line: bytes):
    place, answer = reader()._read(line, ROWS)
    assert place == -1
    assert isinstance(answer, Failure)


@pytest.mark.parametrize(
    ("response", "error", "why"),
    [
        (None, None, "HTTP 500: null"),
        ("text", ["text"], "HTTP 500: null"),
        ({"status_code": "200", "body": {}}, None, "HTTP 500"),
        ({"status_code": 402, "body": {"error": {"message": "Insufficient Balance"}}}, None, "HTTP 402: Insufficient"),
        ({"status_code": 200, "body": {"error": {"message": "Slow", "code": 429}}}, None, r"code 429\): Slow"),
        ({"status_code": 200, "body": None}, None, "no choices"),
        (None, {"message": "This request expired"}, "This request expired"),
    ],
)
def test_a_request_that_failed_says_why_however_it_is_told(response: Any, error: Any, why: str):
    told = {"custom_id": "0", "response": response, "error": error}
    place, answer = reader()._read(json.dumps(told).encode(), ROWS)
    assert place == 0
    assert isinstance(answer, Failure)
    assert re.search(why, str(answer))


def test_an_odd_answer_in_a_batch_is_an_answer():
    deep: Any = "deep"
    for _ in range(300):
        deep = [deep]
    body = {"choices": [{"message": {"content": "half \ud83d", "more": deep}}], "usage": {"total_tokens": 2**70}}
    told = {"custom_id": "0", "response": {"status_code": 200, "body": body}, "error": None}
    _, answer = reader()._read(json.dumps(told).encode(), ROWS)
    assert isinstance(answer, dict)
    assert answer["choices"][0]["message"]["content"] == "half \ufffd"
    assert json.dumps(answer, ensure_ascii=False).encode()


def reader() -> _curator_batch.BatchClient:
    endpoint = Endpoint(url="http://there/v1", model="m")
    return _curator_batch.BatchClient(None, BatchLedger(Path("none")), CallState(endpoint), print)  # type: ignore[arg-type]


def test_a_server_without_batches_refuses_them(monkeypatch: pytest.MonkeyPatch, plain: Recipe, tmp_path: Path):
    with named(monkeypatch, "openai"), pytest.raises(UserError, match=r"refuses the batch .*HTTP 404"):
        in_batches(plain, tmp_path / "run")
    assert not (tmp_path / "run" / "batches").exists()


def test_the_key_is_in_no_file(provider: ScriptedTeacher, plain: Recipe, tmp_path: Path):
    provider.change(batch_seconds=NEVER)
    stopped(plain, tmp_path / "run")
    key = f"sk-of-{'openai'}"
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert any("batches" in path.parts for path in files)
    assert not [path for path in files if key[-4:].encode() in path.read_bytes().replace(b"openai", b"")]


# the ledger


def row(number: int, size: int = 2) -> dict[str, Any]:
    text = {"messages": "x" * size, "generation_params": "{}"}
    return text | {"request_key": f"k{number}", "first": 2, "count": 3, "question_id": f"q{number}", "step": "sample"}


def test_the_book_keeps_what_is_under_way_and_not_what_was_asked(tmp_path: Path):
    ledger = BatchLedger(tmp_path / "batches")
    assert ledger.open() == []
    assert ledger.keys().is_empty()
    batch = ledger.begin([row(1), row(2)])
    assert ledger.open()[0].id is None
    ledger.submitted(batch, "batch_1")
    assert ledger.open()[0].id == "batch_1"
    assert ledger.keys().rows() == [(f"k{n}", sample, f"q{n}", "sample") for n in (1, 2) for sample in (2, 3, 4)]
    assert "messages" not in next(ledger.folder.iterdir()).read_text(encoding="utf-8")
    ledger.close(batch)
    assert not ledger.folder.exists()


def test_a_damaged_file_is_told_of(tmp_path: Path):
    ledger = BatchLedger(tmp_path / "batches")
    ledger.begin([row(1)])
    next(ledger.folder.iterdir()).write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"damaged .* restore it, or delete it"):
        ledger.open()


def test_parcels_keep_to_both_limits_and_to_the_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batch_ledger, "MOST_REQUESTS", 3)
    monkeypatch.setattr(batch_ledger, "MOST_BYTES", 100)
    sizes = [10, 10, 10, 10, 60, 60, 200, 5]
    rows = [row(number, size) for number, size in enumerate(sizes)]
    made = list(split_into_batches(rows))
    assert [one for batch_rows in made for one in batch_rows] == rows
    sizes = [[len(one["messages"]) for one in batch_rows] for batch_rows in made]
    assert sizes == [
        [10, 10, 10],
        [10, 60],
        [60],
        [200],
        [5],
    ]
