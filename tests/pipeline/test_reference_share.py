"""How many answers reach the source's own, and that no answer is dropped for it."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tunixhack._util.proportions import wilson
from tunixhack.pipeline.reference_share import MOST_DISPUTED, ReferenceShare, reference_share
from tunixhack.runs.sentences import reference_share_sentence
from tunixhack.steps.parse import Parse
from tunixhack.steps.verify import Labels, Verify
from tunixhack.verifiers import reference_match as right_module
from tunixhack.verifiers.math import Claim

SCHEMA = {
    "question_id": pl.String, "sample": pl.Int64, "trace": pl.String, "question": pl.String,
    "reference": pl.String, "answer": pl.String, "step": pl.String,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _reads_numbers(monkeypatch: pytest.MonkeyPatch):
    """Have math-verify take the first of two numbers, where ours takes the last."""

    def claims(pairs):
        return [Claim(reference == answer.split()[0] if answer[:1].isdigit() else None) for reference, answer in pairs]

    monkeypatch.setattr(right_module, "claims", claims)


def rows(*answers: tuple[str | None, str | None] | dict[str, Any], **common: Any) -> pl.DataFrame:
    known = [one if isinstance(one, dict) else {"reference": one[0], "answer": one[1]} for one in answers]
    filled = [
        {"question_id": f"q{at}", "sample": 0, "trace": "written", "question": "?", **common, **one}
        for at, one in enumerate(known)
    ]
    return pl.DataFrame(filled, schema=SCHEMA)


def test_answers_received_and_kept_are_counted_with_their_intervals():
    kept = rows(("4", "It is 4."), ("4", "It is 5."), ("dipoles", "Dipoles."), (None, "4"), ("a b c d e f g", "4"))
    rejected = rows(("4", "It is 4."), step="budget")
    found = reference_share(kept, rejected, (Parse(),))
    assert found is not None
    low, high = wilson(3, 4)
    assert found["received"] == {"count": 3, "of": 4, "low": round(low, 4), "high": round(high, 4)}
    assert (found["kept"]["count"], found["kept"]["of"]) == (2, 3)
    assert found["read_by"] == {"plain": 4}
    assert reference_share_sentence(found).startswith(
        "right by the reference: 3 of 4 answers received (75 %; 30 to 95 %), 2 of 3 kept"
    )


def test_what_does_not_parse_is_not_right_and_what_is_no_answer_counts_nowhere():
    rejected = rows(
        {"reference": "4", "answer": "4", "step": "parse"},  # withheld, though it reads whole
        {"reference": "4", "answer": None, "step": "parse"},
        {"reference": "4", "answer": "4", "step": "exact_dedup", "sample": None},  # a question
    )
    found = reference_share(rows(("4", "4")), rejected, ())
    assert found is not None
    assert (found["received"]["count"], found["received"]["of"]) == (1, 3)
    assert found["kept"]["of"] == 1


def test_answers_of_teachers_that_were_shown_the_reference_count_nowhere():
    assert reference_share(rows(("4", "4"), trace="guided"), rows(), ()) is None
    assert reference_share(rows((None, "4")), rows(), ()) is None
    assert reference_share(rows(), rows(), ()) is None
    assert reference_share(pl.DataFrame({"question": ["?"]}), rows(), ()) is None


def test_both_claims_are_kept_where_two_readers_differ():
    answers = [("4", "5 or 4")] * (MOST_DISPUTED + 5)
    found = reference_share(rows(*answers, ("4", "4")), rows(), ())
    assert found is not None
    assert found["disputed"] == MOST_DISPUTED + 5
    assert len(found["disputes"]) == MOST_DISPUTED
    assert found["disputes"][0] == {
        "question_id": "q0", "sample": 0, "reference": "4", "answer": "5 or 4", "math_verify": False, "plain": True,
    }  # fmt: skip
    assert "of 25, two readers judge differently" in reference_share_sentence(found)


def test_a_recipe_that_verifies_says_itself_what_is_right():
    kept = rows(("Yes", "Yes, it is."), ("No", "Yes."), ("Perhaps", "Yes."))
    found = reference_share(kept, rows(), (Parse(), Verify(Labels(("Yes", "No")))))
    assert found is not None
    assert (found["received"]["count"], found["received"]["of"]) == (1, 2)
    assert found["read_by"] == {"verify": 2}


def test_parts_of_the_tables_count_as_the_whole_does():
    kept, rejected = rows(*[("4", "5 or 4")] * 30, ("4", "5")), rows(("4", "7"), ("4", "5 or 4"), step="budget")
    share = ReferenceShare(())
    share.add(kept.head(7), rejected.head(1))
    share.add(kept.slice(7), rejected.slice(1))
    assert share.told() == reference_share(kept, rejected, ())
