"""Identities that outlive a process: question ids, request keys, ranks and seeds.

All are sha256 over JSON with sorted keys, so that they are the same on every machine, Python and package
version. Python's and polars' own hashes change between versions and are never written to disk.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

SEED_MODULUS = 2**31
"""Seeds are below this: llama.cpp takes 32 unsigned bits and some servers 31."""


def digest(*parts: Any) -> str:
    """Hash JSON-able parts to 64 hex digits; equal parts give equal digests everywhere."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    # surrogatepass: a lone surrogate, which a broken source can hold, must get an id too
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def question_id(domain: str, question: str, context: str | None = None) -> str:
    """Identify a question by what the student will see (contract 1).

    Args:
        domain: the recipe's domain; the same words in two domains are two questions.
        question: what the student will be asked.
        context: text that the student sees with the question, if any.

    Returns:
        The first 16 hex digits of sha256 over domain, NFC question and NFC context.

    >>> question_id("math", "1 + 1?") == question_id("math", "1 + 1?", None)
    True
    """
    nfc = unicodedata.normalize("NFC", question)
    return digest(domain, nfc, unicodedata.normalize("NFC", context) if context else None)[:16]


def request_key(
    identity: Mapping[str, Any],
    model: str,
    messages: Sequence[Mapping[str, str]],
    sampling: Mapping[str, Any],
    grammar: str | None = None,
) -> str:
    """Identify what a teacher is asked, apart from which sample of it (contract 5).

    Args:
        identity: who answers: URL without credentials or file hash, served model, quantisation.
        model: the model name that is sent.
        messages: the chat messages as rendered for one row.
        sampling: parameters of the request body, without ``seed`` and ``n``.
        grammar: the grammar that the answer must follow, where the server takes one.

    Returns:
        64 hex digits. Not in it, hence free to change: key, concurrency, timeouts, retries, the port of an
        embedded server, Python and package versions.
    """
    return digest(dict(identity), model, [dict(message) for message in messages], dict(sampling), grammar)


def rank(seed: int, question: str) -> str:
    """Return the sort key that puts candidate questions in their random but fixed order (contract 8)."""
    return digest(seed, question)


def sample_seed(run_seed: int, question: str, sample: int) -> int:
    """Return the seed of one sample: (base + sample) mod 2³¹, base from the run's seed and the question (contract 6).

    Args:
        run_seed: the run's ``--seed``.
        question: a question_id.
        sample: from 0; a probe is -1.
    """
    base = int(digest("seed", run_seed, question)[:8], 16)
    return (base + sample) % SEED_MODULUS
