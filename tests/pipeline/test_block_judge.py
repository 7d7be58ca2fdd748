"""Steps that are run block by block tell of all answers what they tell where they are called once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builds import asked, build, equal, given_by_seed, small_recipe, write_questions
from tests.pages import ROOT, blocks
from tests.steps.test_rubric_judge import TWO, Judge, answering
from tunixhack import (
    Context,
    Counts,
    DedupAnswers,
    KeepAnswers,
    Labels,
    MajorityVote,
    Parse,
    RubricJudge,
    Sample,
    Verdict,
    Verify,
)
from tunixhack.errors import LimitReached, TeacherFailed
from tunixhack.pipeline import answer_blocks
from tunixhack.pipeline.block_judge import BlockJudge
from tunixhack.pipeline.run_steps import StepResult
from tunixhack.pipeline.step_checks import numbered
from tunixhack.runs import answer_store
from tunixhack.runs.funnel import FunnelLine
from tunixhack.runs.run import Run
from tunixhack.steps.base import Step
from tunixhack.teachers.engine.spending_limits import SpendingLimits
from tunixhack.testing import Faults, ScriptedTeacher

WORDS = ("Yes", "No", "Perhaps", "Yes, it rains")
QUESTIONS = 8


def rhyming(rows: pl.DataFrame, ctx: Context) -> Verdict:
    """A step of a user's, as the documentation shows one."""
    good = rows["answer"].str.ends_with("s")
    numbers = {"rhyming": int(good.sum()), "answers": rows.height}
    return Verdict(keep=good, figures=Counts(numbers, lambda count: f"{count['rhyming']} of {count['answers']}"))


def grades(criterion: str, answer: str, number: int) -> int:
    return 1 + (len(criterion) * len(answer) + number) % 5


def context(judge: Judge) -> Any:
    """What gives a step its context."""
    memos: dict[str, dict[str, Any]] = {}

    def make(step: str, rows: pl.DataFrame, part: bool = False) -> Context:
        return Context(part=part, ask=judge, criteria=TWO, memo=memos.setdefault(step, {}))

    make.pool = SimpleNamespace(why_missing=str)  # type: ignore[attr-defined]
    return make


STEPS: dict[str, Sequence[Step]] = {
    "kept": (DedupAnswers(), KeepAnswers(2)),
    "verified": (Verify(Labels(("Yes", "No"))), rhyming),
    "voted": (MajorityVote(Labels(("Yes", "No", "Perhaps")), min_share=0.4),),
    "judged": numbered([RubricJudge(least=2), RubricJudge(per_question=1, passes=1, second="b/c")]),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, list[int]]:
    """Answers to questions, in the order of their ids, and the first question of every block but the first."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=30))
    rows = [
        {
            "question_id": f"q{at:02}",
            "sample": sample,
            "question": f"Q{at}?",
            "context": None,
            "reference": draw(st.sampled_from(("Yes", "No", None))),
            "reasoning": draw(st.sampled_from(("So.", "Hence."))),
            "answer": draw(st.sampled_from(WORDS)),
        }
        for at, count in enumerate(counts)
        for sample in range(count)
    ]
    cuts = draw(st.sets(st.integers(1, len(counts))))
    schema = {"context": pl.String, "reference": pl.String}
    return pl.DataFrame(rows, schema_overrides=schema), sorted(cuts)


def in_blocks(steps: Sequence[Step], rows: pl.DataFrame, cuts: Sequence[int]) -> tuple[Any, list[StepResult], Judge]:
    """Judge a table in blocks; returns what was kept and rejected, what is told of it, and what was asked."""
    asked = Judge(grades)
    judge = BlockJudge(
        steps=steps, contexts=context(asked), stage=lambda name, rows: nullcontext(FunnelLine(name, rows))
    )
    kept, rejected = [], []
    starts = [0, *cuts]
    for at, start in enumerate(starts):
        behind = f"q{starts[at + 1]:02}" if at + 1 < len(starts) else "r"
        block = rows.filter(pl.col("question_id") >= f"q{start:02}", pl.col("question_id") < behind)
        judged = judge.judge(block)
        assert judged is not None
        kept.append(judged.kept)
        rejected += judged.rejected
    told = pl.concat([pl.concat(kept), *rejected], how="diagonal_relaxed").sort("question_id", "sample")
    return told.select(sorted(told.columns)), list(judge.results()), asked


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@settings(max_examples=25)
@given(tables())
def test_blocks_of_any_size_tell_what_one_call_tells(steps: Sequence[Step], made: tuple[pl.DataFrame, list[int]]):
    rows, cuts = made
    whole, told, asked = in_blocks(steps, rows, [])
    blocks, told_of_blocks, asked_in_blocks = in_blocks(steps, rows, cuts)
    assert whole.equals(blocks)
    assert [one.stage for one in told_of_blocks] == [one.stage for one in told]
    assert [one.share for one in told_of_blocks] == pytest.approx([one.share for one in told])

    def texts(judge: Judge) -> list[str]:
        return sorted(f"{one.question_id} {one.row_sample} {one.samples} {one.messages}" for one in judge.requests)

    assert texts(asked) == texts(asked_in_blocks)


def test_what_a_budget_left_unasked_is_counted_over_all_blocks():
    limits = SpendingLimits(budget=1.0, out_of_budget=True, reached="the budget of $1.00 is used up")
    called: list[int] = []

    def asks(rows: pl.DataFrame, ctx: Context) -> Verdict:
        called.append(rows.height)
        raise limits.left_out("asks", rows.height)

    behind = context(Judge(grades))
    behind.pool = SimpleNamespace(why_missing=str, limits=limits)
    judge = BlockJudge(
        steps=[rhyming, asks, lambda rows, ctx: pytest.fail("called behind it")],
        contexts=behind,
        stage=lambda name, rows: nullcontext(FunnelLine(name, rows)),
    )
    rows = pl.DataFrame({"question_id": ["a", "b", "b"], "sample": [0, 0, 1], "answer": ["trees", "bees", "seas"]})
    assert judge.judge(rows.head(1)) is judge.judge(rows.tail(2)) is None
    with pytest.raises(LimitReached, match="3 answers of step asks were not asked for"):
        list(judge.results())
    assert (called, limits.missing) == ([1, 2], 3)
    limits.out_of_budget = False  # the hours are over, and nobody waits for a count
    with pytest.raises(LimitReached):
        judge.judge(rows)


def test_the_step_that_the_documentation_shows_chooses_and_tells_the_same_in_blocks():
    (shown,) = (block.text for block in blocks(ROOT / "docs" / "past-one-machine.md") if "by_question" in block.text)
    names: dict[str, Any] = {}
    exec(shown, names)  # noqa: S102  # the page's own
    rows = pl.DataFrame(
        [
            {"question_id": f"q{at:02}", "sample": sample, "answer": "a" * (1 + (at + sample) % 3)}
            for at in range(4)
            for sample in range(3)
        ]
    )
    steps = [names["shortest"]]
    (whole, (told,), _), (parts, (told_of_blocks,), _) = (in_blocks(steps, rows, cuts) for cuts in ([], [1, 3]))
    assert whole.equals(parts)
    assert told.stage == told_of_blocks.stage
    assert told.stage.note == "4 of 12 kept"
    assert told.share == told_of_blocks.share == pytest.approx(1 / 3)


# in a build


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two questions."""
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 8)
    monkeypatch.setattr(answer_blocks, "_ASKED", 5)


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=answering) as teacher:
        yield teacher


def recipe(folder: Path) -> Any:
    source = write_questions(folder / "questions.jsonl", QUESTIONS)
    return small_recipe(source, steps=(Sample(), Parse(), RubricJudge(criteria=TWO, least=2)), samples=4)


def made(folder: Path, teacher: ScriptedTeacher, out: str, **order: Any) -> Run:
    return build(recipe(folder), teacher, folder / out, questions=QUESTIONS, yes=True, **order)


def told(run: Run) -> dict[str, Any]:
    (line,) = (one for one in run.state()["funnel"] if one["step"] == "rubric_judge")
    return {name: value for name, value in line.items() if name != "seconds"}


def test_a_judge_asks_and_tells_in_blocks_what_it_does_at_once(
    tmp_path: Path, teacher: ScriptedTeacher, request: pytest.FixtureRequest
):
    whole = made(tmp_path, teacher, "whole")
    given = given_by_seed(teacher)
    teacher.reset()
    request.getfixturevalue("small_blocks")
    blocks = made(tmp_path, teacher, "blocks")
    assert given_by_seed(teacher) == given
    assert equal(whole, blocks)
    assert told(whole) == told(blocks)
    teacher.reset()
    assert equal(made(tmp_path, teacher, "blocks"), whole)
    assert teacher.stats["requests"] == 0, "what is stored is not asked again"


def test_missing_grades_are_counted_over_all_blocks_and_only_they_are_asked_for_then(
    tmp_path: Path, teacher: ScriptedTeacher, small_blocks: None
):
    grades = 2 * QUESTIONS * 4
    build(recipe(tmp_path).replace(steps=(Sample(), Parse())), teacher, tmp_path / "run", questions=QUESTIONS, yes=True)
    teacher.reset()
    teacher.change(faults=Faults(script=("ok",) * 6 + ("404", "404", "ok") * 200))
    with pytest.raises(TeacherFailed, match=r"the grades of \d+ of 32 answers were not received") as failed:
        made(tmp_path, teacher, "run")
    stored = Run.load(tmp_path / "run").store.answers().filter(step="rubric_judge")
    short = stored.group_by("question_id").len().filter(pl.col("len") < grades // QUESTIONS)
    assert grades // 2 < stored.height < grades
    assert short.height > 2, "the other blocks were asked, too"
    assert int(str(failed.value).split()[3]) <= grades - stored.height
    teacher.change(faults=Faults())
    teacher.reset()
    run = made(tmp_path, teacher, "run")
    assert asked(teacher) == grades - stored.height
    assert equal(run, made(tmp_path, teacher, "whole"))


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each file of a store was read."""
    times: Counter[Path] = Counter()
    read = answer_store.read_parquet

    def noted(path: Path, *arguments: Any) -> pl.DataFrame:
        times[path] += 1
        return read(path, *arguments)

    monkeypatch.setattr(answer_store, "read_parquet", noted)
    return times


def test_a_file_of_stored_grades_is_read_as_often_in_many_blocks_as_in_few(
    tmp_path: Path, teacher: ScriptedTeacher, small_blocks: None, read_files: Counter[Path]
):
    chosen = recipe(tmp_path).replace(source=write_questions(tmp_path / "many.jsonl", 3 * QUESTIONS))
    times, more_blocks = [], QUESTIONS
    for questions in (QUESTIONS, 3 * QUESTIONS):
        out = tmp_path / str(questions)
        build(chosen, teacher, out, questions=questions, yes=True)
        teacher.reset()
        read_files.clear()
        build(chosen, teacher, out, questions=questions, yes=True)
        assert teacher.stats["requests"] == 0
        grades = [path for path in read_files if "rubric_judge" in pl.read_parquet(path)["step"]]
        assert len(grades) >= questions // 2
        times.append(median(read_files[path] for path in grades))  # the pilot's are of questions of several blocks
    assert times[1] - times[0] < more_blocks
