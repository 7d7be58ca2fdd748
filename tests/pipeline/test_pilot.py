"""The pilot: eight questions and two samples first, kept and paid for once; what it tells, and when it stops."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, equal, given_by_seed, write_questions
from tests.commands import Command
from tests.pipeline.test_mishaps import Notes
from tunixhack._util.wording import counted
from tunixhack.errors import NearlyAllDropped, UserError
from tunixhack.pipeline import pilot as module
from tunixhack.pipeline.cost_forecast import StepEstimate, add_up, estimate_remaining
from tunixhack.pipeline.pilot import PilotResult
from tunixhack.recipe import Recipe
from tunixhack.recipes import math
from tunixhack.runs.journal import FIELDS
from tunixhack.runs.run import Run
from tunixhack.runs.show import as_dict, print_run
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.prices import FREE, Price
from tunixhack.teachers.registry import price_table
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.testing import Faults, ScriptedTeacher


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters: four samples each, nothing probed."""
    return recipe.replace(steps=(Sample(), Parse()))


def said_of(notes: Notes) -> list[str]:
    return [line for line in notes.said if line.startswith(("pilot", "to come"))]


# that it is the beginning of the whole


def test_a_pilot_is_part_of_the_whole_and_paid_for_once(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a filter that probes: its eight questions are among the selected ones, and the result is the same."""
    runs = []
    for name, piloted in (("with", True), ("without", False)):
        if not piloted:
            monkeypatch.setattr(module, "LEAST_RATIO", 10**6)
        teacher.reset()
        notes = Notes()
        runs.append(build(recipe, teacher, tmp_path / name, questions=20, report=notes))
        assert asked(teacher) == 40 + 80
        assert set(given_by_seed(teacher).values()) == {1}
        assert bool(said_of(notes)) is piloted
    assert equal(*runs)
    assert runs[0].state()["pilot"]["answers"] == 16
    assert runs[1].state()["pilot"] is None


def test_the_pilots_questions_come_first(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, tmp_path / "run", questions=20)
    first = pl.read_parquet(sorted((run.folder / "answers").glob("*.parquet"))[0])
    assert dict(Counter(first["sample"])) == {0: 8, 1: 8}
    assert first["question_id"].n_unique() == 8


@pytest.mark.parametrize(("questions", "piloted"), [(15, False), (16, True)])
def test_a_small_build_is_its_own_pilot(
    questions: int, piloted: bool, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    notes = Notes()
    build(plain, teacher, tmp_path / "run", questions=questions, report=notes)
    assert bool(said_of(notes)) is piloted


def test_what_is_all_there_needs_no_pilot_and_no_teacher(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    build(plain, teacher, tmp_path / "run", questions=20)
    teacher.reset()
    notes = Notes()
    build(plain, teacher, tmp_path / "run", questions=20, report=notes)
    assert not said_of(notes)
    assert teacher.stats["requests"] == 0


def test_more_questions_than_there_are_for_a_pilot_are_not_needed(plain: Recipe, tmp_path: Path):
    few = plain.replace(source=write_questions(tmp_path / "few.jsonl", 5), samples=16)
    with ScriptedTeacher() as teacher:
        notes = Notes()
        assert build(few, teacher, tmp_path / "run", questions=5, report=notes).train.height == 80
    assert said_of(notes)[0] == "pilot: 5 questions × 2 samples first, which count"


# what it tells


def test_it_tells_for_every_step_what_is_to_come(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    notes = Notes()
    run = build(recipe, teacher, tmp_path / "run", questions=20, report=notes)
    said = said_of(notes)
    assert said[1] == "pilot: 16 of 16 answers would be kept"
    assert said[2].startswith("to come, length_filter: 24 answers in 24 requests, about ")
    assert said[3].startswith("to come, sample: 64 answers in 16 requests, about ")
    assert said[4].startswith("to come, in all: 88 answers in 40 requests, about ")
    assert all(re.search(r" tokens, \d+ s, \$0\.00$", line) for line in said[2:])
    kept = run.state()["pilot"]
    assert [one["step"] for one in kept["to_come"]] == ["length_filter", "sample"]


def test_it_tells_how_many_answers_are_right_and_so_do_the_run_and_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [{"question": f"What is sum {at}?", "reference": "4" if at % 2 else "5"} for at in range(20)]
    source = write_questions(tmp_path / "sums.jsonl", rows)
    sums = math.recipe.replace(source=str(source), steps=(Sample(), Parse()), samples=4)
    notes = Notes()
    with ScriptedTeacher(
        answer=lambda messages, seed: "<reasoning>2 + 2</reasoning><answer>It is 4.</answer>"
    ) as teacher:
        run = build(sums, teacher, tmp_path / "run", questions=20, report=notes, yes=True)  # all say the same
    piloted = run.state()["pilot"]["right"]
    (told,) = [line for line in said_of(notes) if "right" in line]
    assert told.startswith(f"pilot: right by the reference: {piloted['received']['count']} of 16 answers received (")
    assert "no answer is dropped for being wrong" in told
    right = run.state()["right"]
    assert (right["received"]["count"], right["received"]["of"], right["kept"]["of"]) == (40, 80, 80)
    assert (
        "- Right by the reference: 40 of 80 answers received (50 %; 39 to 61 %)"
        in (run.folder / "README.md").read_text()
    )
    print_run(run)
    assert "right by the reference: 40 of 80 answers received (50 %; 39 to 61 %)" in " ".join(
        capsys.readouterr().out.split()
    )
    assert as_dict(run)["right"] == right
    assert run.train.height == 80


def test_the_tokens_and_dollars_it_foretells_are_what_comes(
    plain: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = {"litellm_provider": "deepseek", "input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
    monkeypatch.setattr(price_table, "_table", lambda: {"deepseek/deepseek-chat": table})
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-none")
    with ScriptedTeacher(n_supported=False, models=("deepseek-chat",)) as teacher:
        monkeypatch.setitem(PRESETS, "deepseek", replace(PRESETS["deepseek"], url=teacher.url))
        run = build(plain.replace(samples=8), "deepseek/deepseek-chat", tmp_path / "run", questions=40)
    (told,) = run.state()["pilot"]["to_come"]
    line = run.funnel.filter(step="sample").row(0, named=True)
    share = told["answers"] / 320
    assert share == 304 / 320
    assert 0.7 < told["dollars"] / (line["cost"] * share) < 1.4
    assert 0.7 < told["tokens"] / ((line["prompt_tokens"] + line["completion_tokens"]) * share) < 1.4


def received(*requests: tuple[int, int | None, int | None], **more: Any) -> pl.DataFrame:
    rows = []
    for count, prompt, completion in requests:
        usage = {"prompt_tokens": prompt, "completion_tokens": completion} | more
        rows += [{"count": count, "usage": json.dumps(usage) if choice == 0 else None} for choice in range(count)]
    return pl.DataFrame(rows, schema={name: FIELDS[name] for name in ("count", "usage")})


def coming(stored: pl.DataFrame, **changes: Any) -> StepEstimate:
    usual: dict[str, Any] = {
        "block": 4, "price": Price(1, 10), "seconds_an_answer": 2.0
    }  # fmt: skip
    return estimate_remaining("sample", 10, stored, **(usual | changes))


def test_prompts_are_paid_by_request_and_answers_by_answer():
    one = coming(received((2, 100, 60), (2, 200, 20)))
    assert (one.requests, one.tokens, one.seconds) == (3, 3 * 150 + 10 * 20, 20)
    assert one.dollars == 3 * 150 * 1 + 10 * 20 * 10


def test_where_the_tokens_of_one_choice_are_told_every_choice_has_as_many():
    assert coming(received((2, 100, 60), of_choices=1)).tokens == 3 * 100 + 10 * 60


@pytest.mark.parametrize("odd", [0, -1, "1", None, [1]], ids=str)
def test_a_mark_that_a_server_set_in_a_stored_usage_is_none(odd: Any):
    assert coming(received((2, 100, 60), of_choices=odd)).tokens == coming(received((2, 100, 60))).tokens


@pytest.mark.parametrize("odd", [2**63, -1, "100", 1.5], ids=str)
def test_a_count_that_no_table_holds_is_left_out_of_the_mean(odd: Any):
    assert coming(received((2, 100, 60), (2, odd, odd))).tokens == coming(received((2, 100, 60))).tokens


def test_what_is_not_known_is_said_to_be_unknown():
    assert coming(received((1, None, None))).line() == (
        "sample: 10 answers in 3 requests, tokens unknown, 20 s, price unknown"
    )
    nothing = coming(received(), price=None, seconds_an_answer=None)
    assert nothing.line() == "sample: 10 answers in 3 requests, tokens unknown, time unknown, price unknown"
    assert coming(received((1, 1, 1)), price=None).dollars is None
    assert coming(received((1, None, None)), price=FREE).dollars == 0
    assert add_up([coming(received((1, 1, 1))), nothing]).tokens is None


@given(st.integers(1, 1000), st.dictionaries(st.sampled_from("ab"), st.integers(1, 400), max_size=2))
def test_the_share_is_of_all_answers(answers: int, reasons: dict[str, int]):
    dropped = sum(reasons.values())
    if dropped > answers:
        return
    tried = PilotResult(answers, {"parse": reasons})
    assert tried.share == pytest.approx(dropped / answers)
    assert tried.line().startswith(f"{answers - dropped:,} of {counted(answers, 'answer')} would be kept")


# that it stops


@pytest.fixture
def mumbling() -> Iterator[ScriptedTeacher]:
    """A teacher without tags, whose every answer is malformed."""
    with ScriptedTeacher(style="none") as teacher:
        yield teacher


def test_more_than_half_dropped_stops_with_the_reasons_unless_told_to_go_on(
    plain: Recipe, mumbling: ScriptedTeacher, tmp_path: Path
):
    for _ in range(2):  # the same again asks nothing, and stops again
        with pytest.raises(UserError, match=r"only 0 of 16 .*: parse malformed 100 %.*--yes") as caught:
            build(plain, mumbling, tmp_path / "run", questions=20)
        assert caught.value.exit_code == 2
        assert asked(mumbling) == 16
    run = Run.load(tmp_path / "run")
    assert run.status.startswith("not finished: of the pilot's answers only 0 of 16")
    assert run.store.answers().height == 16
    with pytest.raises(NearlyAllDropped):
        build(plain, mumbling, run.folder, questions=20, yes=True)
    assert run.rejected.height == 80
    assert asked(mumbling) == 80
    assert run.state()["command"].endswith(" --yes")


def half(rows: pl.DataFrame, ctx: Context) -> Verdict:
    return Verdict(keep=rows["sample"] == 0, reason="second")


def test_half_is_not_more_than_half(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    notes = Notes()
    run = build(plain.replace(steps=(*plain.steps, half)), teacher, tmp_path / "run", questions=20, report=notes)
    assert said_of(notes)[1] == "pilot: 8 of 16 answers would be kept; dropped: half second 50 %"
    assert run.train.height == 20


class Least:
    """A step that was asked to keep a tenth."""

    keep = 0.1
    name = "least"

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=pl.Series([at % 10 == 0 for at in range(rows.height)]), reason="not_tenth")


def many_only(rows: pl.DataFrame, ctx: Context) -> Verdict:
    """A user's own step that wants more rows than a pilot has."""
    if rows.height < 20:
        raise ValueError("few")
    return Verdict(keep=pl.Series([True] * rows.height))


@pytest.mark.parametrize("before", [True, False])
def test_a_step_of_ones_own_that_wants_more_rows_does_not_stop_the_build(
    before: bool, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    steps = (Sample(), Parse(), many_only)
    if before:
        steps = (Least(), many_only, Sample(), Parse())
    notes = Notes()
    source = write_questions(tmp_path / "many.jsonl", 300)
    run = build(plain.replace(steps=steps, source=source), teacher, tmp_path / "run", questions=30, report=notes)
    assert run.train.height == 120
    assert any(line.startswith("pilot: step many_only failed: ValueError: few; it tells") for line in notes.said)


def test_what_a_step_was_asked_to_drop_is_no_reason_to_stop(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain.replace(steps=(*plain.steps, Least())), teacher, tmp_path / "run", questions=20)
    assert run.train.height == 8


def test_a_teacher_that_fails_during_the_pilot_is_told_as_ever(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("ok",) * 3 + ("404",) * 16))
    notes = Notes()
    assert build(plain, teacher, tmp_path / "run", questions=20, report=notes).done


def test_yes_on_the_command_line(tunixhack: Command, source: Path, mumbling: ScriptedTeacher, tmp_path: Path):
    command = (
        "build", "creative", "--source", source, "--questions", "20", "--samples", "4", "--teacher", mumbling.url,
        "--out", tmp_path / "run",
    )  # fmt: skip
    stopped = tunixhack(*command)
    assert stopped.code == 2
    assert "--yes" in stopped.sentence
    assert tunixhack(*command, "--yes").code == 4
