"""Answers that are proved wrong, by the source's own answer or by a check of the row, are not taught."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple

import polars as pl

from tunixhack.errors import UserError
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.calls import call_own
from tunixhack.steps.figures import Counts
from tunixhack.verifiers.reference_match import Pair, judge_answers
from tunixhack.verifiers.row_check import Row, RowCheck, Told

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


Check = Callable[[Row], bool | None]
"""From a row, the dict of its columns, to whether its answer is right; None where that cannot be told. One that is a
`RowCheck` is asked about many rows at once."""
AT_ONCE = 1024
"""Rows that a `RowCheck` is asked about at once."""
Read = Callable[[str], str | None]
"""From a text to what it claims; None where that cannot be told. `Labels` is one."""


@dataclass(frozen=True)
class Verify:
    """Keep the answers that a check of the row finds right, or that claim what the source's reference claims.

    Without a function the reference is read as `tunixhack.verifiers.reference_match` describes: numbers and formulas by
    math-verify, letters of options, a few words. Otherwise it takes one of two functions. ``check`` sees the row and
    says whether its answer is right. ``read`` reads what a text claims, in the answer and in the reference alike, and
    equal claims are right. A function that is given without a name is a ``check`` where its parameter is called ``row``
    or annotated as a mapping, and a ``read`` otherwise.

    Adds ``verify_correct``: true, false, or null where it cannot be told. The reasons of a rejection:

    ================ ==================================================================================
    ``wrong``        the check says so, or the answer claims something else
    ``unverified``   the check cannot tell
    ``no_claim``     nothing could be read in the answer
    ``no_reference`` the question has no reference, or nothing could be read in it: what is right is unknown
    ================ ==================================================================================

    A ``check`` that knows many rows at once (`tunixhack.verifiers.row_check.RowCheck`, such as
    `tunixhack.verifiers.code.passes`) is asked about the questions' own references, too: the funnel says how many of
    them do not pass, since what the check says of answers to these questions is worth nothing.

    Only the answer is looked at: a wrong argument that ends well is kept. The teacher must not be shown the reference
    (``trace="guided"``), or it verifies nothing. Source: OpenThoughts' first datasets kept verified answers only;
    its later ablation (arXiv 2506.04178, table 6) found no gain from it in mathematics.

    >>> rows = pl.DataFrame({"question": ["Is it?"] * 2, "reference": ["Yes", "Yes"],
    ...                      "answer": ["Yes: it is offered for its truth.", "No."]})
    >>> Verify()(rows, Context()).columns["verify_correct"].to_list()
    [True, False]
    >>> Verify(Labels(("Yes", "No")))(rows, Context()).columns["verify_correct"].to_list()
    [True, False]
    >>> Verify(lambda row: row["reference"] in row["answer"])(rows, Context()).columns["verify_correct"].to_list()
    [True, False]
    """

    stage: ClassVar[str] = "answers"
    writes: ClassVar[tuple[str, ...]] = ("verify_correct",)
    by_question: ClassVar[bool] = True

    function: InitVar[Check | Read | None] = None
    check: Check | None = field(default=None, kw_only=True)
    read: Read | None = field(default=None, kw_only=True)

    def __post_init__(self, function: Check | Read | None) -> None:
        """Find out which of the two a function without a name is.

        Raises:
            UserError: there are two.
        """
        if sum(one is not None for one in (function, self.check, self.read)) > 1:
            raise UserError("Verify takes one function: check, of a row, or read, of a text; or none")
        if function is not None:
            object.__setattr__(self, "check" if _takes_row(function) else "read", function)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return ("answer",) if self.check is not None else ("reference", "answer")

    def claim(self, text: str, row: Mapping[str, Any]) -> str | None:
        """Read what a text of a row claims.

        Raises:
            UserError: ``read`` raises, or returns no text; the sentence names the row.
        """
        return call_own("the function that Verify reads claims with", row, read_claim, self.read, text)

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by itself.

        Raises:
            UserError: a column is missing, ``answer`` is null somewhere, or the function raises.
        """
        require(rows, "answer")
        if self.check is None:
            require(rows, "reference", null=True)
        if self.check is None and self.read is None:
            judged = _by_reference(rows)
        else:
            judged = [one for part in rows.iter_slices(AT_ONCE) for one in self._judge_all(part.to_dicts())]
        told = [one.correct for one in judged if one.correct is not None]
        numbers = {"right": sum(told), "told": len(told), **self._failing_references(rows)}
        return Verdict(
            keep=pl.Series([one.correct is True for one in judged], dtype=pl.Boolean),
            reason=pl.Series([one.reason for one in judged], dtype=pl.String),
            evidence=[one.evidence for one in judged],
            columns={"verify_correct": pl.Series([one.correct for one in judged], dtype=pl.Boolean)},
            figures=Counts(numbers, self._note),
        )

    def _note(self, count: Mapping[str, int]) -> str | None:
        what = "make a claim" if self.read is not None else "could be checked"
        said = []
        if count["told"]:
            said.append(f"{count['right'] / count['told']:.0%} of {count['told']:,} that {what} are right")
        if count["failing"]:
            said.append(f"the references of {count['failing']:,} of {count['references']:,} questions do not pass")
        return "; ".join(said) or None

    def _judge_all(self, rows: Sequence[Row]) -> list[_Judged]:
        if not isinstance(self.check, RowCheck):
            return [self._judge(row) for row in rows]
        return [_judged(row, told) for row, told in zip(rows, self.check.judge(rows), strict=True)]

    def _failing_references(self, rows: pl.DataFrame) -> dict[str, int]:
        """Count the questions whose reference the check can be asked about, and those that it does not find right."""
        if not isinstance(self.check, RowCheck) or not {"question_id", "reference"} <= set(rows.columns):
            return {}
        known = rows.filter(pl.col("reference").is_not_null()).unique("question_id", maintain_order=True)
        asked = known.with_columns(pl.col("reference").alias("answer")).iter_slices(AT_ONCE)
        failing = sum(one.right is not True for part in asked for one in self.check.judge(part.to_dicts()))
        return {"references": known.height, "failing": failing}

    def _judge(self, row: Mapping[str, Any]) -> _Judged:
        answer, reference = row["answer"], row.get("reference")
        if self.check is not None:
            return _judged(row, Told(call_own("the check of Verify", row, _checked, self.check, row)))
        right = None if reference is None else self.claim(reference, row)
        claimed = self.claim(answer, row)
        if right is None:
            return _Judged(None, "no_reference", {"reference": reference})
        if claimed is None:
            return _Judged(None, "no_claim", {"answer": answer[:SHOWN], "reference": right})
        correct = claimed == right
        return _Judged(correct, None if correct else "wrong", {"claimed": claimed, "reference": right})


class _Judged(NamedTuple):
    correct: bool | None
    reason: str | None
    evidence: Mapping[str, Any]


def _judged(row: Row, told: Told) -> _Judged:
    reason = "unverified" if told.right is None else None if told.right else "wrong"
    evidence = {"answer": row["answer"][:SHOWN], "reference": row.get("reference")}
    return _Judged(told.right, reason, evidence | ({"why": told.why} if told.why else {}))


def _by_reference(rows: pl.DataFrame) -> list[_Judged]:
    """Judge answers by reading the reference; an answer without one is asked of no reader."""
    require(rows, "question")
    listed = list(rows.select("question", "reference", "answer").iter_rows(named=True))
    read = judge_answers(Pair(row["reference"] or "", row["answer"], row["question"]) for row in listed)
    judged = []
    for row, told in zip(listed, read, strict=True):
        if told is None:
            judged.append(_Judged(None, "no_reference", {"reference": row["reference"]}))
            continue
        evidence = {"answer": row["answer"][-SHOWN:], "reference": row["reference"], "read_by": told.reader}
        judged.append(_Judged(told.right, None if told.right else "wrong", evidence))
    return judged


def _takes_row(function: Any) -> bool:
    """Tell whether a function takes a row rather than a text, by the name or the annotation of its parameter."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # some that are written in C tell nothing
        return False
    if first is None:
        return False
    annotation = "" if first.annotation is inspect.Parameter.empty else str(first.annotation)
    if first.name == "row":
        return annotation not in ("str", str(str))
    return re.match(r"(<class ')?(\w+\.)*(dict|Mapping)\b", annotation, re.IGNORECASE) is not None


def _checked(check: Check, row: Mapping[str, Any]) -> bool | None:
    told: Any = check(row)  # which is the user's, and need not keep to its type
    if told is None or isinstance(told, bool):
        return told
    if type(told).__name__ in ("bool", "bool_"):  # NumPy's
        return bool(told)
    raise TypeError(f"it must return True, False or None, not {type(told).__name__}")


def read_claim(read: Read, text: str) -> str | None:
    """Read what a text claims with a function of the user's, and see that it is no check of a row.

    Raises:
        TypeError: it is.
    """
    claimed: Any = read(text)
    if isinstance(claimed, bool):
        raise TypeError("it must return what the text claims; a function of the row is given as Verify(check=…)")
    return claimed  # type: ignore[no-any-return]  # of any type that can be compared
