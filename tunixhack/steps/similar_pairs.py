"""Pairs of texts that are nearly equal, found without comparing all of them.

All pairs would be n²/2 comparisons. Two texts that are nearly equal share their rarest words or runs of three words,
and have about the same characters, so that only those that do are compared. The more texts there are, the more of them
share even their rarest words with many others; nearly all of those pairs are told apart by their characters alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from rapidfuzz import fuzz, process

from tunixhack.steps.count_signatures import signatures
from tunixhack.steps.rarest_words import rarest_words

_NUMBER = r"(?:[-+*/×·÷^=<>≤≥]\s*)?\p{N}+(?:[.,]\p{N}+)*"
"""A number with what stands right before it: 5, -5 and x = 5 are not the same."""
_DASHES = "[−–—]"  # noqa: RUF001  # minus signs, as they are typed

_NEIGHBOURS = 16
"""Of more texts than this that share a word or run, each is compared with the next ones alone, in the order of their
beginnings and in that of their ends: the number of comparisons stays linear, whatever the texts are."""
_CHUNK = 200_000
"""Pairs that are compared at once."""
_PAIRED = 1_000_000
"""Places of blocks whose texts are paired at once."""
_MARGIN = 1.0001
"""For rounding, where pairs are left out by a bound of their similarity."""


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
    blocks = rarest_words(texts, groups)
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


def _numbers(texts: pl.Series) -> pl.Series:
    """Return the numbers of each text, with what stands before them, as one string."""
    return texts.str.replace_all(_DASHES, "-").str.extract_all(_NUMBER).list.join(" ").str.replace_all(r"\s+", " ")


def _codes(values: pl.Series) -> pl.Series:
    """Number values by their places among all different ones, which does not depend on the order of the rows."""
    table = values.alias("value").to_frame()
    codes = table.unique().sort("value").with_row_index("code")
    joined = table.join(codes, on="value", how="left", maintain_order="left")
    return joined["code"].cast(pl.UInt64)
