"""Sentences about a run, out of what run.json keeps: the share of right answers, and the accepted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack._util.wording import counted

WHY = (
    "for information: no answer is dropped for being wrong, which did not help OpenThoughts in mathematics, code and "
    "science (it did in law)"
)
"""Why wrong answers stay; arXiv 2506.04178, table 6, and the project's legal demonstration."""


def reference_share_sentence(found: Mapping[str, Any]) -> str:
    """Say how many answers reach the reference of their question.

    >>> share = {"count": 3, "of": 4, "low": 0.3, "high": 0.95}
    >>> reference_share_sentence({"received": share, "kept": share, "disputed": 0})
    'right by the reference: 3 of 4 answers received (75 %; 30 to 95 %), 3 of 4 kept (75 %; 30 to 95 %)'
    """
    parts = [
        f"{share['count']:,} of {share['of']:,} {name} ({_percent(share['count'] / share['of'])} %; "
        f"{_percent(share['low'])} to {_percent(share['high'])} %)"
        for name, share in (("answers received", found["received"]), ("kept", found["kept"]))
        if share["of"]
    ]
    doubt = f"; of {found['disputed']:,}, two readers judge differently" if found["disputed"] else ""
    return f"right by the reference: {', '.join(parts)}{doubt}"


def accepted_sentence(told: Mapping[str, Any]) -> str:
    """Say how many of the wanted answers there are.

    >>> accepted_sentence({"wanted": 100, "ceiling": 40, "kept": 64, "questions": 40})
    '64 of 100 wanted answers accepted, of 40 questions (at most 40)'
    """
    questions = counted(told["questions"], "question")
    wanted = f"{told['kept']:,} of {told['wanted']:,} wanted answers accepted"
    return f"{wanted}, of {questions} (at most {told['ceiling']:,})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
