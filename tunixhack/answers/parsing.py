"""From what a teacher sent to a trace and an answer.

A *choice* is one element of the ``choices`` list of an OpenAI-compatible response. What is in it was written by a
model: it is taken apart by string search in linear time, never evaluated, and whatever shape it has, it ends as a
trace and an answer or as a problem in one word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import polars as pl

from tunixhack.errors import UserError, nearest
from tunixhack.steps import Context, Verdict
from tunixhack.teachers.finish_reasons import choice_ended

TRACES = ("native", "written", "guided")
"""Where reasoning can come from; see `Context.trace`."""

NOT_WHOLE = {"cut": "truncated", "filtered": "filtered", "failed": "failed"}
"""How a choice that is no whole answer ended, and the problem that it makes."""

SHOWN = 200
"""Characters of the text that go into the evidence of a rejected row."""


class Parsed(NamedTuple):
    """What was read from a choice; without a problem, trace and answer are both there and not blank."""

    reasoning: str | None
    answer: str | None
    problem: str | None
    """None, or ``truncated``, ``filtered``, ``failed``, ``malformed``, ``empty`` or ``no_trace``; see `Parse`."""


@dataclass(frozen=True)
class Parse:
    """Read trace and answer out of every received choice, and reject those that hold no whole pair (contract 7).

    Reads the columns ``trace``, ``choice`` (a choice as JSON) and ``finish_reason``; adds ``reasoning`` and
    ``answer``, which in a rejected row are null or what could be read. The reasons of a rejection:

    ============== ====================================================================================
    ``truncated``  the token limit cut the answer (finish_reason ``length``), even where it reads whole
    ``filtered``   the server withheld it (finish_reason ``content_filter``)
    ``failed``     an error ended it, or something that nobody knows; see `tunixhack.teachers.finish_reasons`
    ``malformed``  tags missing, doubled, nested, unclosed or with text outside; not valid Unicode or JSON
    ``empty``      nothing was sent, or the trace or the answer is blank
    ``no_trace``   a native answer without any thinking
    ============== ====================================================================================

    The evidence of each is the finish_reason, the number of characters, and the first 200 of them.
    """

    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("trace", "choice", "finish_reason")
    writes: ClassVar[tuple[str, ...]] = ("reasoning", "answer")

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
            parsed.append(one)
            evidence.append(None if one.problem is None else _evidence(choice or {}, raw))
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
        trace: ``native`` takes the trace from the message's ``reasoning_content``, else its ``reasoning``, else from
            ``<think>…</think>`` at the start of the content, of which the chat template may have swallowed the
            opening tag; the answer is the rest. ``written`` and ``guided`` throw all of that away and read exactly
            one ``<reasoning>…</reasoning>`` followed by exactly one ``<answer>…</answer>``, with nothing but
            whitespace around them. A think tag anywhere else in the content makes it malformed, as nobody can tell
            where such a trace ends.

    Returns:
        Trace and answer without whitespace at their ends, or a problem.

    Raises:
        UserError: ``trace`` is an unknown word. No choice, however broken, raises.

    >>> read_choice({"message": {"content": "2 + 2 is 4.</think> 4"}, "finish_reason": "stop"}, "native")
    Parsed(reasoning='2 + 2 is 4.', answer='4', problem=None)
    """
    if trace not in TRACES:
        raise UserError(f"trace {trace!r} is unknown: {nearest(str(trace), TRACES)}")
    message = _message(choice)
    content, thinking = _text(message.get("content")), _thinking(message)
    if not (_is_unicode(content) and _is_unicode(thinking)):
        parsed = Parsed(None, None, "malformed")
    elif not content.strip() and (trace != "native" or not thinking.strip()):
        parsed = Parsed(None, None, "empty")
    elif trace == "native":
        parsed = _native(thinking, content)
    else:
        parsed = _written(content)
    return parsed._replace(problem=NOT_WHOLE.get(choice_ended(choice)) or parsed.problem)


def _native(thinking: str, content: str) -> Parsed:
    split = _split_thinking(content)
    if split is None:
        return Parsed(None, None, "malformed")
    tagged, answer = split
    thinking = thinking.strip()
    # some gateways send the thinking twice, in its own field and in the content: one trace all the same
    if thinking and tagged not in (None, "", thinking):
        return Parsed(None, None, "malformed")
    if not thinking and tagged is None:
        return Parsed(None, answer, "no_trace")
    return _filled(thinking or tagged or "", answer)


def _written(content: str) -> Parsed:
    malformed = Parsed(None, None, "malformed")
    split = _split_thinking(content)
    if split is None:
        return malformed
    text = split[1]
    if not (text.startswith("<reasoning>") and text.endswith("</answer>")):
        return malformed
    if any(text.count(tag) != 1 for tag in ("<reasoning>", "</reasoning>", "<answer>", "</answer>")):
        return malformed
    reasoning, _, rest = text.removeprefix("<reasoning>").partition("</reasoning>")
    between, _, answer = rest.partition("<answer>")
    # an answer that was opened inside the reasoning leaves its end here
    if between.strip():
        return malformed
    return _filled(reasoning, answer.removesuffix("</answer>"))


def _filled(reasoning: str, answer: str) -> Parsed:
    reasoning, answer = reasoning.strip(), answer.strip()
    return Parsed(reasoning or None, answer or None, None if reasoning and answer else "empty")


def _split_thinking(content: str) -> tuple[str | None, str] | None:
    """Split content into its leading thinking (None: there is none) and the rest; None where tags do not pair."""
    before, closed, rest = content.partition("</think>")
    if not closed:
        return None if "<think>" in content else (None, content.strip())
    thinking = before.strip().removeprefix("<think>").strip()
    if "<think>" in thinking or "<think>" in rest or "</think>" in rest:
        return None
    return thinking, rest.strip()


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, Mapping) else {}


def _thinking(message: Mapping[str, Any]) -> str:
    """Return the thinking that a server set apart: vLLM, Ollama and OpenRouter call it reasoning, others not."""
    first = _text(message.get("reasoning_content"))
    return first if first.strip() else _text(message.get("reasoning"))


def _text(content: Any) -> str:
    """Return the text of a content field, which the API also allows to be a list of typed parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _is_unicode(text: str) -> bool:
    """Tell whether text can be stored: JSON can spell half a surrogate pair, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _load(raw: str | None) -> dict[str, Any] | None:
    if raw is None:
        return None
    try:
        choice = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return choice if isinstance(choice, dict) else None


def _evidence(choice: Mapping[str, Any], raw: str | None) -> Mapping[str, Any]:
    message = _message(choice)
    text = _text(message.get("content")) or _thinking(message) or raw or ""
    finish_reason = choice.get("finish_reason")
    shown = text[:SHOWN].encode(errors="replace").decode()
    # a finish_reason that is no word is hostile, and may not be storable either
    named = finish_reason if isinstance(finish_reason, str) and _is_unicode(finish_reason) else None
    return {"finish_reason": named, "characters": len(text), "text": shown}
