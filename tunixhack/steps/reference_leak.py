"""Guided answers that give away what the teacher was shown.

A guided teacher sees the source's reference or support, and is told never to mention them. The student has neither: a
trace that leans on "the provided answer" teaches it to cite what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import polars as pl

from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict

_TEXT = r"(?:text|passage|paragraph|excerpt|document|article|snippet|source)"
_SHOWN = r"(?:provided|given|supplied|attached|above|accompanying|hidden)"
_SAYS = (
    r"(?:says?|said|states?|stated|mentions?|mentioned|tells?|notes?|gives?|gave|explains?|describes?|indicates?|"
    r"confirms?|shows?|suggests?|specifies|lists?|names?|points|clearly|explicitly|also|itself|provided|given|above)"
)
_END = r"(?:\s*[.,;:!?)]|\s+(?:is|was|and|that|which|so|exactly|here|I|we)\b|\s*$)"


class Pattern(NamedTuple):
    """One way of giving a reference away."""

    regex: str
    """In the syntax of Rust's regex crate, which is linear in the text; case does not matter."""
    unless_context: bool = False
    """A student who was given a context may speak of a text or passage: that is no leak."""


PATTERNS: Mapping[str, Pattern] = {
    "provided answer": Pattern(
        rf"\b(?:(?:{_SHOWN}|expected|official|gold|golden|model|target|reference)\s+(?:correct\s+|final\s+)?answers?|"
        r"(?:provided|supplied|reference)\s+(?:response|solution))\b"
    ),
    "answer given": Pattern(
        r"\b(?:answer|solution)s?\s+(?:that\s+)?(?:(?:is|was|were|has\s+been|I\s+was|I\s+am|we\s+were|we\s+are)\s+)?"
        r"(?:already\s+)?(?:provided|given|supplied)"
        r"(?:\s+(?:to\s+(?:me|us)|here|above|below|as|is|in\s+the\s+(?:prompt|reference|support|instructions?))\b|\s*[.,;:!)])"
    ),
    "answer key": Pattern(r"\b(?:answer\s+(?:key|sheet)|ground[-\s]truth|gold\s+(?:label|standard\s+answer))\b"),
    "the reference": Pattern(
        rf"\b(?:the|this|that|my|our|your|a)\s+(?:{_SHOWN}\s+)?reference(?:\s+{_SAYS}\b|\s+(?:text|material|note)s?\b|{_END})"
    ),
    "support text": Pattern(
        rf"\b(?:support(?:ing)?\s+(?:{_TEXT}|sentence|statement|note|information)s?\b|{_SHOWN}\s+support\b|"
        rf"(?:the|this|that)\s+support\s+{_SAYS}\b|(?:according\s+to|as|per|from|in)\s+the\s+support{_END})"
    ),
    "hint": Pattern(
        rf"\b(?:(?:the|this|that|my|our|your)\s+(?:{_SHOWN}\s+)?hints?\s+{_SAYS}|{_SHOWN}\s+hints?|"
        r"hints?\s+(?:I|we)(?:\s+(?:was|were|am|are)|['’](?:m|re|ve\s+been))\s+given)\b"
    ),
    "was told": Pattern(
        r"\b(?:I|we)(?:\s+(?:was|were|am|are|have\s+been|had\s+been)|['’](?:m|re|ve\s+been))\s+(?:already\s+)?"
        r"(?:told|given|provided(?:\s+with)?|shown|informed(?:\s+of)?|supplied(?:\s+with)?)\s+"
        r"(?:that\s+)?(?:the|an?)\s+(?:(?:correct|right|final)\s+)?(?:answer|reference|support|correct|right)\b"
    ),
    "secrecy": Pattern(
        r"\b(?:for\s+(?:my|your)\s+eyes\s+only|"
        r"(?:must|should|can|may)(?:\s*not|n['’]t)\s+(?:mention|quote|reveal|cite|refer\s+to)\s+(?:it|that|the|this|any)|"
        r"(?:supposed|told|allowed|asked|instructed)\s+(?:not\s+|never\s+)?to\s+(?:mention|reveal|quote|hint)|"
        r"without\s+(?:mentioning|quoting|revealing|citing|referring\s+to)\s+(?:it|that|the)|"
        r"as\s+(?:if|though)\s+(?:I|we)\s+(?:found|had\s+found|discovered|worked\s+it|derived|did\s+not\s+know|didn['’]t\s+know))\b"
    ),
    "source text": Pattern(
        rf"\b(?:(?:the|this)\s+(?:{_SHOWN}\s+)?{_TEXT}\s+{_SAYS}|(?:the|this)\s+(?:provided|given|supplied)\s+"
        rf"(?:{_TEXT}|information|context)|(?:according\s+to|based\s+on|"
        rf"as\s+(?:stated|given|mentioned|described|noted|explained|said)\s+in|as\s+per)\s+the\s+(?:{_SHOWN}\s+)?"
        rf"(?:{_TEXT}|context))\b",
        unless_context=True,
    ),
}
"""The patterns by name. Most need an article, a verb or a stop beside the word that gives away, since reference points,
supporting beams and hints of lemon are innocent."""


class Leak(NamedTuple):
    """A place that gives a reference away."""

    pattern: str
    text: str
    """As it stands there."""


def find_leak(text: str, question: str = "", context: str | None = None) -> Leak | None:
    """Return the first pattern that a text matches.

    Args:
        text: a trace or an answer.
        question: what the student is asked; words that stand in it are no leak.
        context: what the student is shown with it.

    >>> find_leak("This agrees with the provided answer.")
    Leak(pattern='provided answer', text='provided answer')
    """
    return _leaks(pl.Series([text]), pl.Series([question]), pl.Series([context], dtype=pl.String))[0]


@dataclass(frozen=True)
class GivesAway:
    """Reject guided rows whose trace or answer gives the hidden reference away (``gives_away_reference``).

    Rows of other traces are kept as they are: their teacher was shown nothing. The evidence names the pattern of
    `PATTERNS`, the matched text, and whether it stands in the ``reasoning`` or the ``answer``.

    Measured on 100 sentences written for this step, 50 of which give something away: at first 43 of these were found,
    with 1 false alarm; after three patterns were widened for some that were missed, 46 (recall 0.92), with the same 1
    (0.02). As sentences and patterns are by the same hand, and the misses were seen, real traces will fare worse.

    >>> rows = pl.DataFrame({"trace": ["guided", "written"], "question": ["2 + 2?"] * 2, "context": [None, None],
    ...                      "reasoning": ["The reference says 4."] * 2, "answer": ["4", "4"]})
    >>> GivesAway()(rows, Context()).keep.to_list()
    [False, True]
    """

    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("trace", "reasoning", "answer")
    by_question: ClassVar[bool] = True

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by its own trace and answer.

        Raises:
            UserError: a column is missing, or trace, reasoning or answer is null somewhere.
        """
        require(rows, "trace", "question", "reasoning", "answer")
        require(rows, "context", null=True)
        evidence: list[dict[str, str] | None] = [None] * rows.height
        guided = rows.with_row_index("at").filter(pl.col("trace") == "guided")
        for where in ("answer", "reasoning"):  # the reasoning last: it is what is shown where both give away
            for at, leak in zip(
                guided["at"], _leaks(guided[where], guided["question"], guided["context"]), strict=True
            ):
                if leak is not None:
                    evidence[at] = {**leak._asdict(), "where": where}
        keep = pl.Series([found is None for found in evidence], dtype=pl.Boolean)
        return Verdict(keep=keep, reason="gives_away_reference", evidence=evidence)


def _leaks(texts: pl.Series, questions: pl.Series, contexts: pl.Series) -> list[Leak | None]:
    found: list[Leak | None] = [None] * len(texts)
    for name, pattern in PATTERNS.items():
        regex = f"(?i){pattern.regex}"
        for at in texts.str.contains(regex).arg_true():
            if found[at] is not None or (pattern.unless_context and (contexts[at] or "").strip()):
                continue
            asked = _plain(questions[at])
            for match in texts.slice(at, 1).str.extract_all(regex)[0]:
                if _plain(match) not in asked:
                    found[at] = Leak(name, match.strip())
                    break
    return found


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().strip(".,;:!?)")
