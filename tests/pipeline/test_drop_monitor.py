"""The drop monitor warns once, from the fiftieth answer on, that a step drops nearly all of them (contract 11)."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tunixhack.pipeline import drop_monitor
from tunixhack.pipeline.drop_monitor import DropMonitor
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.base import Context, Step, Verdict
from tunixhack.steps.parse import Parse

QUESTIONS = pl.DataFrame({"question_id": ["a", "b"], "question": ["one?", "two?"]})
GOOD, BAD = "<reasoning>r</reasoning><answer>a</answer>", "no tags"


def answers(count: int, content: str = BAD) -> list[dict[str, Any]]:
    """Rows as the engine hands them over while they come."""
    rows = []
    for sample in range(count):
        choice = {"message": {"content": content}, "finish_reason": "stop"}
        known = {"question_id": "ab"[sample % 2], "sample": sample, "choice": json.dumps(choice)}
        rows.append(dict.fromkeys(FIELDS) | known | {"step": "sample", "finish_reason": "stop"})
    return rows


@pytest.fixture
def warnings() -> list[str]:
    return []


def monitor(warnings: list[str], *steps: Step) -> DropMonitor:
    made = DropMonitor(steps or (Parse(),), Context(trace="written"), warnings.append)
    for question in QUESTIONS.iter_slices(1):
        made.expect(question)
    return made


def test_forty_nine_bad_answers_are_too_few_to_tell(warnings: list[str]):
    monitor(warnings)(answers(49))
    assert warnings == []


def test_at_the_fiftieth_it_names_the_step_and_the_reason(warnings: list[str]):
    take = monitor(warnings)
    take(answers(49))
    take(answers(1))
    assert len(warnings) == 1
    assert warnings[0].startswith("step parse drops 50 of the first 50 answers (malformed 50)")


def test_it_holds_no_more_answers_than_it_looks_at_together_and_goes_on_looking(
    warnings: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(drop_monitor, "MOST", 200)
    seen: list[int] = []

    def count(rows: pl.DataFrame, ctx: Context) -> Verdict:
        seen.append(rows.height)
        return Verdict(keep=pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True))

    take = monitor(warnings, count, Parse())
    for _ in range(100):
        take(answers(10, GOOD))
    assert max(seen) == 200
    assert len(seen) == 3 + 4
    take(answers(200))
    assert "drops 200 of the first 200 answers" in warnings[0]


def test_a_step_that_waits_for_all_answers_is_not_called_while_they_come(warnings: list[str]):
    def best(rows: pl.DataFrame, ctx: Context) -> Verdict:
        pytest.fail("called while answers come")

    best.waits = True  # type: ignore[attr-defined]
    monitor(warnings, Parse(), best)(answers(60, GOOD))
    assert warnings == []


def test_it_warns_once(warnings: list[str]):
    take = monitor(warnings)
    for _ in range(10):
        take(answers(100))
    assert len(warnings) == 1


def test_good_answers_raise_nothing(warnings: list[str]):
    take = monitor(warnings)
    for _ in range(10):
        take(answers(100, GOOD))
    assert warnings == []


def test_what_goes_wrong_later_is_seen_later(warnings: list[str]):
    take = monitor(warnings)
    take(answers(50, GOOD))
    for _ in range(100):
        take(answers(20))
    assert len(warnings) == 1
    dropped, seen = (int(word.replace(",", "")) for word in warnings[0].split() if word.replace(",", "").isdigit())
    assert dropped / seen > 0.9


def test_the_whole_is_looked_at_only_when_it_has_doubled(warnings: list[str]):
    looked: list[int] = []

    def counting(rows: pl.DataFrame, ctx: Context) -> Verdict:
        looked.append(rows.height)
        return Verdict(keep=pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True))

    take = monitor(warnings, counting)
    for _ in range(1000):
        take(answers(1))
    assert looked == [50, 100, 200, 400, 800]


def test_a_later_step_judges_what_the_earlier_ones_kept(warnings: list[str]):
    def none_of_b(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=rows["question_id"] != "b")

    def only_few(rows: pl.DataFrame, ctx: Context) -> Verdict:
        assert set(rows["question_id"]) == {"a"}
        return Verdict(keep=rows["sample"] < 4, reason="late")

    monitor(warnings, Parse(), none_of_b, only_few)(answers(200, GOOD))
    assert warnings[0].startswith("step only_few drops 98 of the first 100 answers (late 98)")


def test_a_step_of_ones_own_that_fails_is_told_once_and_stops_nothing(warnings: list[str]):
    def broken(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=rows["nope"])

    take = monitor(warnings, Parse(), broken)
    for _ in range(3):
        take(answers(60, GOOD))
    assert len(warnings) == 1
    assert warnings[0].startswith("step broken failed: ColumnNotFoundError")
    assert "Ctrl-C stops until the step is mended" in warnings[0]


def keep_few(rows: pl.DataFrame) -> Verdict:
    return Verdict(keep=pl.Series([at % 20 == 0 for at in range(rows.height)]))


class Few:
    share = 0.05

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        return keep_few(rows)


class FewAsBefore(Few):
    share = None  # type: ignore[assignment]
    keep = 0.05


class Several(Few):
    share = None  # type: ignore[assignment]
    keep = (4, 8)


class Some(Few):
    share = None  # type: ignore[assignment]
    keep = 1


class Best:
    per_question = 1

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=rows["sample"] < 2, reason="not_best")


@pytest.mark.parametrize("step", [Few(), FewAsBefore(), Best()], ids=["share", "keep", "per_question"])
def test_a_step_that_was_asked_to_drop_much_may_do_so(step: Step, warnings: list[str]):
    monitor(warnings, step)(answers(100))
    assert warnings == []


@pytest.mark.parametrize("step", [Several(), Some()], ids=["a tuple", "a whole number"])
def test_what_is_called_keep_and_is_no_share_says_nothing_of_it(step: Step, warnings: list[str]):
    monitor(warnings, step)(answers(100))
    assert len(warnings) == 1


def test_a_step_that_asks_a_teacher_and_those_behind_it_are_not_run(warnings: list[str]):
    seen: list[int] = []

    def judge(rows: pl.DataFrame, ctx: Context) -> Verdict:
        seen.append(rows.height)
        ctx.ask([])
        raise AssertionError("it was asked")

    def behind(rows: pl.DataFrame, ctx: Context) -> Verdict:
        raise AssertionError("it was run")

    monitor(warnings, Parse(), judge, behind)(answers(60, GOOD))
    assert seen == [60]
    assert warnings == []
