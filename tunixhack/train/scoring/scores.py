"""Scores of answers under a student, and the file that keeps them. Nothing here imports jax.

The rank-surprisal ratio of an answer is the mean rank of its tokens over their mean negative log-likelihood (Yang et
al., Which Reasoning Trajectories Teach Students to Reason Better?, 2026, https://arxiv.org/abs/2601.14249). As in its
authors' code (https://github.com/UmeanNever/RankSurprisalRatio), the rank of a token is one more than the number of
tokens with a higher logit, and at most 100; a lower ratio is better: tokens that the student did not expect, and yet
had among its first guesses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

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


def ratio_of_all(scores: Iterable[AnswerScore]) -> float | None:
    """Return the ratio of a whole dataset, that of the means over its answers; None of nothing.

    >>> ratio_of_all([AnswerScore(tokens=9, nll=1, mean_rank=2), AnswerScore(tokens=9, nll=3, mean_rank=4)])
    1.5
    """
    found = list(scores)
    if not found:
        return None
    return sum(one.mean_rank for one in found) / max(sum(one.nll for one in found), SMALLEST)


class ScoreFile:
    """Scores that are kept in a file, one a line, under what they depend on beside the student.

    A line that a kill or a full disk has torn is left out, and what it held is computed again.

    Args:
        path: the file; made with its folder when there is something to keep. One file a student.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self._path = path
        self._known: dict[str, AnswerScore] = {}
        with suppress(OSError), path.open("rb") as file:
            for line in file:
                self._take(line)

    def __getitem__(self, key: str) -> AnswerScore:
        return self._known[key]

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def add(self, scores: Mapping[str, AnswerScore]) -> None:
        """Keep more scores; where they cannot be written, they are known until this process ends."""
        self._known.update(scores)
        lines = [[key, one.tokens, one.nll, one.mean_rank] for key, one in scores.items()]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # behind a line that was torn, the first of these would be lost, too
                file.write(f"\n{text}".encode())

    def _take(self, line: bytes) -> None:
        try:
            key, tokens, nll, rank = json.loads(line)
            found = AnswerScore(tokens=int(tokens), nll=float(nll), mean_rank=float(rank))
        except (ValueError, TypeError):
            return
        if isinstance(key, str) and found.tokens > 0 and math.isfinite(found.nll) and math.isfinite(found.mean_rank):
            self._known[key] = found
