"""Preference pairs: better over worse, no answer twice, no equal texts, nested, and the length is told."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.formats import FORMATS
from tunixhack.runs.preference_pairs import COLUMNS, PAIR_FORMATS, PairOptions, preference_pairs

SCHEMA = {
    "question_id": pl.String,
    "sample": pl.Int64,
    "question": pl.String,
    "context": pl.String,
    "reasoning": pl.String,
    "answer": pl.String,
    "step": pl.String,
    "verify_correct": pl.Boolean,
    "vote_share": pl.Float64,
    "vote_claim": pl.String,
    "rubric_score": pl.Float64,
}


def row(question: str, sample: int, answer: str | None, step: str | None = None, **columns: Any) -> dict[str, Any]:
    asked = {"question": f"{question}?", "context": None, "reasoning": "So it is.", "answer": answer, "step": step}
    return dict.fromkeys(SCHEMA) | {"question_id": question, "sample": sample} | asked | columns


def pairs(rows: list[dict[str, Any]], by: Any = "verify", *, without: tuple[str, ...] = (), **options: Any) -> Any:
    table = pl.DataFrame(rows, schema=SCHEMA).drop(without)
    kept, dropped = table.filter(pl.col("step").is_null()).drop("step"), table.filter(pl.col("step").is_not_null())
    return preference_pairs(kept, dropped, PairOptions(by=by, **options), seed=0)


def samples(found: Any) -> list[tuple[str, int, int]]:
    return [(one["question_id"], one["chosen_sample"], one["rejected_sample"]) for one in found.rows]


def verified(question: str, right: str) -> list[dict[str, Any]]:
    """Answers, right or wrong by a letter: ``r`` is kept, ``w`` wrong, ``x`` right and dropped by another step."""
    told = {"r": (None, True), "w": ("verify", False), "x": ("max_length", True)}
    return [
        row(question, at, f"{at}", told[letter][0], verify_correct=told[letter][1]) for at, letter in enumerate(right)
    ]


def test_a_right_answer_goes_before_a_wrong_one_that_was_rejected():
    found = pairs(verified("q", "wrxw"))
    assert samples(found) == [("q", 1, 0)]
    (one,) = found.rows
    assert tuple(one) == COLUMNS
    assert one["prompt"] == [{"role": "user", "content": "q?"}]
    text = "<reasoning>So it is.</reasoning>\n<answer>1</answer>"
    assert one["chosen"] == [{"role": "assistant", "content": text}]
    assert one["rejected"][0]["content"] == text.replace("1<", "0<")
    assert one["why"] == "verify_correct: true over false"


@pytest.mark.parametrize("format", PAIR_FORMATS)
def test_both_sides_are_read_back_by_the_format(format: str):
    (one,) = pairs(verified("q", "rw"), format=format).rows
    read = [FORMATS[format].read({"messages": one["prompt"] + one[side]}) for side in ("chosen", "rejected")]
    assert read == [("q?", "So it is.", "0"), ("q?", "So it is.", "1")]


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from("pqrs"), st.text("rwx", max_size=10)), st.integers(1, 4))
def test_pairs_of_verified_answers_are_nested_and_use_no_answer_twice(told: dict[str, str], most: int):
    rows = [one for question, letters in told.items() for one in verified(question, letters)]
    few, more = samples(pairs(rows, per_question=most)), samples(pairs(rows, per_question=most + 1))
    assert set(few) <= set(more)
    for question, letters in told.items():
        mine = [pair for pair in few if pair[0] == question]
        assert len(mine) == min(most, letters.count("r"), letters.count("w"))
        assert len({sample for _, *both in mine for sample in both}) == 2 * len(mine)
        assert all((letters[chosen], letters[other]) == ("r", "w") for _, chosen, other in mine)
    assert samples(pairs(rows[::-1], per_question=most)) == few, "the order of the rows does not matter"


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, None]), max_size=10), st.sampled_from([0.0, 0.5]))
def test_scores_pair_the_best_with_the_worst_beyond_a_margin(scores: list[float | None], margin: float):
    rows = [row("q", at, f"{at}", rubric_score=score) for at, score in enumerate(scores)]
    found = samples(pairs(rows, "judge", per_question=9, margin=margin))
    known = sorted(score for score in scores if score is not None)
    gaps = [scores[chosen] - scores[other] for _, chosen, other in found]  # type: ignore[operator]
    assert all(gap > 0 and gap >= margin for gap in gaps)
    assert gaps == sorted(gaps, reverse=True)
    assert bool(found) is bool(known and known[-1] - known[0] > 0 and known[-1] - known[0] >= margin)


def test_what_is_no_whole_answer_or_holds_the_tags_is_in_no_pair():
    rows = [
        row("q", 0, "4", verify_correct=True),
        row("q", 1, None, "parse"),
        row("q", 2, "5", "parse", verify_correct=False),
        row("q", 3, "<answer>5</answer>", "verify", verify_correct=False),
        row("q", 4, "6", "verify", verify_correct=False),
    ]
    assert samples(pairs(rows, per_question=9)) == [("q", 0, 4)]
    assert samples(pairs(rows, format="think")) == [("q", 0, 3)]


def test_equal_replies_make_no_pair():
    rows = [row("q", 0, "4", rubric_score=1.0), row("q", 1, "4", rubric_score=0.0), row("q", 2, "5", rubric_score=0.5)]
    assert samples(pairs(rows, "judge", per_question=9)) == [("q", 0, 2)]


def test_votes_go_before_other_claims_and_the_shorter_answer_before_the_longer():
    votes = [("4", 0.5), ("4.0", 0.5), ("5", 0.25), ("no", None)]
    rows = [
        row("q", at, claim, None if share == 0.5 else "vote", vote_share=share, vote_claim=claim[:1] if share else None)
        for at, (claim, share) in enumerate(votes)
    ]
    assert samples(pairs(rows, "vote", per_question=9)) == [("q", 0, 2)]
    lengths = [row("q", at, "x" * size) for at, size in enumerate([5, 2, 9])]
    (found,) = pairs(lengths, "length").rows
    assert (found["chosen_sample"], found["rejected_sample"], found["why"]) == (1, 2, "characters: 11 over 18")


@pytest.mark.parametrize(("right", "wrong", "told"), [(9, 1, "in 100%"), (1, 9, "in 0%"), (5, 5, None)])
def test_a_set_in_which_one_side_is_nearly_always_longer_says_so(right: int, wrong: int, told: str | None):
    rows = [
        row(f"q{at}", sample, "xy"[sample] * size, step, verify_correct=step is None)
        for at in range(10)
        for sample, (size, step) in enumerate([(right, None), (wrong, "verify")])
    ]
    sentences = pairs(rows).sentences()
    assert sentences[0] == "10 pairs of 10 questions, of 10"
    assert [told in one for one in sentences[1:]] == ([] if told is None else [True])


def test_pairs_by_length_differ_in_length_by_intent():
    assert pairs([row("q", at, "x" * size) for at, size in enumerate([5, 2])], "length").sentences() == [
        "1 pair of 1 question, of 1"
    ]


@pytest.mark.parametrize(
    ("by", "without", "options", "says"),
    [
        ("verify", ("verify_correct",), {}, r"add Verify\(…\).*asks nothing; the run has vote_share, rubric_score"),
        ("vote", ("vote_share", "rubric_score", "verify_correct"), {}, "no column of scores"),
        ("judge", ("rubric_score",), {}, "the run has verify_correct, vote_share"),
        ("judge", (), {"score": "fluency_score"}, "no column fluency_score in this run: the run has"),
        ("judge", (), {"score": "vote_claim"}, "has no numbers"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(
    by: str, without: tuple[str, ...], options: dict[str, Any], says: str
):
    rows = [row("q", 0, "4", rubric_score=1.0)]
    with pytest.raises(UserError, match=says):
        pairs(rows, by, without=without, **options)


@pytest.mark.parametrize(
    "options",
    [{"by": "luck"}, {"format": "sharegpt"}, {"per_question": 0}, {"margin": -1}, {"by": "vote", "score": "a_score"}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]):
    with pytest.raises(UserError):
        PairOptions(**options)
