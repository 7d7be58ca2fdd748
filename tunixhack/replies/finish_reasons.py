"""Finish reasons: the ways in which an answer ends, from the words that servers have for them.

OpenAI's words are four; gateways pass on those of the provider behind them, and servers have their own. A word that
stands here was read in a provider's documentation or in the source of a server. One that does not is no good sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

FinishKind = Literal["complete", "truncated", "failed", "filtered"]

_WORDS: dict[FinishKind, str] = {
    "complete": (
        "stop stopped stop_sequence end_turn eos eos_token eos_found stop_string_found complete completed finished "
        "normal"
    ),
    "truncated": (
        "length max_tokens max_output_tokens max_new_tokens max_completion_tokens max_length model_length token_limit "
        "max_predicted_tokens_reached context_length context_length_reached context_length_exceeded "
        "context_window_exceeded model_context_window_exceeded"
    ),
    "filtered": (
        "content_filter content_filtered filtered safety image_safety refusal recitation blocklist blocked "
        "prohibited_content spii sensitive moderation guardrail guardrail_intervened error_toxic"
    ),
}
_BY_WORD: dict[str, FinishKind] = {word: ended for ended, words in _WORDS.items() for word in words.split()}
_NOT_TOLD = frozenset({"", "null", "none", "unspecified", "finish_reason_unspecified"})


def finish_kind(reason: Any) -> FinishKind:
    """Return how an answer ended.

    Args:
        reason: a choice's ``finish_reason``, as it was sent: in whatever letters, or not at all.

    Returns:
        ``complete``: the model ended its answer, or the server does not say (many local servers leave it out); whether
        the answer is all there is seen in its text. ``truncated``: a limit ended it. ``filtered``: the server withheld
        it. ``failed``: anything else, an error on the way, a call of a tool that was not offered, or an unknown word.

    >>> [finish_kind(reason) for reason in ("stop", "STOP", "endTurn", None, "MAX_TOKENS", "SAFETY", "abort", 7)]
    ['complete', 'complete', 'complete', 'complete', 'truncated', 'filtered', 'failed', 'failed']
    """
    if reason is None:
        return "complete"
    if not isinstance(reason, str):
        return "failed"
    word = _snake(reason)
    return "complete" if word in _NOT_TOLD else _BY_WORD.get(word, "failed")


def choice_finish_kind(choice: Mapping[str, Any]) -> FinishKind:
    """Return how a choice ended: by its ``finish_reason``, or by an error that stands in it, whatever else it says.

    >>> choice_finish_kind({"finish_reason": "stop", "error": {"code": 502, "message": "upstream is gone"}})
    'failed'
    """
    how = finish_kind(choice.get("finish_reason"))
    return "failed" if how == "complete" and choice.get("error") else how


def _snake(word: str) -> str:
    """Spell a word in small letters with underscores, however it was spelled."""
    word = word.strip().replace("-", "_").replace(" ", "_")
    if not word.isupper():
        word = "".join(f"_{letter}" if letter.isupper() else letter for letter in word).lstrip("_")
    return word.lower().replace("__", "_")
