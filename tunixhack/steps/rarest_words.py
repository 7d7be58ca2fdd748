"""The rarest words and runs of words of many texts, by which nearly equal ones find one another."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl

_SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_SPACELESS}]|[\p{{L}}\p{{M}}\p{{N}}--[{_SPACELESS}]]{{1,12}}"
"""A word, or a piece of a very long one; of scripts that put no spaces between words, a character."""

_SHORT, _LONG = 16, 8
"""Texts of at most so many words are found by single words, those of at least so many by runs of three; the two overlap
since a near-duplicate can have a word more."""
_RAREST = 8
"""The words or runs by which a text is looked for. Those that occur once find nothing and do not count, so a pair that
shares one is missed only where one of the two has eight others, all rarer, or where a crowd shares it, of which
`tunixhack.steps.similar_pairs` compares neighbours alone."""
_FACTOR = 0x9E3779B97F4A7C15
"""An odd number of 64 bits, by which numbers are mixed; products are taken modulo 2⁶⁴."""
_PIECE = 20_000
"""Texts that a thread splits at once."""
_PARTS = 16
"""Parts in which keys are sorted."""
_NONE = pl.DataFrame(schema={"row": pl.UInt32, "key": pl.UInt64})


def rarest_words(texts: pl.Series, groups: pl.Series) -> pl.DataFrame:
    """Find the rarest words, and runs of three words, that each text shares with another one of its group.

    Args:
        texts: normalised, without nulls.
        groups: a number for each text; texts of different groups share nothing.

    Returns:
        ``row``, the number of a text, and ``key``, a hash of a word or run: at most eight for a text.
    """
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
