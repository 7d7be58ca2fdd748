"""A recipe with several wordings: the column, how each fares, and that a recipe without them is as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import asked, build, equal, write_questions
from tests.commands import Command
from tunixhack import Parse, Sample, Verdict, Verify, Wording
from tunixhack.errors import UserError
from tunixhack.pipeline import answer_blocks
from tunixhack.recipe import Recipe
from tunixhack.recipes import general
from tunixhack.runs.run import Run
from tunixhack.teachers.wordings import wording_of
from tunixhack.testing import ScriptedTeacher

WORDINGS = (Wording(name="plain"), Wording(name="curt", after="Be curt."))


def curt_is_wrong(messages: list[dict[str, Any]], seed: int) -> str:
    if "Be curt." in messages[-1]["content"]:
        return f"<reasoning>Hm.</reasoning><answer>{'green' if seed % 2 else 'blue'}.</answer>"
    return "<reasoning>Look up, on a clear day.</reasoning><answer>It is blue.</answer>"


def reached(row: Any) -> bool:
    return row["reference"] in row["answer"]


def counts_wordings(rows: pl.DataFrame, ctx: Any) -> Verdict:
    assert rows["wording"].null_count() == 0
    return Verdict(keep=pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True))


counts_wordings.reads = ("wording",)  # type: ignore[attr-defined]
counts_wordings.by_question = True  # type: ignore[attr-defined]


@pytest.fixture
def sky(tmp_path: Path) -> Recipe:
    rows = [{"question": f"Which colour has the sky on day {day}?", "reference": "blue"} for day in range(12)]
    return general.recipe.replace(
        source=write_questions(tmp_path / "sky.jsonl", rows),
        steps=(Sample(), Parse(), counts_wordings, Verify(reached)),
        samples=4,
        trace="written",
        against="none",
        wordings=WORDINGS,
    )


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=curt_is_wrong) as one:
        yield one


def test_each_answer_has_its_wording_and_the_record_and_card_say_how_each_fares(
    sky: Recipe, teacher: ScriptedTeacher, tmp_path: Path, tunixhack: Command, monkeypatch: pytest.MonkeyPatch
):
    run = build(sky, teacher, tmp_path / "run", questions=12, yes=True)
    both = pl.concat([run.train, run.rejected], how="diagonal_relaxed")
    for question, wording in both.select("question_id", "wording").iter_rows():
        drawn = wording_of({"question_id": question}, WORDINGS)
        assert drawn is not None
        assert drawn.name == wording
    plain, curt = run.state()["wordings"]
    assert plain["questions"] + curt["questions"] == 12
    assert plain["kept"] == plain["right"] == plain["received"] == 4 * plain["questions"]
    assert curt["right"] == curt["kept"] == 2 * curt["questions"]
    assert curt["tokens"] < plain["tokens"]
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert f"curt: {curt['kept']} of {curt['received']} answers kept (50 %)" in card
    shown = tunixhack("show", str(run.folder), "--samples", "0")
    assert "wording plain:" in shown.out
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 7)
    before, told = asked(teacher), run.state()["wordings"]
    blocks = build(sky, teacher, tmp_path / "blocks", questions=12, yes=True)
    assert asked(teacher) == 2 * before
    assert equal(blocks, run)
    assert blocks.state()["wordings"] == told
    assert json.loads(tunixhack("show", str(run.folder), "--json").out)["wordings"] == [plain, curt]

    teacher.reset()
    again = build(sky.replace(steps=(Sample(), Parse())), teacher, run.folder, questions=12)
    assert teacher.stats["requests"] == 0
    assert [line["right"] for line in again.state()["wordings"]] == [None, None]


def test_another_wording_asks_only_the_questions_that_it_is_drawn_for(
    sky: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    first = build(sky, teacher, tmp_path / "run", questions=12, yes=True)
    teacher.reset()
    more = sky.replace(wordings=(*WORDINGS, Wording(name="kind", before="Please.")))
    with pytest.raises(UserError, match="--ask-again"):
        build(more, teacher, first.folder, questions=12, yes=True)
    run = build(more, teacher, tmp_path / "more", questions=12, yes=True, reuse=[first])
    kind = pl.concat([run.train, run.rejected], how="diagonal_relaxed").filter(wording="kind")
    assert 0 < kind["question_id"].n_unique() < 12
    assert asked(teacher) == 4 * kind["question_id"].n_unique()


def test_a_recipe_without_wordings_has_no_column_and_the_same_requests(
    sky: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    steps = (Sample(), Parse())
    bare = build(sky.replace(wordings=(), steps=steps), teacher, tmp_path / "bare", yes=True)
    assert "wording" not in bare.train.columns
    assert "wordings" not in bare.state()
    same = build(sky.replace(wordings=(Wording(name="plain"),), steps=steps), teacher, tmp_path / "same", yes=True)
    assert same.train["request_key"].to_list() == bare.train["request_key"].to_list()
    with pytest.raises(UserError, match="reads the column wording"):
        build(sky.replace(wordings=()), teacher, tmp_path / "reads")


def test_a_damaged_record_of_wordings_is_refused(sky: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(sky, teacher, tmp_path / "run", yes=True)
    state = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    state["wordings"][0]["kept"] = "many"
    (run.folder / "run.json").write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(UserError, match=r"run\.json"):
        Run.load(run.folder)
