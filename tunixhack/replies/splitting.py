"""A text that a model wrote, taken apart into traces and what stands behind them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from tunixhack._util.texts import holds_any, is_blank, trim
from tunixhack.replies.control_tokens import clean
from tunixhack.replies.harmony import read_channels
from tunixhack.replies.markers import BY_NAME, MARKS, RARE, SIGNS, Marks
from tunixhack.replies.quoted import Quoted

HARMONY = "harmony"
"""What a split's form is called where the trace stood on a channel."""
_ALWAYS = ("think", "reasoning")
"""Marks that no answer may hold: what is learnt is written in them."""
_FIRST = re.compile(r"[<\[◁]|here", re.IGNORECASE)
"""What any mark begins with."""
_ANSWER = re.compile(r"<(/?)answer\s?>", re.IGNORECASE)
_WRAPPER = re.compile(r"<(response|solution|output|final_answer|final)>(.*)</\1>", re.DOTALL | re.IGNORECASE)
"""Tags around a whole answer behind a trace."""


class Split(NamedTuple):
    """A text taken apart."""

    traces: tuple[str, ...]
    """In the text's order; none of them is blank."""
    rest: str
    """What stands behind them."""
    form: str | None
    """The name of the last marks, blank traces included; None where there are none."""

    @property
    def trace(self) -> str | None:
        """Return the trace in one text; None where there are no marks."""
        return None if self.form is None else "\n\n".join(self.traces)


def split_traces(text: str, *, leave: Collection[str] = (), apart: bool = False) -> Split | None:
    """Take the traces off the beginning of a text.

    Several in a row are one trace in pieces: Qwen's templates open an empty one before that of the model. Most chat
    templates open the trace themselves, so that a text may begin within it.

    Args:
        text: what a model wrote.
        leave: names of marks to take for text.
        apart: whether a trace came apart from the text, so that it need not hold one: then rare tags are text, and
            only ``</think>`` ends a trace that nothing opened.

    Returns:
        The parts; None where marks do not pair, or stand where trace and answer cannot be told apart.

    >>> split_traces("<think>2 + 2</think> 4")
    Split(traces=('2 + 2',), rest='4', form='think')
    """
    text = trim(text)
    channels = read_channels(text)
    always = set(_ALWAYS).difference(leave)
    if channels is not None:
        whole = channels.whole and not holds_marks(channels.final, always)
        return Split(_distinct(channels.analysis), trim(channels.final), HARMONY) if whole else None
    if not (_FIRST.match(text) or holds_any(text, SIGNS)):  # most texts that came apart
        return Split((), text, None)
    quoted = Quoted(text)
    known = [one for one in MARKS if one.name not in leave and not (apart and one.name in RARE)]
    traces: list[str] = []
    used: list[str] = []
    start = 0
    while True:
        found = _leading(text, start, known, quoted)
        if found is None and not used:
            found = _unopened(text, [one for one in known if one.alone and (not apart or one.name == "think")], quoted)
        if found is None:
            break
        marks, begin, end, behind = found
        strays = (marks.opening, BY_NAME["think"].opening, BY_NAME["think"].closing)
        if end is None or any(mark.next(text, quoted, begin, end) is not None for mark in strays):
            return None
        traces.append(text[begin:end])
        used.append(marks.name)
        start = _skip(text, behind)
    rest = trim(text[start:])
    if holds_marks(rest, always.union(used)):
        return None
    return Split(_distinct(traces), rest, used[-1] if used else None)


def holds_marks(text: str, names: Iterable[str]) -> bool:
    """Tell whether a text holds a mark of a trace, unless it quotes it.

    Args:
        text: an answer.
        names: of the marks that are looked for.
    """
    quoted = Quoted(text)
    for marks in (BY_NAME[name] for name in names):
        # a closing mark that ends turns, too, is no trace's alone
        for one in (marks.opening, marks.closing) if marks.alone else (marks.opening,):
            if one.next(text, quoted) is not None:
                return True
    return False


def begins_a_trace(text: str) -> bool:
    """Tell whether a text begins with the mark of a trace, closed or not."""
    text = trim(text)
    marked = _FIRST.match(text) is not None
    return read_channels(text) is not None or (marked and any(marks.opening.pattern.match(text) for marks in MARKS))


def bare_trace(text: str) -> str:
    """Return a text that is all trace without the marks around it, of which either may be missing.

    >>> bare_trace("<think>2 + 2"), bare_trace("2 + 2</think>"), bare_trace("2 + 2")
    ('2 + 2', '2 + 2', '2 + 2')
    """
    text = trim(text)
    split = split_traces(text)
    if split is not None and split.form and not split.rest:
        return split.trace or ""
    begin = 0
    while _FIRST.match(text, begin) and (
        opening := next((one for marks in MARKS if (one := marks.opening.pattern.match(text, begin))), None)
    ):
        begin = _skip(text, opening.end())
    return trim(text[begin:])


def unwrap_answer(text: str, form: str | None) -> str | None:
    """Take off the marks around an answer.

    ``<answer>`` tags are taken off where there is one pair, though text stands around it; other marks only where they
    are around the whole, and belong to the trace's.

    Args:
        text: what stands behind a trace.
        form: the name of the trace's marks; None where the trace came apart.

    Returns:
        The answer; None where the marks do not pair.

    >>> unwrap_answer("<answer>4</answer>", "think"), unwrap_answer("So: <answer>4</answer>.", None)
    ('4', 'So: 4.')
    """
    own = BY_NAME.get(form or "")
    unwrapped = _without_own(trim(text), own) if own is not None and own.answer_closing is not None else trim(text)
    if unwrapped is None:
        return None
    text = unwrapped
    quoted = Quoted(text)
    tags = [tag for tag in _ANSWER.finditer(text) if not quoted(*tag.span())]
    if tags:
        if [tag[1] for tag in tags] != ["", "/"]:
            return None
        first, last = tags
        return trim(text[: first.start()] + text[first.end() : last.start()] + text[last.end() :])
    wrapped = _WRAPPER.fullmatch(text) if form else None
    if wrapped and not re.search(rf"</?{wrapped[1]}>", wrapped[2], re.IGNORECASE):
        return trim(wrapped[2])
    return text


def without_fence(text: str) -> str:
    r"""Take off a code fence that stands around a whole text of marks.

    >>> without_fence("```xml\n<think>2 + 2</think>4\n```")
    '<think>2 + 2</think>4'
    """
    text = trim(text)
    if not text.startswith(("```", "~~~")):
        return text
    first, _, rest = text.partition("\n")
    inner, _, last = rest.rpartition("\n")
    fence = re.match("`{3,}|~{3,}", first)
    if fence is None or not inner or trim(last) != fence[0] or "`" in first[fence.end() :]:
        return text
    inner = trim(inner)
    return inner if begins_a_trace(inner) or _ANSWER.match(inner) else text


class _Found(NamedTuple):
    marks: Marks
    begin: int
    """Where the trace begins."""
    end: int | None
    """Where it ends; None where nothing closes it."""
    behind: int
    """Where the text behind its marks begins."""


def _leading(text: str, start: int, known: Sequence[Marks], quoted: Quoted) -> _Found | None:
    """Find the trace that begins at a place."""
    if not _FIRST.match(text, start):
        return None
    unclosed: _Found | None = None
    for marks in known:
        opening = marks.opening.pattern.match(text, start)
        if opening is None:
            continue
        begin = opening.end()
        while again := marks.opening.pattern.match(text, _skip(text, begin)):  # the template's and the model's
            begin = again.end()
        closings = list(islice(marks.closing.places(text, begin), 2))
        if closings:
            # a stray backtick in a trace can make its end look quoted: the only one counts all the same
            several = marks.alone and len(closings) > 1
            closing = (marks.closing.next(text, quoted, begin) if several else None) or closings[0]
            return _Found(marks, begin, closing.start(), closing.end())
        unclosed = unclosed or _Found(marks, begin, None, len(text))
    return unclosed


def _unopened(text: str, known: Sequence[Marks], quoted: Quoted) -> _Found | None:
    """Find the end of a trace that a chat template has opened."""
    closings = [(marks, closing) for marks in known if (closing := marks.closing.next(text, quoted)) is not None]
    if not closings:
        return None
    marks, closing = min(closings, key=lambda found: found[1].start())
    return _Found(marks, 0, closing.start(), closing.end())


def _skip(text: str, start: int) -> int:
    while start < len(text) and is_blank(text[start]):
        start += 1
    return start


def _distinct(traces: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trim(trace) for trace in traces if not is_blank(trace)))


def _without_own(text: str, marks: Marks) -> str | None:
    """Take a trace's own marks off the answer behind it."""
    opening, closing = marks.answer_opening, marks.answer_closing
    assert closing is not None
    text = clean(text, closing.pattern).text
    before, ends = opening.pattern.match(text) if opening else None, list(closing.places(text))
    behind = ends[-1] if ends and is_blank(text[ends[-1].end() :]) else None
    if marks.answer_closed and (before is None) != (behind is None):
        return None
    text = text[before.end() if before else 0 : behind.start() if behind else len(text)]
    quoted = Quoted(text)
    strays = (one for one in (opening, closing) if one is not None)
    return None if any(one.next(text, quoted) is not None for one in strays) else trim(text)
