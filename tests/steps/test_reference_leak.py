"""Guided answers that give the hidden reference away are rejected, and innocent ones rarely are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import build
from tunixhack.errors import UserError
from tunixhack.recipes import science
from tunixhack.steps.base import Context, judge
from tunixhack.steps.reference_leak import PATTERNS, GivesAway, find_leak
from tunixhack.testing import ScriptedTeacher

SENTENCES = Path(__file__).with_name("leak_sentences.jsonl")
ROW: dict[str, Any] = {
    "trace": "guided",
    "question": "What do plants take in?",
    "context": None,
    "reasoning": "They need a gas.",
    "answer": "Carbon dioxide.",
}
SCHEMA = dict.fromkeys(ROW, pl.String)


def rejected(**change: Any) -> list[dict[str, Any]]:
    """The evidence for one row with something changed; empty if it is kept."""
    rows = pl.DataFrame([ROW | change], schema=SCHEMA)
    table = judge(GivesAway(), rows, GivesAway()(rows, Context())).rejected
    assert set(table["reason"]) <= {"gives_away_reference"}
    assert set(table["step"]) <= {"gives_away"}
    return [json.loads(evidence) for evidence in table["evidence"]]


def test_recall_and_false_alarms_are_those_of_the_docstring():
    sentences = [json.loads(line) for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    assert len({one["sentence"] for one in sentences}) == 100
    telling = [one["sentence"] for one in sentences if one["gives_away"]]
    innocent = [one["sentence"] for one in sentences if not one["gives_away"]]
    assert len(telling) == len(innocent) == 50
    recall = sum(find_leak(sentence) is not None for sentence in telling) / 50
    alarms = sum(find_leak(sentence) is not None for sentence in innocent) / 50
    assert recall >= 0.92
    assert alarms <= 0.02
    assert f"recall {recall:.2f}" in (GivesAway.__doc__ or "")
    assert f"({alarms:.2f})" in (GivesAway.__doc__ or "")


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_is_the_first_to_find_some_sentence(name: str):
    sentences = [json.loads(line)["sentence"] for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    found = {leak.pattern for sentence in sentences if (leak := find_leak(sentence))}
    assert name in found


@pytest.mark.parametrize("where", ["reasoning", "answer"])
def test_the_evidence_names_the_pattern_the_words_and_where_they_stand(where: str):
    text = "So it is, as the\nREFERENCE  answer has it."
    assert rejected(**{where: text}) == [{"pattern": "provided answer", "text": "REFERENCE  answer", "where": where}]


def test_the_reasoning_is_shown_where_both_give_away():
    (evidence,) = rejected(reasoning="The hint says gas.", answer="The provided answer is a gas.")
    assert evidence == {"pattern": "hint", "text": "The hint says", "where": "reasoning"}


@pytest.mark.parametrize("trace", ["native", "written"])
def test_a_teacher_that_was_shown_nothing_gives_nothing_away(trace: str):
    assert rejected(trace=trace, reasoning="The provided answer is dull.") == []
    assert rejected(reasoning="The provided answer is dull.") != []


def test_a_text_may_be_cited_where_the_student_was_shown_one():
    says = {"reasoning": "The passage states that gas is needed."}
    assert rejected(**says) != []
    assert rejected(**says, context=" ") != []
    assert rejected(**says, context="Plants need gas.") == []
    assert rejected(reasoning="The reference says gas.", context="Plants need gas.") != []


def test_words_of_the_question_itself_are_no_leak_and_hide_no_other():
    asks = {"question": "Is the expected answer of a poll a bias?"}
    assert rejected(**asks, reasoning="The Expected  Answer of a poll is.") == []
    (evidence,) = rejected(**asks, reasoning="The expected answer is. The official answer agrees.")
    assert evidence["text"] == "official answer"


def test_rows_keep_their_order():
    rows = pl.DataFrame([ROW, ROW | {"trace": "written"}, ROW | {"answer": "See the answer key."}, ROW], schema=SCHEMA)
    assert GivesAway()(rows, Context()).keep.to_list() == [True, True, False, True]
    assert GivesAway()(rows.clear(), Context()).keep.to_list() == []


def test_it_needs_parsed_rows():
    rows = pl.DataFrame([ROW | {"reasoning": None}], schema=SCHEMA)
    with pytest.raises(UserError, match=r"row 0 .* has no reasoning: parse first"):
        GivesAway()(rows, Context())


@given(st.text(), st.text(), st.none() | st.text())
def test_any_text_is_judged(text: str, question: str, context: str | None):
    leak = find_leak(text, question, context)
    assert leak is None or (leak.pattern in PATTERNS and leak.text in text)


@pytest.mark.parametrize("piece", ["the provided ", "answer ", "   ", "the support ", "as if I "])
def test_a_long_text_of_nearly_a_leak_is_looked_through(piece: str):
    """A pattern that went back over it for each of its places would need hours, and pytest gives a test minutes."""
    assert find_leak(piece * 100_000) is None


def test_a_guided_build_rejects_what_gives_the_reference_away(tmp_path: Path):
    def say(messages: list[dict[str, Any]], seed: int) -> str:
        aside = "The reference says so." if seed % 2 else "It follows."
        return f"<reasoning>{aside} Number {seed}.</reasoning><answer>Yes.</answer>"

    with ScriptedTeacher(answer=say) as teacher:
        run = build(science.recipe.replace(source="shipped", samples=4), teacher, tmp_path / "run", questions=4)
    assert run.train.height == 8
    assert not run.train["reasoning"].str.contains("reference").any()
    given_away = run.rejected.filter(step="gives_away")
    assert given_away["reason"].to_list() == ["gives_away_reference"] * 8
    assert json.loads(given_away["evidence"][0])["pattern"] == "the reference"
