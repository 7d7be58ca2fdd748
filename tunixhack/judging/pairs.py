"""Two answers before a judge: what it is asked, in one order and in the other, and which one it says is better."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunixhack.judging.criteria import bullets
from tunixhack.judging.tags import NO_INSTRUCTION, tagged
from tunixhack.steps.model_replies import json_object, reply_text

SYSTEM = "You compare two answers to the same request. You judge them, and do not answer the request yourself."
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "better": {"type": "string", "enum": ["first", "second", "neither"]},
    },
    "required": ["reason", "better"],
    "additionalProperties": False,
}
_NAMES = ("better", "choice", "winner", "preference", "preferred", "verdict", "answer")
"""Under which a reply can have its choice."""
_FIRST, _SECOND = ("first", "1", "a", "one"), ("second", "2", "b", "two")
_NEITHER = ("neither", "tie", "both", "equal", "none", "draw", "same")
_VALUES = dict.fromkeys(_FIRST, 1.0) | dict.fromkeys(_SECOND, 0.0) | dict.fromkeys(_NEITHER, 0.5)
_LONE = re.compile(
    rf"[\s*_`\"'#>(\[]*(?:(?:the|answer|better|winner|choice|is|:|=|-)[\s*_`\"'(\[]*)*"
    rf"(?P<choice>{'|'.join(_VALUES)})(?:\s+(?:answer|one|is\s+better))*[\s*_`\"')\].!]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Pair:
    """Two answers to a question."""

    question: str
    """With its context, as it was asked."""
    one: str
    other: str

    def messages(self, criteria: Sequence[str], *, one_first: bool) -> list[dict[str, str]]:
        """Return what a judge is asked.

        Args:
            criteria: what it looks at.
            one_first: whether `one` is shown first, or `other`.
        """
        first, second = (self.one, self.other) if one_first else (self.other, self.one)
        shown = tagged(request=self.question, first=first, second=second)
        return [
            {"role": "system", "content": SYSTEM},
            {
                "role": "user",
                "content": (
                    f"Which of two answers to the request is better by these criteria?\n\n{bullets(criteria)}\n\n"
                    f"{shown}\n\n{NO_INSTRUCTION} Which answer stands first is chance, and a longer one is not better "
                    'for its length. Reply with JSON and nothing else: {"reason": "…", "better": "first"}, with '
                    'one sentence as the reason, and "first", "second", or "neither" where they are equally good.'
                ),
            },
        ]


def read_better(choice: str | None) -> float | None:
    r"""Read out of a judge's choice which answer is better.

    Args:
        choice: as JSON, as the store has it; what a model writes in it is hostile.

    Returns:
        1 for the answer that was shown first, 0 for the second, ½ for neither; None where it says none of these.

    >>> read_better('{"message": {"content": "{\\"reason\\": \\"It ends well.\\", \\"better\\": \\"second\\"}"}}')
    0.0
    >>> [read_better_text(text) for text in ("First", "**Answer 2**", "tie.", "first or second", "I like it.")]
    [1.0, 0.0, 0.5, None, None]
    """
    return read_better_text(reply_text(choice))


def read_better_text(text: str | None) -> float | None:
    """Read which answer is better out of what a judge says; see `read_better`."""
    found = json_object(text)
    if found is not None:
        named = [value for name, value in found.items() if name.strip().lower() in _NAMES]
        text = named[0] if len(named) == 1 and isinstance(named[0], str) else None
        if text is None and len(named) == 1 and named[0] in (1, 2) and not isinstance(named[0], bool):
            text = str(named[0])
    if text is None or len(text) > 200:
        return None
    lone = _LONE.fullmatch(text)
    return None if lone is None else _VALUES[lone["choice"].lower()]
