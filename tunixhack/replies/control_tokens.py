r"""Control tokens that leaked into a text: the marks by which models and servers tell turns apart.

A server that does not stop at its model's end token hands it on as text, and what the model invents behind it, often
the user's next question. A token at the very end is taken off, with the header of an assistant's turn at the very
beginning; text behind a token is not part of the answer. What is quoted, in a code block, a code span or quotation
marks, is text about tokens and stays, and so do HTML's ``<s>…</s>`` where they pair. A token that is named in a
sentence without any of these cannot be told from a leak, and is taken for one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from tunixhack._util.texts import holds_any, is_blank, trim
from tunixhack.replies.quoted import Quoted

_PIPED = r"<\|[A-Za-z][A-Za-z0-9_▁-]{0,60}\|>|<\uff5c[^<>\uff5c\n]{1,60}\uff5c>"
"""The shape of most tokens: ``<|im_end|>``, and DeepSeek's with full-width bars, which no other model writes."""

_WORDS = frozenset({
    "im", "eot", "eom", "eos", "bos", "pad", "sop", "eop", "eod", "eor", "eoa", "eoseq", "end", "start", "begin",
    "stop", "open", "close", "endoftext", "startoftext", "endofturn", "endofprompt", "beginoftext", "endoffile",
    "user", "assistant", "system", "developer", "human", "bot", "model", "tool", "tools", "observation", "role",
    "header", "turn", "channel", "message", "call", "calls", "return", "constrain", "python", "ipython", "sep",
    "separator", "think", "thinking", "thought", "inner", "content", "response", "text", "action", "prompt",
    "context", "special", "reserved", "fim", "file", "repo", "image", "video", "vision", "audio", "speech", "box",
    "object", "quad", "unk", "mask", "cls",
})  # fmt: skip
"""Words in the names of control tokens. ``<|psi|>`` is an expectation value in physics, and no token."""

_OTHERS = "|".join(
    (
        r"<(?:start_of_turn|end_of_turn|end_of_utterance|start_of_image|end_of_image|bos|eos|pad|eod|sop|eop|eot|eom|eoa)>",
        r"<\|(?:turn|channel|think|tool)>|<(?:turn|channel|think|tool)\|>",  # Gemma 4
        r"</?s>",  # Llama 2, Mistral, T5; HTML's strike-through, see below
        r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]|\[TOOL_CALLS\]|<</?SYS>>",  # Mistral, Llama 2
        r"\[gMASK\]|\[(?:EOS|BOS|EOT)\]",  # GLM, Kimi
        r"\[\|[a-z]{1,20}\|\]",  # EXAONE
        r"<seed:(?:bos|eos|pad)>",  # Seed-OSS
        r"<(?:unused|extra_id_|SPECIAL_|reserved_)\d{1,4}>|\[(?:unused|UNUSED_TOKEN_)\d{1,4}\]",
        r"\[e~\[|\]~b\]|\]~!b\[",  # MiniMax
    )
)
_TOKEN = re.compile(f"{_PIPED}|{_OTHERS}")
_SIGNS = ("<", "[", "]")
"""What any token begins with: most texts have none of these, and need not be looked through for each token."""
_FIRST = re.compile(r"<(?=[|/a-zS<\uff5c])|\[(?=[/|A-Za-z])|\](?=~)")
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")
"""GLM's vision models put these around a result in the middle of a sentence: they end nothing."""

_HEADER = re.compile(
    r"(?:<\|im_start\|>|<start_of_turn>|<\|start_header_id\|>|<\|header_start\|>|<\|start_of_role\|>|<\|turn>|<\|start\|>"
    r"|\]~b\]|<\|(?:im_)?assistant\|>|<\uff5c(?:hy_)?Assistant\uff5c>|<\|CHATBOT_TOKEN\|>|\[\|assistant\|\]|<\|assistant_start\|>)"
    r"(?:[ \t]*(?:assistant|model|ai)(?=\s|<|$))?",
    re.IGNORECASE,
)
_OPENS_A_TURN = re.compile(
    r"<\|im_start\|>|<start_of_turn>|<\|start_header_id\|>|<\|header_start\|>|<\|start_of_role\|>|<\|turn>|<\|start\|>|\]~b\]"
)
_BEFORE = re.compile(
    r"</?s>|\[/INST\]|<\|?(?:bos|sop|begin_of_text|startoftext|beginoftext|START_OF_TURN_TOKEN)\|?>|<\uff5cbegin[^<>\uff5c]{1,30}\uff5c>|\[gMASK\]|\[BOS\]"
    r"|\]~!b\[|<\|(?:end_header_id|header_end|end_of_role|im_middle|im_sep|message|content)\|>|<seed:bos>"
)

_BLANKS = re.compile("[\\s\u200b\u2060\ufeff]*")


class Cleaned(NamedTuple):
    """A text without the control tokens around it."""

    text: str
    token: str | None
    """The first token with text behind it, where the model ran on; None for a text that is whole."""


def clean(text: str, spare: re.Pattern[str] | None = None) -> Cleaned:
    r"""Take control tokens off both ends of a text, and look for one with text behind it.

    Args:
        text: an answer or a trace.
        spare: what is no leak, such as the marks around a trace.

    >>> clean("4<|im_end|>\n"), clean("4<|im_end|>\n<|im_start|>user\nAnd 3 + 3?").token
    (Cleaned(text='4', token=None), '<|im_end|>')
    """
    if not holds_any(text, _SIGNS):
        return Cleaned(trim(text), None)
    text = text[_behind_header(text, spare) :]
    found = _tokens(text)
    if found and spare:
        spans = [mark.span() for mark in spare.finditer(text)]
        found = [token for token in found if not _within(token.start(), spans)]
    end = len(text)
    while found and is_blank(text[found[-1].end() : end]):
        end = found.pop().start()
    if not found:
        return Cleaned(trim(text[:end]), None)
    quoted = Quoted(text)
    leaked = [token for token in found if not quoted(*token.span())]
    pieces, start = [], 0
    for box in (token for token in leaked if _BOX.fullmatch(token[0])):
        pieces.append(text[start : box.start()])
        start = box.end()
    first = next((token[0] for token in leaked if not _BOX.fullmatch(token[0])), None)
    return Cleaned(trim("".join([*pieces, text[start:end]])), first)


def _behind_header(text: str, spare: re.Pattern[str] | None) -> int:
    """Return where an assistant's turn begins behind its header; another speaker's header stays, for all to see."""
    start, paired = 0, "</s>" in text
    while True:
        start = _BLANKS.match(text, start).end()  # type: ignore[union-attr]  # it matches nothing, too
        header = _HEADER.match(text, start) or _BEFORE.match(text, start)
        if header is None or (spare and spare.match(text, start)):
            return start
        if _OPENS_A_TURN.fullmatch(header[0]) or (header[0] == "<s>" and paired):
            return start
        start = header.end()


def _tokens(text: str) -> list[re.Match[str]]:
    """Find the control tokens of a text, in order."""
    found = []
    struck = 0
    for place in _FIRST.finditer(text):  # several times as fast as the search for a token everywhere
        token = _TOKEN.match(text, place.start())
        if token is None:
            continue
        if token[0] == "<s>":
            struck += 1  # HTML: a start token stands at the start
        elif token[0] == "</s>" and struck:
            struck -= 1
        elif not (token[0].startswith("<|") and token[0].endswith("|>")) or _is_control(token[0][2:-2].lower()):
            found.append(token)
    return found


def _within(place: int, spans: list[tuple[int, int]]) -> bool:
    at = bisect_right(spans, place, key=lambda span: span[0]) - 1
    return at >= 0 and place < spans[at][1]


def _is_control(name: str) -> bool:
    return name.startswith(("end", "start", "begin")) or not _WORDS.isdisjoint(re.split(r"[_▁-]|\d+", name))
