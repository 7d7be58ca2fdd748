r"""The marks that models put around a trace and an answer within one text.

``<think>…</think>`` is the most common; others write ``<thought>``, ``[THINK]…[/THINK]``, ``◁think▷``, tokens such as
``<|START_THINKING|>``, or a sentence ("Here is my thought process:"). Sources: the reasoning parsers of vLLM and
SGLang, which name them by model, and the models' chat templates. OpenAI's channels are `tunixhack.replies.harmony`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tunixhack.replies.quoted import Quoted


@dataclass(frozen=True)
class Mark:
    """A mark's looks, in either case, and how it is found fast."""

    pattern: re.Pattern[str]
    first: re.Pattern[str]
    """The signs that it begins with: to look for these alone is many times as fast."""

    def places(self, text: str, start: int = 0, end: int | None = None) -> Iterator[re.Match[str]]:
        """Yield where the mark stands between two places of a text."""
        end = len(text) if end is None else end
        for place in self.first.finditer(text, start, end):
            found = self.pattern.match(text, place.start(), end)
            if found is not None:
                yield found

    def next(self, text: str, quoted: Quoted, start: int = 0, end: int | None = None) -> re.Match[str] | None:
        """Return the first place where the mark is not quoted."""
        return next((found for found in self.places(text, start, end) if not quoted(*found.span())), None)


def mark(pattern: str) -> Mark:
    """Make a mark of a regular expression, which has to match in bounded length."""
    signs = re.match(r"(?:\(\?:)?((?:\\?[<>|/\[◁])*)", pattern)
    first = signs[1] if signs and signs[1] else f"[{pattern[0].lower()}{pattern[0].upper()}]"
    return Mark(re.compile(pattern, re.IGNORECASE), re.compile(first))


@dataclass(frozen=True)
class Marks:
    """One way to tell a trace from an answer."""

    name: str
    opening: Mark
    closing: Mark
    answer_opening: Mark | None = None
    """Before the answer that follows."""
    answer_closing: Mark | None = None
    answer_closed: bool = False
    """Whether an answer without its closing mark was cut; else it may have been taken for the end of the turn."""
    alone: bool = True
    """Whether the closing mark counts without the opening one, since nothing else looks like it."""


def _tags(name: str, pattern: str | None = None, alone: bool = True) -> Marks:
    tag = pattern or name
    return Marks(name, mark(rf"<{tag}(?:\s[^<>]{{0,80}})?>"), mark(rf"</{tag}\s?>"), alone=alone)


_THOUGHT = "(?:think|thinking|thought|thoughts|reasoning)"
_REPLY = "(?:response|answer|solution|text)"

RARE = (
    "analysis",
    "scratchpad",
    "reason",
    "rationale",
    "cot",
    "chain_of_thought",
    "inner_monologue",
    "internal_monologue",
    "thought_process",
    "thinking_process",
    "reasoning_process",
)
"""Tags that prompts ask for, and that an answer may begin with as well."""

MARKS = (
    _tags("think", r"(?:\w{1,20}:)?think(?::\w{1,20})?"),  # R1, Qwen, GLM; <seed:think>, <mm:think>
    _tags("thinking"),
    _tags("thought"),  # EXAONE, Gemini
    _tags("thoughts"),
    _tags("reasoning"),
    Marks(
        "openthoughts",
        mark(r"<\|begin_of_thought\|>"),
        mark(r"<\|end_of_thought\|>"),
        mark(r"<\|begin_of_solution\|>"),
        mark(r"<\|end_of_solution\|>"),
        answer_closed=True,
    ),
    Marks(  # Cohere and those like it
        "tokens",
        mark(rf"<\|(?:begin_of_|start_of_|begin_|start_)?{_THOUGHT}(?:_start|_begin)?\|>"),
        mark(rf"<\|(?:(?:/|end_of_|end_){_THOUGHT}|{_THOUGHT}_end)\|>"),
        mark(rf"<\|(?:begin_of_|start_of_|begin_|start_)?{_REPLY}(?:_start|_begin)?\|>"),
        mark(rf"<\|(?:(?:/|end_of_|end_){_REPLY}|{_REPLY}_end)\|>"),
    ),
    Marks("brackets", mark(r"\[THINK\]"), mark(r"\[/THINK\]")),  # Mistral
    Marks("triangles", mark("◁think▷"), mark("◁/think▷")),  # Kimi-VL
    Marks("inner", mark(r"<\|inner_prefix\|>"), mark(r"<\|inner_suffix\|>")),  # Apertus
    Marks("gemma4", mark(r"<\|channel>(?:thought\n)?"), mark(r"<channel\|>")),
    Marks("medgemma", mark(r"<unused94>(?:thought\n)?"), mark("<unused95>")),
    Marks("pangu", mark(r"\[unused16\]"), mark(r"\[unused17\]")),
    Marks(
        "kimi3",
        mark(r"<\|open\|>think<\|sep\|>"),
        mark(r"<\|close\|>think<\|sep\|>"),
        mark(r"<\|open\|>response<\|sep\|>"),
        mark(r"<\|close\|>response<\|sep\|>(?:\s?<\|close\|>message<\|sep\|>)?"),
    ),
    Marks(
        "inkling",
        mark(r"<\|(?:message_model\|><\|)?content_thinking\|>"),
        mark(r"<\|end_message\|>"),
        mark(r"<\|(?:message_model\|><\|)?content_text\|>"),
        mark(r"<\|end_message\|>(?:<\|content_model_end_sampling\|>)?"),
        alone=False,
    ),
    Marks(
        "solar",
        mark(r"<\|think\|>"),
        mark(r"<\|end\|>"),
        mark(r"<\|begin\|>assistant<\|content\|>"),
        mark(r"<\|end\|>"),
        alone=False,
    ),
    Marks("granite", mark("Here(?: is|'s) my thought process:"), mark("Here(?: is|'s) my response:"), alone=False),
    Marks(
        "apriel",
        mark("Here are my reasoning steps:"),
        mark(r"\[BEGIN FINAL RESPONSE\]"),
        answer_closing=mark(r"\[END FINAL RESPONSE\]"),
    ),
    *(_tags(name, alone=False) for name in RARE),
)
"""Every way that is read, but for harmony's channels; the first whose marks are there counts."""

SIGNS = ("<", "[", "◁")
"""What any mark begins with that is not a sentence."""

BY_NAME = {marks.name: marks for marks in MARKS}
SURE = tuple(marks.name for marks in MARKS if marks.alone)
"""The names of the marks that are no ordinary text, wherever they stand."""


def _either(marks: Iterable[Marks], *others: str) -> re.Pattern[str]:
    every = (one for each in marks for one in (each.opening, each.closing, each.answer_opening, each.answer_closing))
    patterns = [one.pattern.pattern for one in every if one is not None]
    return re.compile("|".join(f"(?:{pattern})" for pattern in [*patterns, *others]), re.IGNORECASE)


STRUCTURE = _either(MARKS, r"<\|(?:channel|start|message|constrain)\|>")
"""Every mark, and harmony's: at the ends of a text it is no leaked token."""
SURE_STRUCTURE = _either((BY_NAME[name] for name in SURE), r"<\|(?:channel|message|constrain)\|>")
"""The same without the tokens that end a turn as well."""
