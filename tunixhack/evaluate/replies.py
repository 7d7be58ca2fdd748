"""Stored replies, read: the answer part, whether the form is right, and how the reply ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import polars as pl

from tunixhack._util.texts import is_blank
from tunixhack.evaluate.scores import Score
from tunixhack.evaluate.task import TaskQuestions
from tunixhack.replies.finish_reasons import choice_finish_kind
from tunixhack.replies.message import message_texts
from tunixhack.replies.reply import read_message
from tunixhack.steps.parse import read_choice
from tunixhack.train.data.chat import Format
from tunixhack.train.inference.format_compliance import check, looping

CUT_OFF, REFUSED, FAILED, EMPTY = "cut_off", "refused", "failed", "empty"
"""Why a reply is not scored: a limit of tokens ended it; the server withheld it; an error ended it; it says nothing."""
_ENDED = {"truncated": CUT_OFF, "filtered": REFUSED, "failed": FAILED}
_BEHIND_TRACE = re.compile(r"</(?:reasoning|think)>")
_ANSWER_TAG = re.compile(r"</?answer>")

REPLY: dict[str, pl.DataType] = {
    "task": pl.String(),
    "question_id": pl.String(),
    "cluster": pl.String(),
    "arm": pl.String(),
    "sample": pl.Int64(),
    "seed": pl.Int64(),
    "finish_reason": pl.String(),
    "tokens": pl.Int64(),
    "claim": pl.String(),
    "right": pl.Float64(),
    "why": pl.String(),
    "form_ok": pl.Boolean(),
    "looping": pl.Boolean(),
    "answer": pl.String(),
    "reply": pl.String(),
}
"""The columns of replies.parquet. ``right`` is 0 where nothing could be read, and null where a judge compares answers
instead; ``why`` says why it is not right."""
ORDER = ["task", "arm", "question_id", "sample"]


@dataclass(frozen=True)
class ReadReply:
    """A reply, taken apart."""

    text: str
    answer: str
    """What is scored: the answer part, or where the form is broken whatever follows any trace."""
    form_ok: bool
    """Whether it is exactly one trace and one answer, as the arm was trained or asked to write them."""
    problem: str | None
    """Why it is not scored at all; None where it is."""
    looping: bool


def read_reply(choice: Mapping[str, Any], form: str) -> ReadReply:
    """Read a stored choice.

    Args:
        choice: an element of ``choices``.
        form: of a student ``tags`` or ``think``; of a teacher ``written`` or ``native``.
    """
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {}
    said = message_texts(message)
    text = _unicode(said.content or said.thinking or "")
    kind = choice_finish_kind(choice)
    own = next((layout for layout in get_args(Format) if layout == form), None)
    form_ok = read_choice(choice, form).problem is None if own is None else check(text, own)
    answer = _unicode(lenient_answer(message, said.content))
    problem = _ENDED.get(kind) or (EMPTY if is_blank(answer) else None)
    finished = kind == "complete"
    return ReadReply(text, answer, form_ok and finished, problem, looping(text, finished=finished))


def lenient_answer(message: Mapping[str, Any], content: str) -> str:
    """Return the answer part of a message, however broken its form: what follows the trace, or else all of it.

    >>> lenient_answer({"content": "<reasoning>2 + 2<answer>4"}, "<reasoning>2 + 2<answer>4")
    '4'
    """
    read = read_message(message)
    if read.answer is not None and read.problem in (None, "no_trace"):
        return _ANSWER_TAG.sub("", read.answer).strip()
    behind = _BEHIND_TRACE.split(content)[-1]
    opened = behind.rpartition("<answer>")[2]
    return _ANSWER_TAG.sub("", opened).strip()


def scored_replies(chosen: TaskQuestions, arm: str, form: str, answers: pl.DataFrame) -> pl.DataFrame:
    """Read and score an arm's stored replies to a task; nothing is asked.

    Args:
        chosen: the questions, and their task with its scorer.
        arm: the arm's label.
        form: see `read_reply`.
        answers: rows of `tunixhack.runs.journal.FIELDS`, one for each reply.

    Returns:
        The columns of `REPLY`, sorted.
    """
    task = chosen.task
    by_id = {row["question_id"]: row for row in chosen.rows.iter_rows(named=True)}
    stored = list(answers.iter_rows(named=True))
    read = [read_reply(_choice(row), form) for row in stored]
    whole = [at for at, one in enumerate(read) if one.problem is None]
    asked = [by_id[stored[at]["question_id"]] | {"answer": read[at].answer} for at in whole]
    scores = dict(zip(whole, task.scorer.score(asked), strict=True))
    rows = []
    for at, (row, one) in enumerate(zip(stored, read, strict=True)):
        score = scores.get(at, Score(None, None, one.problem))
        rows.append(
            {
                "task": task.name,
                "arm": arm,
                "cluster": chosen.clusters.get(row["question_id"]),
                "right": None if task.judged else score.right or 0.0,
                "claim": None if score.claim is None else _unicode(score.claim),
                "why": None if score.why is None else _unicode(score.why),
                "form_ok": one.form_ok,
                "looping": one.looping,
                "answer": one.answer,
                "reply": one.text,
                "tokens": row["completion_tokens"],
                **{name: row[name] for name in ("question_id", "sample", "seed", "finish_reason")},
            }
        )
    return pl.DataFrame(rows, schema=REPLY, orient="row").sort(ORDER)


def _unicode(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can spell and no table can keep."""
    return text.encode(errors="replace").decode()


def _choice(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored choice with its finish_reason, whatever a model or a server made of it."""
    try:
        choice = json.loads(row["choice"] or "null")
    except (ValueError, RecursionError):
        choice = None
    read = choice if isinstance(choice, dict) else {}
    return read if row["finish_reason"] is None else read | {"finish_reason": row["finish_reason"]}
