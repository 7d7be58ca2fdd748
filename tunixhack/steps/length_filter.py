"""The length filter: keep the questions that a teacher writes most about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from tunixhack.errors import TeacherFailed, UserError
from tunixhack.replies.finish_reasons import finish_kind
from tunixhack.replies.message import message_texts
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.nested_selection import places_by_score
from tunixhack.steps.request import PROBE, Request


@dataclass(frozen=True)
class LengthFilter:
    """Ask each candidate once, and keep the questions with the longest responses.

    OpenThoughts (arXiv 2506.04178, table 4) found this the best filter for mathematics and science questions. What
    differs here: there, GPT-4.1-mini answers whatever the teacher, and the unit and share kept are not stated; here
    the run's own teacher answers unless another is named, ties and truncated answers are settled, and half is kept.

    Length is in completion tokens, or, if one received probe lacks them, in characters of reasoning and answer for all
    rows. A truncated probe (finish_reason ``length``) ranks as the limit: the teacher's max_tokens where it is known
    and tokens count, else above everything that was not truncated. Ties go to the earlier row: rows come in rank
    order. An empty answer has length 0. A question that the teacher refuses (HTTP 400, 413 or 422: too long for it, or
    against its rules) has no length, comes after all others, and is rejected as ``refused``. What is kept is nested,
    so that 316 questions are among the 1,000 of the same recipe (contract 8); see
    `tunixhack.steps.nested_selection`.

    Columns: ``length_filter_length`` (what was received, in the unit) and ``length_filter_unit`` (``tokens`` or
    ``characters``).

    Attributes:
        keep: the share of candidates to keep, over 0 and at most 1.
        teacher: who answers the probe; None for the run's teacher.
    """

    stage: ClassVar[str] = "questions"
    asks: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("length_filter_length", "length_filter_unit")

    keep: float = 0.5
    teacher: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UserError(f"LengthFilter(keep={self.keep:g}): keep is a share over 0 and at most 1")

    @property
    def share(self) -> float:
        """The share of candidates that is kept."""
        return self.keep

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Probe every row and keep exactly ``ctx.quota`` of them, or the share ``keep`` where there is no quota.

        Raises:
            TeacherFailed: probes are missing, or half of the questions or more are refused. Missing is not bad
                (contract 7), so nothing is judged without them.
            UserError: called without a way to render questions, or with fewer rows than are to be kept.
        """
        probes, refused = self._probe(rows, ctx)
        received = probes.filter(pl.col("sample").is_not_null())
        tokens = received["completion_tokens"].null_count() == 0
        unit = "tokens" if tokens else "characters"
        measured = probes["completion_tokens"].cast(pl.Int64) if tokens else _characters(probes["choice"])
        length = measured.set(pl.Series(refused, dtype=pl.String).is_not_null(), None)
        truncated = pl.Series(
            [finish_kind(reason) == "truncated" for reason in probes["finish_reason"]], dtype=pl.Boolean
        )
        ranked = _with_limit(length.fill_null(-1).to_list(), truncated.to_list(), ctx.max_tokens if tokens else None)
        order = places_by_score(ranked, self.keep, ctx.quota)
        return Verdict(
            keep=order.is_not_null().alias("keep"),
            order=order,
            reason=pl.Series(["refused" if why else "short" for why in refused], dtype=pl.String),
            evidence=[
                {"why": why} if why else {"length": each, "unit": unit}
                for each, why in zip(length, refused, strict=True)
            ],
            columns={
                "length_filter_length": length,
                "length_filter_unit": pl.Series([unit] * rows.height, dtype=pl.String),
            },
            note=f"the longest by {unit}",
        )

    def _probe(self, rows: pl.DataFrame, ctx: Context) -> tuple[pl.DataFrame, list[str | None]]:
        """Return one probe a row, in the rows' order, and why the teacher refused it, where it has none."""
        if ctx.render is None:
            raise UserError("the length filter asks a teacher, but there is nothing to render questions: use a recipe")
        requests = [Request(row=row, messages=ctx.render(row), samples=(PROBE,)) for row in rows.iter_rows(named=True)]
        answers = ctx.ask(requests, teacher=self.teacher).filter(pl.col("sample") == PROBE)
        answers = answers.select("question_id", "sample", "choice", "finish_reason", "completion_tokens")
        received = rows.select("question_id").join(
            answers.unique("question_id", keep="first", maintain_order=True),
            on="question_id",
            how="left",
            maintain_order="left",
        )
        declined = ctx.declined()
        missing = received.filter(pl.col("sample").is_null())["question_id"]
        why = {question: declined.get(question) for question in missing}
        if why and (None in why.values() or 2 * len(why) >= rows.height):
            raise TeacherFailed(
                f"{len(why):,} of {rows.height:,} probes of the length filter were not received"
                f"{ctx.why_missing()}; the others are stored, and the same command asks for the missing ones only"
            )
        return received, [why.get(question) for question in rows["question_id"]]


def _with_limit(lengths: Sequence[int], truncated: Sequence[bool], limit: int | None) -> list[int]:
    # with no known limit: one more than the longest, not the longest itself. Among more candidates the longest is
    # another, and what was a tie would be one no more: a smaller selection would not be part of the larger one
    whole = [length for length, cut in zip(lengths, truncated, strict=True) if not cut]
    top = limit if limit is not None else max(lengths, default=0) + bool(whole)
    return [top if cut else length for length, cut in zip(lengths, truncated, strict=True)]


def _characters(choices: pl.Series) -> pl.Series:
    return pl.Series([_text_length(choice) for choice in choices], dtype=pl.Int64)


def _text_length(choice: str | None) -> int:
    """Count the characters of reasoning and answer in a choice; whatever is no text counts nothing."""
    try:
        sent = json.loads(choice or "null")
    except (ValueError, RecursionError):
        return 0
    message = sent.get("message") if isinstance(sent, dict) else None
    if not isinstance(message, dict):
        return 0
    return sum(map(len, message_texts(message)))
