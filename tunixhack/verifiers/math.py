"""Comparison of an answer of mathematics with a reference, as math-verify reads both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tunixhack._util.installation import installed_version
from tunixhack.verifiers.bounded_process import BoundedProcess

LONGEST = 20_000
"""Characters of an answer, its last ones, that are read."""


class Claim(NamedTuple):
    """The judgement of math-verify on an answer."""

    right: bool | None
    """None where it reads nothing in the answer or the reference."""
    text: str | None = None
    """What the answer claims."""


def reader() -> str | None:
    """Return the version of math-verify, which comes with ``tunixhack[generate]``; None where it is not installed."""
    version = installed_version("math-verify")
    return f"math-verify {version}" if version else None


def claims(pairs: Iterable[tuple[str, str]]) -> list[Claim]:
    """Compare answers with references.

    Args:
        pairs: reference and answer.

    Returns:
        A claim for each; all are unread where math-verify is not installed.
    """
    pairs = [(reference, answer[-LONGEST:]) for reference, answer in pairs]
    known: dict[tuple[str, str], Claim] = {}
    if pairs and reader() is not None:
        with _worker() as ask:
            for pair in pairs:
                if pair not in known:
                    known[pair] = ask(*pair)
    return [known.get(pair, Claim(None)) for pair in pairs]


@contextmanager
def _worker() -> Iterator[Callable[[str, str], Claim]]:
    process = BoundedProcess("tunixhack.verifiers.math_worker")

    def ask(reference: str, answer: str) -> Claim:
        found = process.ask({"reference": reference, "answer": answer})
        return Claim(None) if found is None else Claim(found["right"], found.get("claim"))

    try:
        yield ask
    finally:
        process.close()
