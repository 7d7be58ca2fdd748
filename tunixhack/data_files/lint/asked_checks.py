"""Checks that need something from the user: a student's tokenizer, benchmarks, or the language that is wanted."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from tunixhack.data_files.lint.passing import Check
from tunixhack.data_files.lint.turn_checks import Found
from tunixhack.data_files.lint.turn_table import TurnTable
from tunixhack.errors import UserError, nearest
from tunixhack.steps.base import Context
from tunixhack.steps.decontaminate import Comparison, Decontaminate
from tunixhack.tokenizers import student_counter

_WORDS = {
    "en": "the and of to is that in it for with are this be as was not you have from",
    "de": "der die das und ist nicht ein eine mit den von zu auf für sich dem auch wird sind",
    "fr": "le la les et est une des que dans pour qui sur pas avec sont du au ce cette",
    "es": "el los las una que por con para del como está pero más son es se su y",
    "it": "il che di una per non sono con della gli nel come più questo è anche dei alla",
    "pt": "que não uma os para com dos como mais por são isso você também ao na em é",
    "nl": "het een van en niet met voor zijn dat op aan ook worden deze wordt bij",
}
"""Words that texts of a language are full of, and others have few of."""
_SCRIPTS = {
    "zh": r"\p{Han}",
    "ja": r"\p{Hiragana}|\p{Katakana}|\p{Han}",
    "ko": r"\p{Hangul}",
    "ru": r"\p{Cyrillic}",
    "uk": r"\p{Cyrillic}",
    "ar": r"\p{Arabic}",
    "fa": r"\p{Arabic}",
    "he": r"\p{Hebrew}",
    "el": r"\p{Greek}",
    "hi": r"\p{Devanagari}",
    "th": r"\p{Thai}",
}
LANGUAGES = (*_WORDS, *_SCRIPTS)
"""The languages that can be asked for."""
_ROOM = 2000
"""Characters of an answer by which its language is told."""
_LEAST = 60
"""Letters that it has to have; fewer do not tell."""
_LEAST_WORDS = 8


def over_long(student: str, most: int) -> Check:
    """Make the check for rows with more tokens than `most`, all turns together, without a chat template's own.

    Raises:
        UserError: see `tokenizers.student_counter`.
    """
    count = student_counter(student)

    def check(table: TurnTable) -> Iterator[Found]:
        turns = table.turns.with_columns(whole=pl.col("thinking") + pl.col("text"))
        lengths = turns.select("row", tokens=pl.Series(count(turns["whole"].to_list()), dtype=pl.UInt32))
        sums = lengths.group_by("row").agg(pl.col("tokens").sum())
        yield "over_long", sums.filter(pl.col("tokens") > most)["row"]

    return check


def contamination(against: tuple[str, ...]) -> Check:
    """Make the check for questions that repeat one of a benchmark; see `steps.decontaminate.Decontaminate`.

    Raises:
        UserError: a benchmark cannot be read.
    """
    benchmarks = Comparison.read(Decontaminate(against=against), Context())

    def check(table: TurnTable) -> Iterator[Found]:
        asked = table.turns.filter((pl.col("speaker") == "user") & (pl.col("text") != ""))
        found = benchmarks.find(asked["text"].to_list())
        yield (
            "contamination",
            asked["row"].filter(pl.Series([match is not None for match in found], dtype=pl.Boolean)).unique(),
        )

    return check


def wrong_language(language: str) -> Check:
    """Make the check for answers in another language.

    Languages of one script are told apart by their most common words, others by their letters: an answer counts
    where another language's stand out in it, so that formulas, code and names count for nothing.

    Raises:
        UserError: the language is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise UserError(f"--language {language!r} is unknown: {nearest(language, LANGUAGES)}")
    text = pl.col("answer").str.head(_ROOM)
    letters = text.str.count_matches(r"\p{L}")
    own = text.str.count_matches(_SCRIPTS.get(language, r"\p{Latin}"))
    wrong = (letters >= _LEAST) & (own * 3 < letters)
    if language in _WORDS:
        bare = text.str.replace_all(r"```[^`]*```|`[^`\n]*`", " ")
        hits = {name: bare.str.count_matches(_either(words)) for name, words in _WORDS.items()}
        others = pl.max_horizontal(*(hits[name] for name in _WORDS if name != language))
        wrong = wrong | ((others >= _LEAST_WORDS) & (others > hits[language] * 3))

    def check(table: TurnTable) -> Iterator[Found]:
        yield "wrong_language", table.turns.filter(wrong.fill_null(False))["row"].unique()

    return check


def _either(words: str) -> str:
    return rf"(?i)\b(?:{'|'.join(words.split())})\b"
