"""A vote keeps what most answers to a question claim: whatever the order, and nothing in a tie."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack import Context, Labels, MajorityVote
from tunixhack.errors import UserError
from tunixhack.steps.base import Judged, judge

SCHEMA = {"question_id": pl.String, "sample": pl.Int64, "question": pl.String, "answer": pl.String}


def judged(rows: list[tuple[str, int, str]], step: MajorityVote) -> Judged:
    table = pl.DataFrame([(one, sample, "?", answer) for one, sample, answer in rows], schema=SCHEMA, orient="row")
    return judge(step, table, step(table, Context()))


def reasons(answers: list[str], step: MajorityVote) -> list[str | None]:
    found = judged([("q", sample, answer) for sample, answer in enumerate(answers)], step)
    told: dict[int, str | None] = dict.fromkeys(found.kept["sample"])
    told |= dict(found.rejected.select("sample", "reason").iter_rows())
    return [told[sample] for sample in range(len(answers))]


def letter(text: str) -> str | None:
    return text if text in "ABC" and text else None


@st.composite
def answers(draw: st.DrawFn) -> list[tuple[str, int, str]]:
    keys = draw(st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 15)), unique=True, max_size=20))
    return [(*key, draw(st.sampled_from(["A", "B", "C", "?"]))) for key in keys]


@given(answers(), st.sampled_from([0.0, 0.5, 1.0]), st.randoms(use_true_random=False))
def test_the_most_frequent_claim_of_each_question_is_kept_in_any_order(
    rows: list[tuple[str, int, str]], least: float, random: Any
) -> None:
    step = MajorityVote(letter, min_share=least)
    found = judged(rows, step)
    for question in {row[0] for row in rows}:
        of_question = [row for row in rows if row[0] == question]
        votes = Counter(row[2] for row in of_question if row[2] != "?").most_common()
        wins = votes[:1] if len(votes) < 2 or votes[0][1] > votes[1][1] else []
        wanted = [claim for claim, count in wins if count / len(of_question) >= least]
        kept = found.kept.filter(question_id=question)
        assert set(kept["answer"]) == set(wanted)
        assert kept.height == sum(row[2] in wanted for row in of_question)
        shares = pl.concat([found.kept, found.rejected.select(found.kept.columns)]).filter(question_id=question)
        for claim, share in shares.select("vote_claim", "vote_share").iter_rows():
            assert share == (None if claim is None else dict(votes)[claim] / len(of_question))
    again = list(rows)
    random.shuffle(again)
    assert set(judged(again, step).kept.rows()) == set(found.kept.rows())


def test_every_rejected_answer_has_its_reason():
    assert reasons(["4", "It is 4.", "5", "I am not sure about any of that."], MajorityVote()) == [
        None,
        None,
        "outvoted",
        "no_claim",
    ]
    assert reasons(["4", "5", "4", "5", "6"], MajorityVote()) == ["tie", "tie", "tie", "tie", "outvoted"]
    assert reasons(["4", "4", "5", "6", "7"], MajorityVote(min_share=0.5)) == ["no_majority"] * 2 + ["outvoted"] * 3


def test_equal_values_agree_and_the_evidence_counts_the_votes():
    rows = [("q", 0, "It is 1/2."), ("q", 1, "0.5"), ("q", 2, "2")]
    found = judged(rows, MajorityVote())
    assert found.kept["vote_share"].to_list() == [2 / 3, 2 / 3]
    assert found.rejected["vote_share"].to_list() == [1 / 3]
    assert json.loads(found.rejected["evidence"][0]) == {"answers": 3, "claimed": "2", "most_votes": 2}


def test_labels_are_read_by_a_function_and_its_claims_need_not_be_texts():
    assert reasons(["Yes, it is.", "yes", "No."], MajorityVote(Labels(("Yes", "No")))) == [None, None, "outvoted"]
    assert reasons(["a b", "b a", "a"], MajorityVote(lambda text: sorted(text.split()))) == [None, None, "outvoted"]  # type: ignore[arg-type,return-value]


def test_what_is_no_reader_or_no_share_is_refused():
    with pytest.raises(UserError, match="function of an answer's text"):
        MajorityVote("4")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="share from 0 to 1"):
        MajorityVote(min_share=2)
    with pytest.raises(UserError, match="question q, sample 0"):
        reasons(["4"], MajorityVote(lambda text: text.missing))  # type: ignore[attr-defined]
