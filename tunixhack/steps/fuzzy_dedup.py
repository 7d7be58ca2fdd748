"""Near-duplicates of questions: the same question with a typo, another mark or another word.

Which texts are similar is found by `tunixhack.steps.similar_pairs`; here is what follows from it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS, first_of_equal, normalise
from tunixhack.steps.similar_pairs import similar_pairs

_LOWEST = 75
"""Below this, many similar texts share no run of three words, and would not be found."""


@dataclass(frozen=True)
class FuzzyDedup:
    """Drop all but one of the questions that are nearly equal, together with their context.

    Two questions are near-duplicates if the Indel similarity of their texts, as `ExactDedup` normalises them, is at
    least the threshold, and that of their contexts too. Indel similarity is 100 · (1 - d / (m + n)), where m and n are
    the texts' numbers of characters and d the insertions and deletions that make one of the other; a replaced
    character is one of each (``rapidfuzz.fuzz.ratio``). Near-duplicates of near-duplicates are one cluster, of which
    the question with the smallest question_id stays: that is a hash of its content, so the order of the rows does not
    matter (contract 9).

    OpenThoughts (arXiv 2506.04178, 3.3) has exact, fuzzy and no dedup in its ablation, and finds no clear trend: it is
    in no domain here, and stands behind `ExactDedup` in a recipe that wants it. Their code drops, at a similarity of 95
    of the raw strings, every row that has a similar one before it, which depends on the order; it looks at the five
    best matches of each row only, and shifts its indices behind a null. Neither is copied.

    The threshold is theirs, 95. In a question of 40 characters that is two replaced characters, in one of 200 ten. 100
    finds equal texts only, and below 90 other questions of the same form are dropped as well.

    In mathematics most near-duplicates are one template with other numbers, hence other questions: these are kept
    unless asked otherwise. Numbers written as words are words.

    Attributes:
        threshold: the similarity in percent from which on two questions are one, 75 to 100.
        keep_number_variants: questions whose numbers differ, in digits, order or the sign before them, are different
            questions, however similar. With False, numbers are text as any other.
        wrappers: instructions that are no part of a question; see `ExactDedup`.

    Evidence of a dropped row is the question_id that stays (``kept``), that of the row that it is similar to
    (``twin``: the one that stays, or if that is not similar enough itself, the most similar one), and how similar they
    are. Texts without any letter or digit are dropped only where they are equal.

    >>> rows = pl.DataFrame({"question_id": ["a", "b", "c"], "question": [
    ...     "Why does ice float in water, and stone does not?", "Why does ice flaot in water, and stone does not?",
    ...     "Why does oil float on water, and honey does not?"]})
    >>> verdict = FuzzyDedup()(rows, Context())
    >>> verdict.keep.to_list(), verdict.evidence[1]
    ([True, False, True], {'kept': 'a', 'twin': 'a', 'similarity': 97.92})
    """

    stage: ClassVar[str] = "questions"

    threshold: float = 95.0
    keep_number_variants: bool = True
    wrappers: tuple[str, ...] = DEFAULT_WRAPPERS

    def __post_init__(self) -> None:
        if not _LOWEST <= self.threshold <= 100:
            raise UserError(
                f"FuzzyDedup(threshold={self.threshold!r}): the threshold is a similarity in percent, {_LOWEST} to 100"
            )

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge every row.

        Raises:
            UserError: there is no ``question_id`` or ``question``. ``context`` may be absent.
        """
        require(rows, "question_id")
        require(rows, "question", null=True)
        ids = rows["question_id"]
        keys = self._keys(rows)
        first = first_of_equal(keys, ids)
        own = pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
        different = own.filter(first == own)
        different = different.gather(ids.gather(different).arg_sort())  # hence a smaller place is a smaller id
        place = own.clone().scatter(different, own.head(len(different))).gather(first)
        pairs = similar_pairs(keys[different], self.threshold, self.keep_number_variants)
        stays = _smallest_of_cluster(pairs, len(different))
        kept = different.gather(stays).gather(place)
        keep = kept == own
        twins = _twins(pairs, stays)
        evidence: list[dict[str, object] | None] = [None] * rows.height
        for row in (~keep).arg_true():
            text = place[row]
            twin, similarity = twins[text] if first[row] == row else (text, 100.0)
            evidence[row] = {"kept": ids[kept[row]], "twin": ids[different[twin]], "similarity": round(similarity, 2)}
        sizes = list(Counter(kept.filter(~keep)).values())
        note = f"{counted(len(sizes), 'cluster')}, the largest of {max(sizes) + 1:,} questions" if sizes else None
        return Verdict(
            keep=keep.alias("keep"),
            reason="near_duplicate",
            evidence=evidence,
            note=note,
            remedy="FuzzyDedup(threshold=…) nearer to 100, or with keep_number_variants=True, keeps more",
        )

    def _keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        question = normalise(rows["question"].cast(pl.String), self.wrappers).fill_null("")
        given = rows["context"].cast(pl.String) if "context" in rows.columns else question.clear(rows.height)
        return pl.DataFrame([question.alias("question"), normalise(given, ()).fill_null("").alias("context")])


def _smallest_of_cluster(pairs: pl.DataFrame, count: int) -> pl.Series:
    """Join pairs to clusters (union-find), and return for each text the smallest one of its cluster."""
    above = list(range(count))

    def top(text: int) -> int:
        while above[text] != text:
            above[text] = above[above[text]]
            text = above[text]
        return text

    for left, right in pairs.select("left", "right").iter_rows():
        one, other = top(left), top(right)
        above[max(one, other)] = min(one, other)
    return pl.Series([top(text) for text in range(count)], dtype=pl.UInt32)


def _twins(pairs: pl.DataFrame, stays: pl.Series) -> dict[int, tuple[int, float]]:
    """Return for each text the one of its pairs that stays, or else the most similar one, and how similar that is."""
    one, other = (pl.col(side) for side in ("left", "right"))
    both = pl.concat([pairs, pairs.select(left=other, right=one, similarity="similarity")])
    both = both.with_columns(stays=stays.gather(both["left"]) == both["right"])
    best = both.sort("left", "stays", "similarity", "right", descending=[False, True, True, False])
    best = best.unique("left", keep="first")
    return {text: (twin, similarity) for text, twin, similarity in best.drop("stays").iter_rows()}
