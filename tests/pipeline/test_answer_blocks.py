"""A large build, judged block by block, ends as one that has all answers in memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

import tunixhack
from tests.builds import asked, build, equal, small_recipe, write_questions
from tunixhack import DedupAnswers, ExactDedup, GivesAway, MajorityVote, MaxLength, Parse, RubricJudge, Sample, Verify
from tunixhack.errors import NearlyAllDropped, TeacherFailed
from tunixhack.pipeline import answer_blocks
from tunixhack.pipeline.answer_blocks import in_blocks
from tunixhack.runs import tables
from tunixhack.runs.run import Run
from tunixhack.runs.tables import table_files
from tunixhack.steps.base import Context, Verdict, by_question
from tunixhack.testing import Faults, ScriptedTeacher

STEPS = (ExactDedup(), Sample(), Parse(), DedupAnswers(), MaxLength(characters=560))
QUESTIONS = 30


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few questions, and files of a few rows."""
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 16)
    monkeypatch.setattr(answer_blocks, "_ASKED", 7)
    monkeypatch.setattr(answer_blocks, "_HELD", 5000)
    monkeypatch.setattr(tables, "MOST_BYTES", 20_000)


def recipe(folder: Path) -> Any:
    rows = [{"question": f"Write {n} lines about rain.", "reference": str(n)} for n in range(QUESTIONS + 4)]
    rows += [{"question": "WRITE 3 lines about  rain."}, {"question": " "}]
    return small_recipe(write_questions(folder / "questions.jsonl", rows), steps=STEPS)


def funnel(run: Run) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in run.state()["funnel"]]


def ended(chosen: Any, teacher: ScriptedTeacher, out: Path, **order: Any) -> Run:
    """Build, also where nearly everything is dropped."""
    with suppress(NearlyAllDropped):
        build(chosen, teacher, out, questions=QUESTIONS, yes=True, **order)
    return Run.load(out)


def test_blocks_end_as_the_whole_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any):
    with ScriptedTeacher(faults=Faults(truncated=0.2)) as teacher:
        whole = build(recipe(tmp_path), teacher, tmp_path / "whole", questions=QUESTIONS, yes=True)
        request.getfixturevalue("small_blocks")
        before = asked(teacher)
        blocks = build(recipe(tmp_path), teacher, tmp_path / "blocks", questions=QUESTIONS, yes=True)
        assert asked(teacher) == 2 * before
        again = build(recipe(tmp_path), teacher, tmp_path / "whole", questions=QUESTIONS, yes=True)
        assert asked(teacher) == 2 * before, "what is stored is not asked again"
    assert whole.rejected["reason"].n_unique() >= 3
    assert len(table_files(blocks.folder, "train")) > 1
    assert equal(whole, blocks)
    assert equal(whole, again)
    assert funnel(whole) == funnel(blocks)
    card = (blocks.folder / "README.md").read_text(encoding="utf-8")
    assert 'path: "train-*.parquet"' in card
    assert not list(blocks.folder.glob(".blocks*"))


@pytest.mark.parametrize(
    "judges",
    [
        (Verify(),),
        (Verify(lambda row: len(row["answer"]) % 3 > 0), MajorityVote(lambda text: len(text) % 2), GivesAway()),
    ],
    ids=["by-reference", "by-functions"],
)
def test_every_step_that_judges_by_question_tells_in_blocks_what_it_tells_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any, judges: Any
):
    held: list[int] = []

    def spy(rows: pl.DataFrame, ctx: Context) -> Verdict:
        held.append(rows.height)
        return Verdict(keep=rows["sample"] >= 0)

    spy.by_question = True  # type: ignore[attr-defined]
    with ScriptedTeacher() as teacher:
        chosen = recipe(tmp_path).replace(steps=(Sample(), Parse(), spy, *judges))
        whole = ended(chosen, teacher, tmp_path / "whole")
        assert max(held) == QUESTIONS * 4
        request.getfixturevalue("small_blocks")
        held.clear()
        blocks = ended(chosen, teacher, tmp_path / "blocks")
    assert max(held) <= answer_blocks.MOST_ANSWERS
    assert equal(whole, blocks)
    assert funnel(whole) == funnel(blocks)
    assert whole.state()["why"] == blocks.state()["why"]


def test_the_order_in_the_files_is_that_of_the_whole(tmp_path: Path, small_blocks: None):
    with ScriptedTeacher() as teacher:
        run = build(recipe(tmp_path), teacher, tmp_path / "run", questions=QUESTIONS, yes=True)
    for table, keys in ((run.train, ["question_id", "sample"]), (run.rejected, ["question_id", "sample", "step"])):
        assert table.equals(table.sort(keys, maintain_order=True))
    assert run.kept == run.train.height == len(run.dataset)
    assert pl.concat(run.train_parts()).equals(run.train)


def test_what_was_not_received_is_asked_at_the_next_start(
    tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(answer_blocks, "_ASKED", 1000)  # a teacher that refuses is given up after so many requests
    faults = Faults(script=("ok",) * 40 + ("404",) * 400)
    with ScriptedTeacher(faults=faults) as teacher:
        with pytest.raises(TeacherFailed):
            build(recipe(tmp_path), teacher, tmp_path / "run", questions=QUESTIONS, yes=True)
        teacher.change(faults=Faults())
        run = build(recipe(tmp_path), teacher, tmp_path / "run", questions=QUESTIONS, yes=True)
        whole = build(recipe(tmp_path), teacher, tmp_path / "whole", questions=QUESTIONS, yes=True)
    assert run.done
    assert equal(run, whole)


def test_a_step_that_does_not_say_that_it_judges_by_question_is_given_all_answers(tmp_path: Path, small_blocks: None):
    seen: list[int] = []

    class Mine:
        name: ClassVar[str] = "mine"

        def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
            seen.append(rows.height)
            return Verdict(keep=rows["sample"] >= 0)

    with ScriptedTeacher() as teacher:
        chosen = recipe(tmp_path).replace(steps=(Sample(), Mine()))
        build(chosen, teacher, tmp_path / "run", questions=QUESTIONS, yes=True)
    assert max(seen) == QUESTIONS * 4


@pytest.mark.parametrize("name", tunixhack.__all__)
def test_every_step_on_answers_of_the_package_judges_by_question(name: str):
    found = getattr(tunixhack, name)
    assert getattr(found, "stage", None) != "answers" or by_question(found)


def test_only_many_answers_are_judged_in_blocks():
    assert not in_blocks(Sample(), [Parse()], answer_blocks.MOST_ANSWERS)
    assert in_blocks(Sample(), [Parse(), MaxLength()], answer_blocks.MOST_ANSWERS + 1)
    assert not in_blocks(Sample(), [Parse(), lambda rows, ctx: rows], answer_blocks.MOST_ANSWERS + 1)


def test_a_judge_that_asks_in_batches_asks_for_all_its_grades_together(small_blocks: None):
    assert in_blocks(Sample(), [RubricJudge()], 17)
    assert not in_blocks(Sample(), [RubricJudge()], 17, batch=True)
    assert not in_blocks(Sample(), [RubricJudge(teacher="http://127.0.0.1:1/v1", second="openai/a")], 17, batch=True)
    assert in_blocks(Sample(), [RubricJudge(teacher="http://127.0.0.1:1/v1", second="ollama/a")], 17, batch=True)
    assert in_blocks(Sample(), [Parse()], 17, batch=True)
