"""The step `Parse`: trace and answer, out of what a teacher sent.

A *choice* is one element of the ``choices`` list of an OpenAI-compatible response. What is in it was written by a
model: it is taken apart by string search in linear time, never evaluated, and whatever shape it has, it ends as a
trace and an answer or as a problem in one word. `tunixhack.replies.reply` reads messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import polars as pl

from tunixhack._util.texts import is_unicode
from tunixhack.errors import UserError, nearest
from tunixhack.replies.control_tokens import clean
from tunixhack.replies.finish_reasons import choice_finish_kind
from tunixhack.replies.loops import Loop, find_loop
from tunixhack.replies.message import message_texts
from tunixhack.replies.reply import read_message
from tunixhack.steps.base import Context, Verdict

TRACES = ("native", "written", "guided")
"""Where reasoning can come from; see `Context.trace`."""

NOT_WHOLE = {"truncated": "truncated", "filtered": "filtered", "failed": "failed"}
"""How a choice that is no whole answer ended, and the problem that it makes."""

SHOWN = 200
"""Characters of the text that go into the evidence of a rejected row."""


class Parsed(NamedTuple):
    """The trace and answer of a choice; without a problem, both are there and not blank."""

    reasoning: str | None
    answer: str | None
    problem: str | None
    """None, or one of the reasons that `Parse` lists."""


@dataclass(frozen=True)
class Parse:
    """Read trace and answer out of every received choice, and reject those that hold no whole pair (contract 7).

    Reads the columns ``trace``, ``choice`` (a choice as JSON) and ``finish_reason``; adds ``reasoning`` and
    ``answer``, which in a rejected row are null or what could be read. The reasons of a rejection:

    ================== ====================================================================================
    ``truncated``      the token limit cut the answer (finish_reason ``length``), even where it reads whole
    ``filtered``       the server withheld it (finish_reason ``content_filter``)
    ``failed``         an error ended it, or something unknown; see `tunixhack.replies.finish_reasons`
    ``malformed``      tags missing, doubled, nested, unclosed or with text outside; not valid Unicode or JSON
    ``control_tokens`` text behind an end token, such as an invented next turn behind ``<|im_end|>``
    ``empty``          nothing was sent, or the trace or the answer is blank
    ``no_trace``       a native answer without any thinking
    ``looping``        trace or answer repeats one passage at least five times without a gap, see
                       `tunixhack.replies.loops`; ``Parse(reject_looping=False)`` keeps it, for songs and chants
    ================== ====================================================================================

    The evidence of each is the finish_reason, the number of characters, and the first 200 of them, or those before the
    leaked token; of a loop where it is, its passage, and how often that stands there. Of 1,800 worked solutions of
    gsm8k, 524 of mbpp, 75 answers of dolly and 704 rows of Explore-Instruct none is taken for a loop.

    Attributes:
        reject_looping: whether answers with a repetition loop are rejected.
    """

    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("trace", "choice", "finish_reason")
    writes: ClassVar[tuple[str, ...]] = ("reasoning", "answer")
    by_question: ClassVar[bool] = True

    reject_looping: bool = True

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by its own choice.

        Raises:
            UserError: a row's ``trace`` is none of native, written and guided.
        """
        parsed: list[Parsed] = []
        evidence: list[Mapping[str, Any] | None] = []
        for trace, raw, finish_reason in rows.select("trace", "choice", "finish_reason").iter_rows():
            choice = _load(raw)
            if choice is None:
                one = Parsed(None, None, "malformed")
            else:
                if finish_reason is not None:
                    choice = {**choice, "finish_reason": finish_reason}
                one = read_choice(choice, trace)
            where, loop = _loop_in(one) if self.reject_looping and one.problem is None else (None, None)
            if loop is not None:
                one = one._replace(problem="looping")
            parsed.append(one)
            told = None if one.problem is None else _evidence(choice or {}, raw, one.problem)
            if told is not None and loop is not None:
                told = told | {"where": where, "text": loop.passage[:SHOWN], "times": loop.times}
            evidence.append(told)
        problems = pl.Series("reason", [one.problem for one in parsed], dtype=pl.String)
        return Verdict(
            keep=problems.is_null(),
            reason=problems,
            evidence=evidence,
            columns={
                "reasoning": pl.Series([one.reasoning for one in parsed], dtype=pl.String),
                "answer": pl.Series([one.answer for one in parsed], dtype=pl.String),
            },
        )


def read_choice(choice: Mapping[str, Any], trace: str) -> Parsed:
    """Read one choice.

    Args:
        choice: an element of ``choices``: ``message`` and ``finish_reason``.
        trace: ``native`` takes the trace wherever the server or the model put it; see `tunixhack.replies.reply`.
            ``written`` and ``guided`` throw all of that away and read exactly one ``<reasoning>…</reasoning>`` followed
            by exactly one ``<answer>…</answer>``, with nothing but white space, or a code fence, around them.

    Returns:
        Trace and answer without whitespace at their ends, or a problem.

    Raises:
        UserError: ``trace`` is an unknown word. No choice, however broken, raises.

    >>> read_choice({"message": {"content": "2 + 2 is 4.</think> 4"}, "finish_reason": "stop"}, "native")
    Parsed(reasoning='2 + 2 is 4.', answer='4', problem=None)
    """
    if trace not in TRACES:
        raise UserError(f"trace {trace!r} is unknown: {nearest(str(trace), TRACES)}")
    parsed = Parsed(*read_message(_message(choice), written=trace != "native")[:3])
    return parsed._replace(problem=NOT_WHOLE.get(choice_finish_kind(choice)) or parsed.problem)


def _loop_in(parsed: Parsed) -> tuple[str | None, Loop | None]:
    """Return the first loop of a trace or an answer, and in which of the two it is."""
    for where in ("reasoning", "answer"):
        loop = find_loop(getattr(parsed, where) or "")
        if loop is not None:
            return where, loop
    return None, None


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, Mapping) else {}


def _load(raw: str | None) -> dict[str, Any] | None:
    if raw is None:
        return None
    try:
        choice = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return choice if isinstance(choice, dict) else None


def _evidence(choice: Mapping[str, Any], raw: str | None, problem: str) -> dict[str, Any]:
    said = message_texts(_message(choice))
    text = said.content or said.thinking or raw or ""
    finish_reason = choice.get("finish_reason")
    token = clean(text).token if problem == "control_tokens" else None
    end = text.find(token) + len(token) if token else SHOWN
    shown = text[max(0, end - SHOWN) : end].encode(errors="replace").decode()
    # a finish_reason that is no word is hostile, and may not be storable either
    named = finish_reason if isinstance(finish_reason, str) and is_unicode(finish_reason) else None
    return {"finish_reason": named, "characters": len(text), "text": shown}
