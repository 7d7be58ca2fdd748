"""Near-duplicates of questions: the same question with a typo, another mark or another word.

All pairs would be n²/2 comparisons. Two texts that are nearly equal share their rarest words or runs of three words,
and have about the same characters, so that only those that do are compared. The more texts there are, the more of them
share even their rarest words with many others; nearly all of those pairs are told apart by their characters alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import polars as pl
from rapidfuzz import fuzz, process

from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.count_signatures import signatures
from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS, first_of_equal, normalise

_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_SPACELESS}]|[\p{{L}}\p{{M}}\p{{N}}--[{_SPACELESS}]]{{1,12}}"
"""A word, or a piece of a very long one; of scripts that put no spaces between words, a character."""

_NUMBER = r"(?:[-+*/×·÷^=<>≤≥]\s*)?\p{N}+(?:[.,]\p{N}+)*"
"""A number with what stands right before it: 5, -5 and x = 5 are not the same."""
_DASHES = "[−–—]"  # noqa: RUF001  # minus signs, as they are typed

_SHORT, _LONG = 16, 8
"""Texts of at most so many words are found by single words, those of at least so many by runs of three; the two overlap
since a near-duplicate can have a word more."""
_RAREST = 8
"""The words or runs by which a text is looked for. Those that occur once find nothing and do not count, so a pair that
shares one is missed only where one of the two has eight others, all rarer, or in a crowd:"""
_NEIGHBOURS = 16
"""Of more texts than this that share a word or run, each is compared with the next ones alone, in the order of their
beginnings and in that of their ends: the number of comparisons stays linear, whatever the texts are."""
_FACTOR = 0x9E3779B97F4A7C15
"""An odd number of 64 bits, by which numbers are mixed; products are taken modulo 2⁶⁴."""
_PIECE, _CHUNK = 20_000, 200_000
"""Texts that a thread splits at once, and pairs that are compared at once."""
_PAIRED = 1_000_000
"""Places of blocks whose texts are paired at once."""
_PARTS = 16
"""Parts in which keys are sorted."""
_NONE = pl.DataFrame(schema={"row": pl.UInt32, "key": pl.UInt64})
_MARGIN = 1.0001
"""For rounding, where pairs are left out by a bound of their similarity."""
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


def similar_pairs(texts: pl.DataFrame, threshold: float = 95.0, same_numbers: bool = True) -> pl.DataFrame:
    """Find the pairs of similar texts.

    Args:
        texts: ``question`` and ``context``, normalised and without nulls; no two rows equal.
        threshold: the least similarity of both, in percent.
        same_numbers: leave out pairs whose numbers differ.

    Returns:
        ``left`` and ``right``, row numbers of which the left one is smaller, and ``similarity``, the smaller one of
        question and context.

    >>> texts = pl.DataFrame({"question": ["which metal is liquid?", "which metals is liquid?", "why?"]})
    >>> similar_pairs(texts.with_columns(context=pl.lit(""))).select("left", "right").rows()
    [(0, 1)]
    """
    whole = texts.select(pl.col("question") + "\n" + pl.col("context")).to_series()
    numbers = _codes(_numbers(whole)) if same_numbers else pl.zeros(len(whole), dtype=pl.UInt64, eager=True)
    schema = {"left": pl.UInt32, "right": pl.UInt32, "similarity": pl.Float32}
    found = [pl.DataFrame(schema=schema)]
    lengths = texts.select(pl.all().str.len_chars().cast(pl.Float32))
    # measured part by part: the similar ones are few, and all others together take gigabytes
    for pairs in _candidates(whole, numbers, threshold):
        pairs = pairs.filter(numbers.gather(pairs["left"]) == numbers.gather(pairs["right"]))
        found.append(_measured(texts, lengths, pairs, threshold))
    return pl.concat(found).unique(["left", "right"]).sort("left", "right")


def _measured(texts: pl.DataFrame, lengths: pl.DataFrame, pairs: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the pairs that are similar, with how similar they are."""
    similarity = pl.repeat(100.0, pairs.height, dtype=pl.Float32, eager=True)
    pairs = pairs.with_columns(similarity.alias("similarity"))
    for column in ("question", "context"):
        measured = _similarity(texts[column], lengths[column], pairs, threshold)
        pairs = pairs.with_columns(similarity=pl.min_horizontal("similarity", measured)).filter(measured > 0)
    return pairs


def _similarity(texts: pl.Series, lengths: pl.Series, pairs: pl.DataFrame, threshold: float) -> pl.Series:
    """Measure pairs of texts; 0 is below the threshold."""
    left, right = (lengths.gather(pairs[side]).cast(pl.Float64) for side in ("left", "right"))
    # by their lengths alone, and with a margin for rounding
    possible = ((left - right).abs() <= (left + right) * (_MARGIN - threshold / 100)).arg_true()
    measured = pl.zeros(pairs.height, dtype=pl.Float32, eager=True)
    for start in range(0, len(possible), _CHUNK):
        chunk = possible.slice(start, _CHUNK)
        one, other = (texts.gather(pairs[side].gather(chunk)).to_list() for side in ("left", "right"))
        scores = process.cpdist(one, other, scorer=fuzz.ratio, score_cutoff=threshold, workers=-1)
        measured = measured.scatter(chunk, pl.Series(scores, dtype=pl.Float32))
    return measured


def _candidates(texts: pl.Series, groups: pl.Series, threshold: float) -> Iterator[pl.DataFrame]:
    """Yield pairs of texts that share one of their rarest words or runs of words; some pairs twice.

    Left out are pairs that cannot be similar, by what their characters tell: as many insertions and deletions as bits
    differ is more than the threshold allows.
    """
    blocks = _rarest(texts, groups)
    counted = pl.DataFrame([signatures(texts), texts.str.len_chars().cast(pl.Float32).alias("length")])
    large = blocks.filter(pl.len().over("key") > _NEIGHBOURS + 1)
    yield from _neighbours(blocks, texts, counted, threshold)
    del blocks
    rows = large["row"].unique()
    reversed_texts = texts.clone().scatter(rows, texts.gather(rows).str.reverse()) if len(rows) else texts
    yield from _neighbours(large, reversed_texts, counted, threshold)


def _neighbours(
    blocks: pl.DataFrame, order: pl.Series, counted: pl.DataFrame, threshold: float
) -> Iterator[pl.DataFrame]:
    """Yield pairs of each text with the next ones of its block, in the order of some strings."""
    rows = pl.int_range(len(order), dtype=pl.UInt32, eager=True)
    rank = rows.clone().scatter(order.arg_sort(), rows)
    blocks = blocks.with_columns(rank=rank.gather(blocks["row"])).sort("key", "rank").select("key", "row")
    del rank
    key, row, length, signature = (pl.col(name) for name in ("key", "row", "length", "signature"))
    for start in range(0, blocks.height, _PAIRED):
        part = blocks.slice(start, _PAIRED + _NEIGHBOURS)
        part = pl.concat([part, counted[part["row"]]], how="horizontal")
        for step in range(1, _NEIGHBOURS + 1):
            both = part.head(_PAIRED + step)
            same = both.select((key == key.shift(-step)) & (row != row.shift(-step))).to_series()
            if not same.any():
                break
            differ = (signature ^ signature.shift(-step)).bitwise_count_ones()
            possible = differ <= (length + length.shift(-step)) * (_MARGIN - threshold / 100)
            pairs = both.select("row", other=row.shift(-step), possible=possible & same).filter("possible")
            yield pairs.select(left=pl.min_horizontal("row", "other"), right=pl.max_horizontal("row", "other")).unique()


def _rarest(texts: pl.Series, groups: pl.Series) -> pl.DataFrame:
    """Return ``row`` and ``key`` of the rarest words and runs that a text shares with another one of its group."""
    # in parts, by the first bits of the keys and then by the rows: sorting takes several times what is sorted
    parts: list[list[pl.DataFrame]] = [[] for _ in range(_PARTS)]
    for keys in _keys(texts, groups):
        split = keys.with_columns(part=pl.col("key") // (2**64 // _PARTS)).partition_by("part", as_dict=True)
        for (part,), some in split.items():
            parts[part].append(some.drop("part"))
    shared = pl.concat([_shared(pl.concat([_NONE, *parts.pop(0)])) for _ in range(_PARTS)])
    found = [_NONE]
    each = max(1, -(-len(texts) // _PARTS))
    for first in range(0, len(texts), each):
        keys = shared.filter(pl.col("row").is_between(first, first + each - 1))
        keys = keys.sort(pl.col("row").cast(pl.UInt64) * 2**32 + pl.col("rows"), maintain_order=True)
        found.append(keys.filter(pl.int_range(pl.len()) - _run_starts() < _RAREST).select("row", "key"))
    return pl.concat(found)


def _shared(keys: pl.DataFrame) -> pl.DataFrame:
    """Return ``row`` and ``key`` where several rows have the key, and how many, in the order of the keys."""
    # sorted, not grouped: a hash table of nearly as many groups as rows takes several times as long
    keys = keys.sort("key", maintain_order=True)
    again = (pl.col("key") == pl.col("key").shift(1)) & (pl.col("row") == pl.col("row").shift(1))
    keys = keys.filter(~again.fill_null(False))
    keys = keys.with_columns(rows=(_run_ends("key") - _run_starts("key") + 1).cast(pl.UInt32))
    return keys.filter(pl.col("rows") > 1)


def _keys(texts: pl.Series, groups: pl.Series) -> Iterator[pl.DataFrame]:
    """Yield ``row`` and ``key`` of the words and runs of some texts after others."""
    word, factor, group = pl.col("word"), pl.lit(_FACTOR, pl.UInt64), pl.col("group")
    codes = _word_codes(texts)
    run = (word * factor + word.shift(-1)) * factor + word.shift(-2)
    single = pl.col("count") <= _SHORT
    runs = (pl.col("count") >= _LONG) & (pl.col("row").shift(-2) == pl.col("row"))  # null at the end is no
    for start, split in _split(texts):
        words = split.join(codes, on="word", how="left", maintain_order="left").select(
            row=pl.col("row") + start, word=pl.col("code").cast(pl.UInt64)
        )
        words = words.with_columns(group=groups.gather(words["row"]) + 1, count=_run_ends() - _run_starts() + 1)
        yield words.select("row", key=(word * factor + group * 2) * factor, found=single).filter("found").drop("found")
        yield words.select("row", key=(run * factor + group * 2 + 1) * factor, found=runs).filter("found").drop("found")


def _run_starts(column: str = "row") -> pl.Expr:
    """For each row of a sorted column, the place at which its value begins."""
    begins = (pl.col(column) != pl.col(column).shift(1)).fill_null(True)
    return pl.when(begins).then(pl.int_range(pl.len())).forward_fill()


def _run_ends(column: str = "row") -> pl.Expr:
    """For each row of a sorted column, the place at which its value ends."""
    ends = (pl.col(column) != pl.col(column).shift(-1)).fill_null(True)
    return pl.when(ends).then(pl.int_range(pl.len())).backward_fill()


def _split(texts: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    """Split texts into words, some texts after others: the number of the first, and ``row`` from it and ``word``."""
    starts = range(0, max(len(texts), 1), _PIECE)
    at_once = pl.thread_pool_size()
    with ThreadPoolExecutor(at_once) as threads:  # polars works on one piece in one thread
        for first in range(0, len(starts), at_once):
            some = starts[first : first + at_once]
            pieces = threads.map(lambda start: texts.slice(start, _PIECE).str.extract_all(_WORD), some)
            for start, words in zip(some, pieces, strict=True):
                yield start, words.alias("word").to_frame().with_row_index("row").explode("word").drop_nulls()


def _word_codes(texts: pl.Series) -> pl.DataFrame:
    """Number the words of texts by their places among all different ones: ``word`` and ``code``."""
    words = pl.DataFrame(schema={"word": pl.String})
    for _, split in _split(texts):
        words = pl.concat([words, split.select("word").unique()]).unique()
    return words.sort("word").with_row_index("code")


def _numbers(texts: pl.Series) -> pl.Series:
    """Return the numbers of each text, with what stands before them, as one string."""
    return texts.str.replace_all(_DASHES, "-").str.extract_all(_NUMBER).list.join(" ").str.replace_all(r"\s+", " ")


def _codes(values: pl.Series) -> pl.Series:
    """Number values by their places among all different ones, which does not depend on the order of the rows."""
    table = values.alias("value").to_frame()
    codes = table.unique().sort("value").with_row_index("code")
    joined = table.join(codes, on="value", how="left", maintain_order="left")
    return joined["code"].cast(pl.UInt64)


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
