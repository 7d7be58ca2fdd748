"""The kinds of trace, and the instructions that each adds to a domain's own messages.

``native`` is the teacher's own thinking and adds nothing. ``written`` asks for it in tags, and any thinking is thrown
away. ``guided`` is written, with the source's reference or support shown to the teacher and never to be mentioned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunixhack._util.texts import trim
from tunixhack.errors import UserError
from tunixhack.replies.message import hides_thinking, shown
from tunixhack.replies.reply import shows_thinking
from tunixhack.steps.parse import TRACES

WRITTEN = (
    "First think the task through inside <reasoning> and </reasoning>. "
    "Then write your final reply inside <answer> and </answer>. "
    "Use each tag exactly once, and write nothing outside them."
)
GUIDED = (
    "For your eyes only, to lead your reasoning to the right end. The reader never sees it, so never mention it, "
    "quote it or hint that it exists; reason as if you found everything by yourself."
)

Messages = list[dict[str, str]]

BEGINNING = 60
"""Characters of a reply that are shown where no thinking was found in it."""


def with_trace(
    prompt: str | Sequence[Mapping[str, str]], trace: str, row: Mapping[str, Any], written: str | None = None
) -> Messages:
    """Add what a kind of trace needs to the messages of a domain's ``prompt(row)``.

    Args:
        prompt: messages, or a text that becomes the user's one message.
        trace: native, written or guided.
        row: the question's row; guided reads its ``reference`` and ``support``.
        written: how a written trace is asked for; None for `WRITTEN`.

    Raises:
        UserError: the trace is none of the three, or guided is asked for a row that has nothing to guide with.

    >>> with_trace("Why is the sky blue?", "written", {})[1]
    {'role': 'user', 'content': 'Why is the sky blue?'}
    """
    if isinstance(prompt, str):
        messages = [{"role": "user", "content": prompt}]
    else:
        messages = [dict(message) for message in prompt]
    if trace == "native":
        return messages
    if trace == "written":
        return with_system(messages, written or WRITTEN)
    if trace == "guided":
        return with_system(messages, f"{_guide(row)}\n\n{written or WRITTEN}")
    raise UserError(f"trace={trace!r} is unknown: it is one of {', '.join(TRACES)}")


def no_thinking(choice: Any) -> str | None:
    """Return what is wrong with a choice that was to show thinking of its own; None where it shows some.

    Args:
        choice: an element of an OpenAI-compatible response's ``choices``.

    Returns:
        The end of a sentence about the teacher. It tells how the reply begins, so that marks which are not known, see
        `tunixhack.replies.markers`, can be told from no thinking at all.

    >>> no_thinking({"message": {"content": "180 minutes."}})
    "shows no thinking of its own: use --trace written, which asks for it (its reply begins '180 minutes.')"
    """
    message = choice.get("message") if isinstance(choice, Mapping) else None
    message = message if isinstance(message, Mapping) else {}
    if shows_thinking(message):
        return None
    if hides_thinking(message):
        return "thinks, but what it thinks is encrypted or left out: use --trace written, which asks for a trace"
    text = trim(shown(message))
    reply = f"its reply begins {text[:BEGINNING]!r}" if text else "its reply is empty"
    return f"shows no thinking of its own: use --trace written, which asks for it ({reply})"


def with_system(messages: Messages, text: str) -> Messages:
    """Add a text to the system message, which is made where there is none."""
    if messages and messages[0]["role"] == "system":
        first = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _guide(row: Mapping[str, Any]) -> str:
    shown = [f"{name.capitalize()}: {row[name]}" for name in ("reference", "support") if row.get(name)]
    if not shown:
        raise UserError(
            f"trace=guided needs a reference or a support, and question {row.get('question_id')} has neither: "
            "use --trace written"
        )
    return "\n".join([GUIDED, *shown])
