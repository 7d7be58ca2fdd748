"""Repetition loops are found wherever they stand, and tables, refrains and real texts are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunixhack.replies.loops import LEAST, LONGEST, TIMES, find_loop, loops_at_end

LINE = "And so it goes on and on, my friend. "
BEFORE = "We add the two numbers, and look at what comes of it. "
words = st.lists(st.sampled_from(["rain", "falls", "and", "then", "the", "sun", "once", "more", "he"]), min_size=8)


@given(words, st.integers(TIMES + 1, 12), st.booleans())
def test_a_passage_of_words_again_and_again_is_found_wherever_it_stands(some: list[str], times: int, goes_on: bool):
    passage = " ".join(some) + f" {len(some)}. "
    text = BEFORE + passage * (times + LEAST // len(passage)) + ("At last, the answer is 4." if goes_on else "")
    found = find_loop(text)
    assert found is not None
    assert found.times >= TIMES
    assert found.times * len(found.passage) >= LEAST
    assert text[found.start :].startswith(found.passage * found.times)
    assert loops_at_end(text) is not goes_on


@given(st.text("ab \n.", max_size=1500))
@example("ab")
def test_what_is_found_really_stands_there(text: str):
    found = find_loop(text)
    if found is not None:
        assert text[found.start : found.end].startswith(found.passage * found.times)
        assert found.times >= TIMES
    if loops_at_end(text):
        assert found is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It rains. " * 3,
        LINE * (TIMES - 1),
        f"{BEFORE}ha ha ha ha ha ha ha ha!",
        "| --- | --- |\n" * 60,
        "0, 0, 0, 0, 0, 0, 0, 0\n" * 60,
        "0.3333333333" + "3" * 400,
        "-" * 5000,
        "".join(f"assert is_even({number}) == {number % 2 == 0}\n" for number in range(60)),
        "Row, row, row your boat, gently down the stream. " * 2
        + "Merrily, merrily, merrily, life is but a dream. " * 2,
    ],
)
def test_tables_numbers_and_refrains_are_no_loop(text: str):
    assert find_loop(text) is None
    assert not loops_at_end(text)


@pytest.mark.parametrize(
    "passage", ["The profit is $8,500 * $10,000 = $8,500\n\n", "1 meter / day * 1 day = ", "ha, ", "她一直在笑。"]
)
def test_passages_that_models_repeat_are_found(passage: str):
    assert find_loop(f"{BEFORE}{passage * 60}") is not None


def test_a_loop_behind_others_that_do_not_count_is_found():
    assert find_loop("-" * 3000 + "| --- |\n" * 90 + BEFORE + LINE * 9) is not None


@pytest.mark.parametrize("piece", ["-", "a-", "ab" * 11 + "-", "x" * 23 + "\n", ("." * 99 + "a") * 3, "0 1 "])
def test_a_text_of_half_a_million_characters_takes_no_quadratic_time(piece: str):
    find_loop(piece * (500_000 // len(piece)))  # which would be hours
    find_loop((piece * TIMES + "|" * 25) * (500_000 // (len(piece) * TIMES + 25)))


def test_a_long_passage_is_found_and_a_longer_one_is_left():
    passage = "".join(f"In the year {number} it rained for days. " for number in range(80))
    assert len(passage) < LONGEST
    assert find_loop(passage * TIMES) is not None
    longer = "".join(f"In the year {number} it rained for days. " for number in range(200))
    assert find_loop(longer * TIMES) is None


def test_no_worked_solution_or_answer_of_real_data_is_a_loop(shared_data: Path):
    columns = {"gsm8k": "answer", "mbpp": "code", "databricks-dolly-15k": "response"}
    for name, column in columns.items():
        for path in sorted((shared_data / name).glob("*.jsonl")):
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            texts = [row[column] for row in rows if row.get(column)]
            assert texts, name
            assert [text for text in texts if find_loop(text)] == []
