"""Scores of answers under a student, and the file that keeps them. Nothing here imports jax.

The rank-surprisal ratio of an answer is the mean rank of its tokens over their mean negative log-likelihood (Yang et
al., Which Reasoning Trajectories Teach Students to Reason Better?, 2026, https://arxiv.org/abs/2601.14249). As in its
authors' code (https://github.com/UmeanNever/RankSurprisalRatio), the rank of a token is one more than the number of
tokens with a higher logit, and at most 100; a lower ratio is better: tokens that the student did not expect, and yet
had among its first guesses.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HIGHEST_RANK = 100
"""What ranks are cut to, as the authors of the ratio have it."""
SMALLEST = 1e-12
"""What the mean negative log-likelihood is at least taken for where it divides."""
DIGITS = 6
"""Significant digits that are kept of a score: what else is computed beside an answer changes those behind."""


@dataclass(frozen=True, kw_only=True)
class AnswerScore:
    """The score of one answer.

    >>> AnswerScore(tokens=40, nll=0.5, mean_rank=1.25).rank_surprisal
    2.5
    """

    tokens: int
    """That are learnt: trace, answer, their tags, and the end of the turn."""
    nll: float
    """The mean negative log-likelihood of these, in nats."""
    mean_rank: float
    """The mean of their ranks, each at most `HIGHEST_RANK`."""

    @property
    def rank_surprisal(self) -> float:
        """The rank-surprisal ratio."""
        return float(f"{self.mean_rank / max(self.nll, SMALLEST):.{DIGITS}g}")


@dataclass(frozen=True)
class ScoreSums:
    """Sums of scores, exact, so that it does not matter in which order they are added."""

    nll: Fraction = Fraction(0)
    mean_rank: Fraction = Fraction(0)
    answers: int = 0

    @classmethod
    def of(cls, scores: Iterable[AnswerScore]) -> ScoreSums:
        """Add up scores."""
        found = list(scores)
        nll = sum((Fraction(one.nll) for one in found), Fraction(0))
        return cls(nll, sum((Fraction(one.mean_rank) for one in found), Fraction(0)), len(found))

    def __add__(self, other: ScoreSums) -> ScoreSums:
        """Add the sums of other answers."""
        return ScoreSums(self.nll + other.nll, self.mean_rank + other.mean_rank, self.answers + other.answers)

    @property
    def ratio(self) -> float | None:
        """The rank-surprisal ratio of all of them, that of the means; None of none."""
        return float(self.mean_rank) / max(float(self.nll), SMALLEST) if self.answers else None


def ratio_of_all(scores: Iterable[AnswerScore]) -> float | None:
    """Return the ratio of a whole dataset, that of the means over its answers; None of nothing.

    >>> ratio_of_all([AnswerScore(tokens=9, nll=1, mean_rank=2), AnswerScore(tokens=9, nll=3, mean_rank=4)])
    1.5
    """
    return ScoreSums.of(scores).ratio


class ScoreFile:
    """Scores that are kept in a file, one a line, under what they depend on beside the student.

    A line that a kill or a full disk has torn is left out, and what it held is computed again. In memory a score takes
    `_ROW.itemsize` bytes, 36, so that those of millions of answers can be known.

    Args:
        path: the file; made with its folder when there is something to keep. One file a student.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self._path = path
        self._sorted: list[NDArray[Any]] = []
        """Parts of what is known, each at most half as large as the one before, in the order of their keys."""
        with suppress(OSError), path.open("rb") as file:
            while lines := list(islice(file, _LINES)):
                self._know(dict(filter(None, map(_read, lines))))

    def known(self, keys: Collection[str]) -> dict[str, AnswerScore]:
        """Return the scores that are known of some keys."""
        asked, found = list(keys), dict[str, AnswerScore]()
        wanted = np.array([_digest(key) for key in asked], dtype=_KEY)
        for part in self._sorted:
            places = np.minimum(np.searchsorted(part["first"], wanted["first"]), len(part) - 1)
            there = part[places]
            same = (there["first"] == wanted["first"]) & (there["second"] == wanted["second"])
            for at in np.flatnonzero(same):
                tokens, nll, rank = there[at].item()[2:]
                found[asked[at]] = AnswerScore(tokens=tokens, nll=nll, mean_rank=rank)
        return found

    def add(self, scores: Mapping[str, AnswerScore]) -> None:
        """Keep more scores; where they cannot be written, they are known until this process ends."""
        self._know(scores)
        lines = [[key, one.tokens, one.nll, one.mean_rank] for key, one in scores.items()]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # behind a line that was torn, the first of these would be lost, too
                file.write(f"\n{text}".encode())

    def _know(self, scores: Mapping[str, AnswerScore]) -> None:
        rows = [(*_digest(key), one.tokens, one.nll, one.mean_rank) for key, one in scores.items()]
        new = np.sort(np.array(rows, dtype=_ROW), order=["first", "second"])
        while self._sorted and len(self._sorted[-1]) < 2 * len(new):
            new = np.sort(np.concatenate([self._sorted.pop(), new]), order=["first", "second"], kind="stable")
        if len(new):
            self._sorted.append(new)


_LINES = 100_000
"""Lines of a file that are read at once."""
_KEY = np.dtype([("first", "<u8"), ("second", "<u8")])
_ROW = np.dtype([*_KEY.descr, ("tokens", "<u4"), ("nll", "<f8"), ("rank", "<f8")])


def _digest(key: str) -> tuple[int, int]:
    """Return 128 bits that stand for a key: of 20 million, two are alike once in 10 to the 24th."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _read(line: bytes) -> tuple[str, AnswerScore] | None:
    """Read a line of the file; None for one that is torn."""
    try:
        key, tokens, nll, rank = json.loads(line)
        found = AnswerScore(tokens=int(tokens), nll=float(nll), mean_rank=float(rank))
    except (ValueError, TypeError, OverflowError):
        return None
    good = 0 < found.tokens < 2**32 and math.isfinite(found.nll) and math.isfinite(found.mean_rank)
    return (key, found) if isinstance(key, str) and good else None
