"""The tokens of each choice, where a server's ``usage`` reports those of one choice only, as llama.cpp's does.

Such a server has an address that turns texts into tokens, and ids between the texts come back as they went: one request
counts all choices of an answer. Where that fails, ``usage`` says of how many choices its tokens are, and sums
are shown as "at least".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

SEPARATOR = -1
"""Sent between two texts; no token has this id."""
SECONDS = 10.0
"""Seconds for one request; an answer that was paid for does not wait longer to be stored."""
OF_CHOICES = "of_choices"
"""Key in a stored ``usage``: how many choices its completion tokens are of, where that is not all."""
BY_CHOICE = "by_choice"
"""Key in a stored ``usage``: the completion tokens of each choice, in their order."""
IN_BATCH = "batch"
"""Key in a stored ``usage``: present if the answer came in a batch."""
OURS = frozenset((OF_CHOICES, BY_CHOICE, IN_BATCH))
"""Keys that only this package adds to a ``usage``; those that a server sends are removed."""
MOST = 2**63 - 1
"""The largest count that a table holds."""
TRIAL = ("one", "two words")
"""Texts by which the preflight sees whether a server counts."""


def token_count(value: Any) -> int | None:
    """Read a count of tokens; None, which is unknown, for anything but a whole number that a table holds.

    >>> token_count(12), token_count(2**63), token_count(-1), token_count("12"), token_count(True), token_count(12.0)
    (12, None, None, None, None, None)
    """
    return value if type(value) is int and 0 <= value <= MOST else None


class TokenCounts(NamedTuple):
    """The tokens of a ``usage``, as far as they are known."""

    prompt: int | None
    completion: int | None


def token_counts(usage: Mapping[str, Any]) -> TokenCounts:
    """Read the counts of a ``usage``.

    >>> token_counts({"prompt_tokens": 12, "completion_tokens": -1})
    TokenCounts(prompt=12, completion=None)
    """
    return TokenCounts(token_count(usage.get("prompt_tokens")), token_count(usage.get("completion_tokens")))


def tokenizer_url(url: str) -> str:
    """Return the address of the tokenizer of the server at a base address.

    >>> tokenizer_url("http://127.0.0.1:8080/v1")
    'http://127.0.0.1:8080/tokenize'
    """
    return f"{url.removesuffix('/v1')}/tokenize"


def request_body(texts: Sequence[str]) -> dict[str, Any]:
    """Return the body of the request that counts texts.

    >>> request_body(["Hm.", "Yes."])
    {'content': ['Hm.', -1, 'Yes.', -1]}
    """
    return {"content": [part for text in texts for part in (text, SEPARATOR)]}


def read_counts(answer: Any, texts: int) -> list[int] | None:
    """Read how many tokens each text has; None where the answer is not of that many texts.

    >>> read_counts({"tokens": [7, 8, -1, 9, -1]}, 2)
    [2, 1]
    """
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list):
        return None
    ends = [place for place, token in enumerate(tokens) if token == SEPARATOR]
    if len(ends) != texts or (tokens and tokens[-1] != SEPARATOR):
        return None
    return [end - begin - 1 for begin, end in zip([-1, *ends], ends, strict=False)]


def with_choice_tokens(completion: dict[str, Any], tokens: Sequence[int] | None) -> dict[str, Any]:
    """Note in a completion's ``usage`` the tokens of all of its choices, or that they are not known.

    Args:
        completion: of a server that reports the tokens of one choice.
        tokens: in each choice's text; None where that could not be found out.

    >>> usage = {"prompt_tokens": 9, "completion_tokens": 4}
    >>> two = {"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}], "usage": usage}
    >>> with_choice_tokens(two, [3, 5])["usage"]
    {'prompt_tokens': 9, 'completion_tokens': 9, 'by_choice': [4, 5]}
    >>> with_choice_tokens(two, None)["usage"]
    {'prompt_tokens': 9, 'completion_tokens': 4, 'of_choices': 1}
    """
    usage = completion.get("usage")
    updated = dict(usage) if isinstance(usage, dict) else {}
    if tokens is None:
        return completion if not updated else {**completion, "usage": {**updated, OF_CHOICES: 1}}
    # the token that ends an answer is no text, and the server counts it
    ended = [isinstance(one, Mapping) and one.get("finish_reason") == "stop" for one in completion["choices"]]
    each = [count + end for count, end in zip(tokens, ended, strict=True)]
    updated.pop("total_tokens", None)  # of one choice
    return {**completion, "usage": {**updated, "completion_tokens": sum(each), BY_CHOICE: each}}
