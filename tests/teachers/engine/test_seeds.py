"""An answer's seed is its run's, another run's, or none; only the first is what a run would ask for."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.ids import SEED_MODULUS, sample_seed
from tunixhack.teachers.engine.seeds import describe_other_seeds, has_seed_of_run, one_per_key

SCHEMA = {
    "request_key": pl.String,
    "sample": pl.Int64,
    "question_id": pl.String,
    "seed": pl.Int64,
}


def stored(*rows: tuple[str, int, str, int | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(-1, 40), st.integers(0, 3)), max_size=20), st.integers(0, 3))
def test_an_answer_is_of_the_seed_that_it_was_asked_with(asked: list[tuple[str, int, int]], seed: int):
    rows = stored(*(("k", sample, question, sample_seed(own, question, sample)) for question, sample, own in asked))
    assert has_seed_of_run(rows, seed).to_list() == [own == seed for _, _, own in asked]


def test_an_answer_that_was_asked_for_without_a_seed_is_of_any():
    assert has_seed_of_run(stored(("k", 0, "q", None)), 5).to_list() == [True]


def test_of_two_answers_to_one_request_the_one_of_the_runs_seed_is_taken_else_the_first():
    rows = stored(*(("k", 1, "q", sample_seed(seed, "q", 1)) for seed in (0, 1)), ("k", 2, "q", 9))
    for seed, taken in ((0, 0), (1, 1), (7, 0)):
        assert one_per_key(rows, seed)["seed"].to_list()[-2:] in (
            [sample_seed(taken, "q", 1), 9],
            [9, sample_seed(taken, "q", 1)],
        )
    assert one_per_key(rows, 0).height == 2


def test_a_seed_that_wraps_is_of_its_run():
    question = next(f"q{n}" for n in range(10**6) if sample_seed(0, f"q{n}", 0) > SEED_MODULUS - 10**4)
    base = sample_seed(0, question, 0)
    assert has_seed_of_run(stored(("k", SEED_MODULUS - base, question, 0)), 0).to_list() == [True]


def test_the_sentence_counts_what_is_wanted_and_names_the_seed_where_it_is_one():
    rows = stored(*((f"k{n}", 0, f"q{n}", sample_seed(n % 2, f"q{n}", 0)) for n in range(6)))
    wanted = rows.head(4)
    assert describe_other_seeds(wanted.filter(sample=9), wanted, 1, 0) is None
    said = describe_other_seeds(rows, wanted, 1, 0) or ""
    assert said.startswith("2 of the stored answers were asked for with the seeds of --seed 0: they count")
    assert said.endswith("--ask-again asks for them anew with those of --seed 1")
    assert (describe_other_seeds(rows, wanted, 7, 0) or "").startswith(
        "4 of the stored answers were asked for with the seeds of another --seed"
    )
