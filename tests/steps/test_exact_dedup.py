"""Exact dedup of questions: what counts as equal, which one stays, and that order does not matter."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.texts import without_format_characters
from tunixhack.errors import UserError
from tunixhack.steps import exact_dedup as dedup
from tunixhack.steps.base import Context, judge
from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS, ExactDedup, first_of_equal, normalise

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
WHITE_SPACE += "\u202f\u205f\u3000"
BOXED = r"Return your final response within \boxed{}."


def rows(*questions: str, context: str | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"question_id": [f"{at:02}" for at in range(len(questions))], "question": questions, "context": context},
        schema={"question_id": pl.String, "question": pl.String, "context": pl.String},
    )


def kept(table: pl.DataFrame, step: ExactDedup | None = None) -> list[str]:
    step = step or ExactDedup()
    return judge(step, table, step(table, Context())).kept["question_id"].to_list()


@pytest.mark.parametrize(
    "other",
    [
        "WHAT IS THE CAFÉ CALLED?",
        "what is\tthe\r\n\n café  called?",
        "  What is the café called?\u3000",
        "What\u00a0is the cafe\u0301 called?",
        f"{BOXED} What is the café called?",
        f"{BOXED.upper()}\n\nWhat is the café called?",
        "What is the café called?\nPlease  reason step by step, and put your final answer within \\boxed{}.",
        f"{BOXED} {BOXED} What is the café called? Let's think step by step.",
    ],
)
def test_case_space_unicode_form_and_wrapper_do_not_make_another_question(other: str) -> None:
    assert kept(rows("What is the café called?", other)) == ["00"]


@pytest.mark.parametrize(
    "other",
    [
        "Is a\u200b cube solid?",
        "\ufeffIs a cube solid?",
        "Is a cube solid?\u200b",
        "\u202aIs a cube solid?\u202c",
        "Is a cu\u00adbe solid?",
        "Is a \u2060 \u200e cube solid?",
        "Is a cu\u200cbe\u200d solid?",
        f"{BOXED}\u200b Is a cube solid?",
    ],
)
def test_characters_that_show_nothing_do_not_make_another_question(other: str) -> None:
    assert kept(rows("Is a cube solid?", other)) == ["00"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("می\u200cخواهم", "میخواهم"),  # noqa: RUF001
        ("क्\u200dष", "क्ष"),
        ("👩\u200d👩\u200d👧", "👩👩👧"),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"),
    ],
)
def test_joiners_that_join_make_another_question(one: str, other: str) -> None:
    assert kept(rows(one, other)) == ["00", "01"]


@pytest.mark.parametrize(
    "other", ["What is the cafe called?", "What is thecafé called?", "What is the café called", f"What {BOXED} is?"]
)
def test_other_letters_words_or_punctuation_make_another_question(other: str) -> None:
    assert kept(rows("What is the café called?", other, "What is?")) == ["00", "01", "02"]


def test_the_raw_key_counts_every_character() -> None:
    table = rows("A b", "a b", "A  b", "A b")
    assert kept(table, ExactDedup(key="raw")) == ["00", "01", "02"]


def test_the_same_question_about_another_context_is_another_question() -> None:
    table = pl.concat([rows("Shorten it.", context="one"), rows("Shorten it.", context="two")])
    table = pl.concat(
        [table, rows("Shorten it.", context=" ONE"), rows("Shorten it."), rows("Shorten it.", context="")]
    )
    table = table.with_columns(question_id=pl.Series(["a", "b", "c", "d", "e"]))
    assert kept(table) == ["a", "b", "d"]


def test_a_dropped_question_names_the_one_that_stays() -> None:
    step, table = ExactDedup(), rows("x", "y", " X")
    rejected = judge(step, table, step(table, Context())).rejected
    assert rejected.select("question_id", "step", "reason", "evidence").rows() == [
        ("02", "exact_dedup", "duplicate_question", '{"kept": "00"}')
    ]


def test_wrappers_are_the_users_choice() -> None:
    table = rows("Answer in French: why?", "why?", f"{BOXED} why?")
    assert kept(table, ExactDedup(wrappers=("answer  in french:",))) == ["00", "02"]


def test_a_question_that_is_only_a_wrapper_stays_a_question() -> None:
    assert normalise(pl.Series([BOXED])).to_list() == [BOXED.lower()]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(UserError, match="normalised"):
        ExactDedup(key="fuzzy")  # type: ignore[arg-type]


def test_no_rows_are_no_problem() -> None:
    assert kept(rows()) == []


@given(st.permutations(range(6)), st.sampled_from(["normalised", "raw"]))
def test_the_order_of_the_rows_does_not_matter(order: list[int], key: str) -> None:
    table = rows("a", "A", "b", "a ", "b", f"{BOXED} a")
    assert sorted(kept(table[order], ExactDedup(key=key))) == kept(table, ExactDedup(key=key))  # type: ignore[arg-type]


def reference(text: str, wrappers: list[str]) -> str:
    """The definition, one text at a time."""
    tidy = unicodedata.normalize("NFC", without_format_characters(text)).lower()
    for blank in WHITE_SPACE:
        tidy = tidy.replace(blank, " ")
    tidy = " ".join(part for part in tidy.split(" ") if part)
    while begun := [wrapper for wrapper in wrappers if tidy.startswith(wrapper + " ")]:
        tidy = tidy[len(max(begun, key=len)) + 1 :]
    while ended := [wrapper for wrapper in wrappers if tidy.endswith(" " + wrapper)]:
        tidy = tidy[: -len(max(ended, key=len)) - 1]
    return tidy


FORMAT = "\u200b\u200c\u200d\u00ad\ufeffم👩"
PIECES = st.sampled_from(
    ["a", "B", "é", "e\u0301", "ß", "Å", "\u212b", "가", "\u1100\u1161", "’", "€", "\0", *WHITE_SPACE, *FORMAT]
)
TEXTS = st.lists(PIECES | st.sampled_from([*DEFAULT_WRAPPERS, " "]), max_size=8).map("".join)


@given(st.lists(TEXTS | st.none(), max_size=6))
def test_the_fast_path_equals_the_definition_on_every_text(texts: list[str | None]) -> None:
    wrappers = [wrapper.lower() for wrapper in DEFAULT_WRAPPERS]
    expected = [text if text is None else reference(text, wrappers) for text in texts]
    assert normalise(pl.Series(texts, dtype=pl.String)).to_list() == expected


def test_characters_taken_as_plain_are_untouched_by_nfc_and_are_no_white_space() -> None:
    plain = (
        pl.Series([chr(code) for code in range(0x80, 0x3000)])
        .to_frame("c")
        .filter(~pl.col("c").str.contains(dedup._ODD))
    )
    for character in plain["c"]:
        assert not character.isspace()
        for before in "aAeE<=;":
            assert unicodedata.normalize("NFC", before + character) == before + character


def test_many_pieces_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series([f"Q  {at}É {BOXED}" for at in range(25)])
    whole = normalise(texts).to_list()
    monkeypatch.setattr(dedup, "_PIECE", 4)
    assert normalise(texts).to_list() == whole


KEYS = st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), st.sampled_from(["", "c", None]), st.integers(0, 3)))


@given(KEYS)
def test_the_first_of_equal_rows_is_the_smallest_in_order_then_in_position(
    keys: list[tuple[str, str | None, int]],
) -> None:
    table = pl.DataFrame(keys, schema={"q": pl.String, "c": pl.String, "order": pl.Int64}, orient="row")
    smallest = [min((other[2], at) for at, other in enumerate(keys) if other[:2] == key[:2])[1] for key in keys]
    assert first_of_equal(table.select("q", "c"), table["order"]).to_list() == smallest


def test_a_hash_collision_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.DataFrame, "hash_rows", lambda frame: pl.Series([7] * frame.height, dtype=pl.UInt64))
    assert first_of_equal(pl.DataFrame({"q": ["x", "y", "x", "z"]})).to_list() == [0, 1, 0, 3]
