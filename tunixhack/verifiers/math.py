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
    with _process() as process:

        def ask(reference: str, answer: str) -> Claim:
            found = process.ask({"reference": reference, "answer": answer})
            return Claim(None) if found is None else Claim(found["right"], found.get("claim"))

        yield ask


class AnswerReader:
    """Reads answers without a reference: what one claims, and whether two claim the same.

    Both are asked of math-verify in a process with limits of time and memory.
    """

    def __init__(self, process: BoundedProcess) -> None:
        """Read by a process of `tunixhack.verifiers.math_worker`."""
        self._process = process

    def claim(self, answer: str) -> str | None:
        """Return the number or formula that an answer claims, as it stands there; None where nothing is read."""
        found = self._process.ask({"read": answer[-LONGEST:]})
        return None if found is None else found.get("claim")

    def same(self, one: str, other: str) -> bool:
        """Tell whether two answers claim the same, as 1/2 and 0.5 are; False where one of them is not read."""
        found = self._process.ask({"answers": [one[-LONGEST:], other[-LONGEST:]]})
        return found is not None and found["right"] is True


@contextmanager
def answer_reader() -> Iterator[AnswerReader]:
    """Start what reads answers without a reference; it reads nothing where math-verify is not installed."""
    with _process() as process:
        yield AnswerReader(process)


@contextmanager
def _process() -> Iterator[BoundedProcess]:
    process = BoundedProcess("tunixhack.verifiers.math_worker")
    try:
        yield process
    finally:
        process.close()
