"""What is taken over in one pass is what is taken over answer by answer."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack._util.ids import sample_seed
from tunixhack.pipeline import lent_answers
from tunixhack.pipeline.lent_answers import take_over
from tunixhack.runs.answer_store import KEY, AnswerStore
from tunixhack.runs.journal import FIELDS
from tunixhack.teachers.engine.seeds import one_per_key

SEED = 3
ANSWER = st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.sampled_from(("own", "other", None)))
FILES = st.lists(st.lists(ANSWER, min_size=1, max_size=6, unique=True), max_size=4)


def answers(drawn: list[tuple[str, int, str | None]], where: str) -> pl.DataFrame:
    rows = [
        dict.fromkeys(FIELDS)
        | {
            "request_key": f"key of {question}",
            "question_id": question,
            "sample": sample,
            "seed": None if seed is None else sample_seed(SEED, question, sample) + (seed == "other"),
            "teacher": "t",
            "choice": f"{where} {at}",
        }
        for at, (question, sample, seed) in enumerate(drawn)
    ]
    return pl.DataFrame(rows, schema=FIELDS)


def store(folder: Path, files: list[list[tuple[str, int, str | None]]], where: str) -> AnswerStore:
    made = AnswerStore(folder / "answers", folder / "work")
    for number, drawn in enumerate(files):
        made.folder.mkdir(parents=True, exist_ok=True)
        answers(drawn, f"{where} {number}").write_parquet(made.folder / f"{number:06d}.parquet")
    return made


@settings(max_examples=12, deadline=None)
@given(own=FILES, lent=st.lists(FILES, max_size=2))
def test_one_pass_takes_what_looking_each_up_takes(
    own: list[list[tuple[str, int, str | None]]],
    lent: list[list[list[tuple[str, int, str | None]]]],
    tmp_path_factory: pytest.TempPathFactory,
):
    folder = tmp_path_factory.mktemp("stores")

    def choose(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(pl.col("request_key") != "key of c")

    others = [store(folder / str(number), files, f"lent {number}") for number, files in enumerate(lent)]
    one_by_one, at_once = (store(folder / name, own, "own") for name in ("one-by-one", "at-once"))
    for other in others:
        one_by_one.add(one_per_key(other.lent(choose), SEED))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lent_answers, "MOST_IN_FILE", 3)
        take_over(at_once, others, choose, SEED)
    by_key = [*KEY, "choice"]
    assert at_once.answers().sort(by_key).equals(one_by_one.answers().sort(by_key))
    before = at_once.answers()
    take_over(at_once, others, choose, SEED)
    assert at_once.answers().equals(before), "nothing is taken over twice"
