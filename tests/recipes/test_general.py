"""General tasks: a brief for each of dolly's eight categories, guided where the reference settles what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builds import build
from tunixhack.recipes import general
from tunixhack.teachers.category_briefs import ASSISTANT_BRIEFS
from tunixhack.testing import ScriptedTeacher

EIGHT = {
    "brainstorming",
    "classification",
    "closed_qa",
    "creative_writing",
    "general_qa",
    "information_extraction",
    "open_qa",
    "summarization",
}
ROW: dict[str, Any] = {"question": "Who?", "context": None, "category": "open_qa", "reference": "Ada."}


def test_every_category_has_a_brief_of_its_own():
    assert set(ASSISTANT_BRIEFS) == EIGHT
    assert len(set(ASSISTANT_BRIEFS.values())) == 8


@pytest.mark.parametrize("category", sorted(EIGHT))
def test_the_teacher_gets_the_categorys_brief_and_the_context_behind_the_task(category: str):
    llm = general.GeneralTasks("any", trace="native")
    system, user = llm.render(ROW | {"category": category, "context": "Ada wrote it."})
    assert system == {"role": "system", "content": ASSISTANT_BRIEFS[category]}
    assert user == {"role": "user", "content": "Who?\n\nAda wrote it."}
    assert llm.render(ROW | {"category": category})[1]["content"] == "Who?"


@pytest.mark.parametrize("category", [None, "riddles"])
def test_a_question_of_no_known_category_gets_the_brief_of_general_questions(category: str | None):
    system, _ = general.GeneralTasks("any", trace="native").render(ROW | {"category": category})
    assert system["content"] == ASSISTANT_BRIEFS["general_qa"]


@pytest.mark.parametrize("category", sorted(EIGHT))
def test_the_reference_guides_open_questions_and_classification_only(category: str):
    llm = general.GeneralTasks("any", trace="guided")
    row = ROW | {"category": category}
    guided = category in ("open_qa", "classification")
    assert ("Reference: Ada." in llm.render(row)[0]["content"]) == guided
    assert llm.trace_of(row) == ("guided" if guided else "written")


def test_an_answer_row_says_which_trace_it_really_has():
    llm = general.GeneralTasks("any", trace="guided")
    choice = {"message": {"content": "<reasoning>r</reasoning><answer>a</answer>"}, "finish_reason": "stop"}
    for category, trace in (("open_qa", "guided"), ("closed_qa", "written")):
        (row,) = llm.parse(ROW | {"category": category}, {"choices": [choice]})
        assert (row["trace"], row["answer"]) == (trace, "a")


def test_a_build_tells_traces_apart_and_counts_by_category(teacher: ScriptedTeacher, tmp_path: Path):
    run = build(general.recipe.replace(source="shipped", samples=2), teacher, tmp_path / "run", questions=None)
    train = run.train
    for trace, category in train.select("trace", "category").iter_rows():
        assert trace == ("guided" if category in general.GeneralTasks.guided else "written")
    assert set(train["category"]) == EIGHT
    (line,) = run.funnel.filter(step="by_category").to_dicts()
    for category in EIGHT:
        rows = train.filter(category=category)
        assert f"{category} {rows.height} rows, {rows['max_length_length'].sum():,} characters" in line["note"]


def test_the_shipped_questions_have_three_of_each_category():
    rows = general.recipe.replace(source="shipped").source.load("general").rows
    assert rows.height == 24
    assert dict(rows["category"].value_counts().iter_rows()) == dict.fromkeys(EIGHT, 3)
    assert rows["reference"].null_count() == 0


def test_dolly_is_read_whole(shared_data: Path):
    file = shared_data / "databricks-dolly-15k" / "train.jsonl"
    loaded = general.recipe.replace(source=file).source.load("general")
    assert loaded.rejected.is_empty()
    assert loaded.rows.height == 75
    assert loaded.resolved["columns"] == "own"
    assert set(loaded.rows["category"]) <= EIGHT
    assert loaded.rows.filter(category="closed_qa")["context"].null_count() == 0
    assert loaded.rows.filter(category="open_qa")["context"].null_count() == 40
    llm = general.GeneralTasks("any", trace="guided")
    for row in loaded.rows.iter_rows(named=True):
        llm.render(row)
