"""Checks that need something from the user: a student's tokenizer, benchmarks, or the language that is wanted."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from tunixhack._util.languages import LANGUAGES, PIECE, in_another_language
from tunixhack.data_files.lint.passing import Check
from tunixhack.data_files.lint.turn_checks import Found
from tunixhack.data_files.lint.turn_table import TurnTable
from tunixhack.errors import UserError, nearest
from tunixhack.steps.base import Context
from tunixhack.steps.decontaminate import Comparison, Decontaminate
from tunixhack.tokenizers import student_counter


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

    An answer's beginning tells; see `tunixhack._util.languages`.

    Raises:
        UserError: the language is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise UserError(f"--language {language!r} is unknown: {nearest(language, LANGUAGES)}")
    wrong = in_another_language(pl.col("answer").str.head(PIECE), language)

    def check(table: TurnTable) -> Iterator[Found]:
        yield "wrong_language", table.turns.filter(wrong)["row"].unique()

    return check
