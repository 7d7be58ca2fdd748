"""Answers that the source's own answer proves wrong are not taught."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from tunixhack.answers.formats import require
from tunixhack.errors import UserError
from tunixhack.step_calls import call_own
from tunixhack.steps import Context, Verdict

SHOWN = 200
"""Characters of an answer that go into the evidence of a row whose claim could not be read."""
_BEFORE = r"[\s*_#>`\"'(\[]*(?:(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|label)\s*(?:is)?\s*[:\-–]?[\s*_`\"'(\[]*)?"
_BEHIND = r"[*_`\"']*\s*(?:$|[.,;:!?)\]\n–]|-\s)"


@dataclass(frozen=True)
class Labels:
    """Reads the label that a text begins with; one of a few that a source's answers are made of.

    Case does not matter, nor does markup or "Answer:" before it. Behind it the text ends, or a stop, comma, bracket,
    dash or new line follows: "No exception applies" begins with a word, and not with the label No. Of two
    labels that fit, the longer one is read.

    >>> read = Labels(("Yes", "No"))
    >>> read("**Yes**, since it is offered for its truth."), read("Answer: no."), read("No exception applies.")
    ('Yes', 'No', None)
    """

    labels: Sequence[str]
    """As they are written in the source."""

    def __post_init__(self) -> None:
        """See that the labels can be told apart.

        Raises:
            UserError: fewer than two, a blank one, or two that differ in case and spaces alone.
        """
        plain = {" ".join(label.split()).casefold() for label in self.labels}
        if isinstance(self.labels, str) or len(self.labels) < 2 or "" in plain or len(plain) < len(self.labels):
            raise UserError(
                f"Labels({self.labels!r}) takes at least two labels, different and not blank: ('Yes', 'No')"
            )

    def __call__(self, text: str) -> str | None:
        """Return the label that a text begins with, as it is written in the source; None where there is none."""
        for label in sorted(self.labels, key=len, reverse=True):
            spaced = r"\s+".join(re.escape(word) for word in label.split())
            if re.match(f"{_BEFORE}{spaced}{_BEHIND}", text, re.IGNORECASE):
                return label
        return None


@dataclass(frozen=True)
class Verify:
    """Keep the answers that claim what the source's reference claims.

    Both are read by the same function, and equal claims are right. Adds ``verify_correct``: true, false, or null where
    one of them could not be read. The reasons of a rejection:

    ================ ==================================================================================
    ``wrong``        the answer claims something else
    ``no_claim``     nothing could be read in the answer
    ``no_reference`` the question has no reference, or nothing could be read in it: nobody knows what is right
    ================ ==================================================================================

    Only the answer is looked at: a wrong argument that ends well is kept. The teacher must not be shown the reference
    (``trace="guided"``), or it verifies nothing. Source: OpenThoughts' first datasets kept verified answers only;
    its later ablation (arXiv 2506.04178, table 6) found no gain from it in mathematics.

    >>> rows = pl.DataFrame({"reference": ["Yes", "Yes"], "answer": ["Yes: it is offered for its truth.", "No."]})
    >>> Verify(Labels(("Yes", "No")))(rows, Context()).columns["verify_correct"].to_list()
    [True, False]
    """

    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("reference", "answer")
    writes: ClassVar[tuple[str, ...]] = ("verify_correct",)

    read: Callable[[str], str | None]
    """From a text to what it claims; None where that cannot be told. `Labels` is one."""

    def claim(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Read what a text of a row claims.

        Raises:
            UserError: ``read`` raises; the sentence names the row.
        """
        return call_own("the function that Verify reads claims with", row, self.read, text)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by its own answer and reference.

        Raises:
            UserError: there is no ``reference``, ``answer`` is missing or null somewhere, or ``read`` raises.
        """
        require(rows, "reference", null=True)
        require(rows, "answer")
        correct: list[bool | None] = []
        reasons: list[str | None] = []
        evidence: list[Mapping[str, Any] | None] = []
        for row in rows.iter_rows(named=True):
            answer, reference = row["answer"], row["reference"]
            claimed, right = self.claim(answer, row), None if reference is None else self.claim(reference, row)
            correct.append(None if claimed is None or right is None else claimed == right)
            if right is None:
                reasons.append("no_reference")
                evidence.append({"reference": reference})
            elif claimed is None:
                reasons.append("no_claim")
                evidence.append({"answer": answer[:SHOWN], "reference": right})
            else:
                reasons.append(None if claimed == right else "wrong")
                evidence.append({"claimed": claimed, "reference": right})
        told = [one for one in correct if one is not None]
        return Verdict(
            keep=pl.Series([one is True for one in correct], dtype=pl.Boolean),
            reason=pl.Series(reasons, dtype=pl.String),
            evidence=evidence,
            columns={"verify_correct": pl.Series(correct, dtype=pl.Boolean)},
            note=f"{sum(told) / len(told):.0%} of {len(told):,} that make a claim are right" if told else None,
        )
