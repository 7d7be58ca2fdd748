"""The step `MaxLength`: an answer that is too long for the student is rejected, never cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from tunixhack.errors import UserError
from tunixhack.steps.answer_lengths import answer_lengths
from tunixhack.steps.base import Context, Verdict

if TYPE_CHECKING:
    from tunixhack.steps.base import Step

CHARACTERS_A_TOKEN = 4
"""What the limits in characters assume; a rule of thumb for English prose."""
WRITTEN = 768
"""Tokens of a written or guided answer: the hackathon's generation limit."""
NATIVE = 8192
"""Tokens of an answer with a thinking teacher's own trace, which is several times as long: half of the 16,384 tokens
that OpenThoughts trains its students at."""
OPTION = "--max-length"

_SPELLING = re.compile(r"(?P<number>[0-9][0-9_,]*) ?(?P<unit>tokens?|chars?|characters?)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class MaxLength:
    """Reject what is longer than the student may write (``over_length``); nothing is ever cut.

    The length is that of trace and answer together as the hackathon's format renders them, tags included, without
    start or end tokens. Adds ``max_length_length``: in the student's tokens where the run has a student
    (``ctx.count_tokens``), otherwise in characters (Unicode code points).

    >>> rows = pl.DataFrame({"reasoning": ["Count on."], "answer": ["4"]})
    >>> MaxLength()(rows, Context()).columns["max_length_length"].to_list()
    [51]
    """

    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("reasoning", "answer")
    writes: ClassVar[tuple[str, ...]] = ("max_length_length",)
    by_question: ClassVar[bool] = True

    tokens: int | None = None
    """The most tokens with a student; None for 768 of a written or guided trace and 8,192 of a native one."""
    characters: int | None = None
    """The most characters without a student; None for 3,000 of a written or guided trace and 32,768 of a native one."""

    def __post_init__(self) -> None:
        """Refuse a limit that nothing fits.

        Raises:
            UserError: a limit is below 1.
        """
        for name, limit in (("tokens", self.tokens), ("characters", self.characters)):
            if limit is not None and limit < 1:
                raise UserError(f"MaxLength({name}={limit}) would reject every answer: give a limit of at least 1")

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by its own length.

        Raises:
            UserError: ``reasoning`` or ``answer`` is missing, or null somewhere.
        """
        lengths, unit = answer_lengths(rows, ctx)
        traces = rows["trace"].to_list() if "trace" in rows.columns else [ctx.trace] * rows.height
        limits = [self.limit(unit, trace or ctx.trace) for trace in traces]
        length = pl.Series("max_length_length", lengths, dtype=pl.Int64)
        evidence = [
            {"length": one, "unit": unit, "limit": limit} | ({"student": ctx.student} if ctx.student else {})
            if one > limit
            else None
            for one, limit in zip(lengths, limits, strict=True)
        ]
        told = limits or [self.limit(unit, ctx.trace)]
        most = " or ".join(f"{limit:,}" for limit in sorted(set(told)))
        return Verdict(
            keep=length <= pl.Series(limits, dtype=pl.Int64),
            reason="over_length",
            evidence=evidence,
            columns={"max_length_length": length},
            note=f"at most {most} {unit}{f' of {ctx.student}' if ctx.count_tokens and ctx.student else ''} ({OPTION})",
            remedy=_remedy(lengths, unit) if any(evidence) else None,
        )

    def limit(self, unit: str, trace: str) -> int:
        """Return the most that one answer may have.

        Args:
            unit: tokens or characters.
            trace: native, written or guided.
        """
        if unit == "tokens":
            return self.tokens or (NATIVE if trace == "native" else WRITTEN)
        # 3,000 rather than 3,072: what the hackathon's format adds is characters, and hardly any tokens
        return self.characters or (NATIVE * CHARACTERS_A_TOKEN if trace == "native" else 3000)


def _remedy(lengths: Sequence[int], unit: str) -> str:
    """Name the option that keeps every one of these answers."""
    longest = max(lengths)
    rounded = -(-longest // 1000) * 1000
    short = "chars" if unit == "characters" else unit
    return f"{OPTION} {rounded}{short} keeps answers as long as the longest here ({longest:,} {unit}), none keeps all"


def read_max_length(spelling: str | int, student: str | None) -> MaxLength | None:
    """Read what ``--max-length`` takes.

    Args:
        spelling: ``none``, or a number with ``tokens`` or ``chars`` behind it; a number alone counts what the run
            counts: tokens with a student, characters without.
        student: the student whose tokens are counted, if any.

    Returns:
        The step; None where nothing is to be rejected for its length.

    Raises:
        UserError: it is not spelt so, or counts tokens without a student.

    >>> read_max_length("12000chars", None), read_max_length("none", None)
    (MaxLength(tokens=None, characters=12000), None)
    """
    text = str(spelling).strip().lower()
    if text == "none":
        return None
    found = _SPELLING.fullmatch(text)
    number = int(re.sub("[_,]", "", found["number"])) if found else 0
    if found is None or number < 1:
        raise UserError(
            f"{OPTION} {spelling} is not understood: write a number of at least 1 with tokens or chars behind it, such "
            "as 2000tokens or 8000chars, or none"
        )
    unit = "tokens" if (found["unit"] or ("token" if student else "char")).startswith("token") else "characters"
    if unit == "tokens" and student is None:
        raise UserError(
            f"{OPTION} {spelling}: tokens are those of a student, and none is named; add --student TOKENIZER, or give "
            f"characters ({number * CHARACTERS_A_TOKEN}chars are about as many)"
        )
    if unit == "characters" and student is not None:
        raise UserError(
            f"{OPTION} {spelling}: with --student, lengths are counted in its tokens: give tokens, or no --student"
        )
    return MaxLength(tokens=number) if unit == "tokens" else MaxLength(characters=number)


def with_max_length(steps: Sequence[Step], limit: MaxLength | None) -> tuple[Step, ...]:
    """Return a recipe's steps with another limit in place of theirs; a recipe that has none gets it at its end.

    Args:
        steps: of a recipe.
        limit: the step to have; None for no limit.
    """
    others = [step for step in steps if not isinstance(step, MaxLength)]
    if limit is None:
        return tuple(others)
    if len(others) == len(steps):
        return (*others, limit)
    return tuple(limit if isinstance(step, MaxLength) else step for step in steps)
