"""The one reader of traces and answers: of what teachers reply, and of the rows that students are trained on.

What is read is one trace and one answer, whatever the form. Three things are read in this order:

1. A written pair, ``<reasoning>…</reasoning><answer>…</answer>`` and nothing outside. What a model thought before it
   is thrown away, and so is a code fence around it.
2. A trace apart from the content, in the places that `tunixhack.replies.message` lists.
3. A trace in the content, in the marks that `tunixhack.replies.markers` lists.

A trace that stands in two of these places is read once; two different ones are ambiguous. Where there is
nothing in the content, the trace's field is read as the content: some servers put everything there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tunixhack._util.texts import is_blank, is_unicode, trim
from tunixhack.replies.control_tokens import clean
from tunixhack.replies.markers import STRUCTURE, SURE, SURE_STRUCTURE
from tunixhack.replies.message import message_texts
from tunixhack.replies.splitting import (
    bare_trace,
    begins_a_trace,
    holds_marks,
    split_traces,
    unwrap_answer,
    without_fence,
)

_TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
_FENCE_END = re.compile(r"\n[ \t]*(?:```+|~~~+)\Z")
_LAYERS = 3
"""Fences and tokens around one another that are taken off."""
_FEW_WORDS = 3
"""A trace of fewer words may be the first paragraph of its answer without being there twice."""


class Reply(NamedTuple):
    """The trace and answer of a message; without a problem, both are there and not blank."""

    reasoning: str | None
    answer: str | None
    problem: str | None
    """None, or ``malformed``, ``control_tokens``, ``empty`` or ``no_trace``; see `Parse`."""
    form: str | None = None
    """The marks that the trace stood in, by their name in `markers.MARKS`; None where it came apart."""


def read_message(message: Mapping[str, Any], *, written: bool = False) -> Reply:
    """Read a message.

    Args:
        message: what an OpenAI-compatible server or a dataset has for an assistant's turn.
        written: read the written pair alone, and throw every other trace away.

    Returns:
        Trace and answer without white space at their ends, or a problem. No message, however broken, raises.

    >>> read_message({"content": "<think>2 + 2</think><answer>4</answer>"})[:3]
    ('2 + 2', '4', None)
    """
    thinking, content = message_texts(message)
    if not (is_unicode(content) and is_unicode(thinking)):
        return _problem("malformed")
    if not is_blank(content):
        return _written(content, thinking) if written else _any(content, thinking)
    elsewhere = _written("", thinking) if written else _any(thinking, "")
    if elsewhere.problem in (None, "control_tokens"):
        return elsewhere
    return Reply((not written and _apart(thinking)) or None, None, "empty")


def shows_thinking(message: Mapping[str, Any]) -> bool:
    """Tell whether there is any thinking in a message, though it may be cut short and the answer missing."""
    thinking, content = message_texts(message)
    if not (is_unicode(content) and is_unicode(thinking)):
        return False
    text = _bare(content)
    return not is_blank(thinking) or begins_a_trace(text) or holds_marks(text, SURE)


def _any(content: str, thinking: str) -> Reply:
    text = _bare(content)
    pair = _pair(text)
    if pair is not None and not any(map(is_blank, pair)):
        return _whole(*pair, "reasoning")
    own = _apart(thinking)
    split = split_traces(text, apart=bool(own))
    if own and split is not None and split.form is None:
        rare = split_traces(text)  # tags that are no trace's unless the very trace is in them
        split = rare if rare is not None and _spaced(rare.trace or "") == _spaced(own) else split
    answer = None if split is None else unwrap_answer(split.rest, split.form)
    if split is None or answer is None:
        return _broken(text)
    found = split.trace
    if own and found and _spaced(own) != _spaced(found):
        return _broken(text)
    if not own and found is None:
        return Reply(None, clean(answer).text or None, "no_trace")
    return _whole(own or found or "", _behind_copy(own, answer), split.form)


def _written(content: str, thinking: str) -> Reply:
    text = _bare(content or thinking)
    pair = _pair(text)
    if pair is None and _TAGS[0] in thinking:
        # a server can take the pair, or its first half, for thinking; what stands before it is
        behind = (thinking + content)[thinking.rindex(_TAGS[0]) :]
        pair = _tagged(clean(_FENCE_END.sub("", trim(behind))).text)
    return _broken(text) if pair is None else _whole(*pair, "reasoning")


def _bare(content: str) -> str:
    """Take off code fences and control tokens around a content."""
    return _peeled(trim(content), lambda text: without_fence(clean(text, STRUCTURE).text))


def _pair(text: str) -> tuple[str, str] | None:
    """Read a written pair, with or without thinking before it."""
    if _TAGS[0] not in text:
        return None
    if not text.startswith(_TAGS[0]):
        split = split_traces(text, leave=("reasoning",))
        if split is None or split.form is None:
            return None
        text = _bare(split.rest)
    return None if holds_marks(text, ("think",)) else _tagged(clean(text).text)


def _tagged(text: str) -> tuple[str, str] | None:
    """Take a text apart that is exactly one trace and one answer in tags."""
    opening, closing, answer_opening, answer_closing = _TAGS
    if not (text.startswith(opening) and text.endswith(answer_closing)) or any(text.count(tag) != 1 for tag in _TAGS):
        return None
    reasoning, _, rest = text.removeprefix(opening).partition(closing)
    between, _, answer = rest.partition(answer_opening)
    # an answer that was opened inside the reasoning leaves its end here
    return None if not is_blank(between) else (reasoning, answer.removesuffix(answer_closing))


def _apart(thinking: str) -> str:
    """Return a trace that stands apart, without what its server left around it."""
    return _peeled(thinking, lambda text: clean(bare_trace(clean(text, STRUCTURE).text)).text)


def _peeled(text: str, peel: Callable[[str], str]) -> str:
    """Take layers off a text as long as there are any, up to a few."""
    for _ in range(_LAYERS):
        bare = peel(text)
        if bare == text:
            break
        text = bare
    return text


def _behind_copy(trace: str, answer: str) -> str:
    """Leave out a trace that an answer repeats, word for word, as its first paragraphs."""
    if not trace or not answer.startswith(trace) or len(trace.split(maxsplit=_FEW_WORDS)) < _FEW_WORDS:
        return answer
    rest = answer[len(trace) :]
    return answer if is_blank(rest) or not rest.lstrip(" \t").startswith("\n") else rest


def _whole(reasoning: str, answer: str, form: str | None) -> Reply:
    trace, said = clean(reasoning), clean(answer)
    problem = None if trace.text and said.text else "empty"
    if trace.token or said.token:
        problem = "control_tokens"
    return Reply(trace.text or None, said.text or None, problem, form)


def _broken(text: str) -> Reply:
    return _problem("control_tokens" if clean(text, SURE_STRUCTURE).token else "malformed")


def _problem(problem: str) -> Reply:
    return Reply(None, None, problem)


def _spaced(text: str) -> str:
    return " ".join(trim(text).split())
