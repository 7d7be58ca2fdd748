"""An index of benchmark questions, which finds the one that a text repeats, in time linear in the texts.

Runs of words are compared as 64-bit hashes of polars columns, and what is equal by hash is compared word by word
before it counts. Only the pairs that share a run of four words, or of short questions a word, are compared as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import polars as pl

from tunixhack.steps.question_words import NUMBER, QuestionWords, masked, question_words

LONGEST = 13
"""Words of the longest run that is looked for; GPT-3's and OpenThoughts' n-grams have as many (arXiv 2506.04178)."""
SHORTEST = 5
"""A benchmark question of fewer words is found by being equal only."""
MOST_QUESTIONS = 2
"""A run that stands in more benchmark questions than this is a turn of phrase, and shows nothing by itself."""
SHARED = 4
"""Words of the run that two questions must share to be compared as a whole; of one with fewer words than `LONGEST`, one
word that is not frequent will do, since a word that is replaced leaves no longer run there."""

_MOST_SHARED = 100
"""A run, or a word, that stands in more benchmark questions than this does not lead to a comparison."""
_MOST_COMPARED = 20
"""Benchmark questions that one text is compared with as a whole: those with which it shares the rarest runs."""
_PIECE = 4096
"""Texts that are looked for at once, which bounds the memory."""
_FACTOR = 0x9E3779B97F4A7C15

Words = tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """A benchmark question that a text repeats."""

    question: int
    """Its number in the index."""
    rule: str
    """``exact``, ``ngram`` or ``similar``; the latter two with ``_numbers_masked`` behind where the numbers differ."""
    text: str | None = None
    """The words in common; None for the whole question."""
    similarity: float | None = None
    """Of ``similar``, the normalised Indel similarity times 100."""


class BenchmarkIndex:
    """The benchmark questions to look for.

    Args:
        texts: the questions, numbered from 0. Of equal ones the first is found.
        similarity: the least normalised Indel similarity, times 100, of questions that are alike.
    """

    def __init__(self, texts: Sequence[str], similarity: float) -> None:
        read = question_words(texts)
        self._equal: dict[Words, int] = {}
        for number, one in enumerate(read):
            self._equal.setdefault(one.key, number)
        plain = [(one.words, _compared(one)) for one in read]
        self._forms = (
            _Form(plain, similarity, ""),
            _Form([(masked(words), masked(compared)) for words, compared in plain], similarity, "_numbers_masked"),
        )

    def find(self, texts: Sequence[str]) -> list[Match | None]:
        """Find for each text the benchmark question that it repeats, by the first rule that finds one.

        The rules go from the surest to the least sure: equal, a run of words, a run with numbers masked, similar,
        similar with numbers masked. What is found for a text does not depend on the other texts.
        """
        return [found for at in range(0, len(texts), _PIECE) for found in self._find(texts[at : at + _PIECE])]

    def _find(self, texts: Sequence[str]) -> list[Match | None]:
        read = question_words(texts)
        found: list[Match | None] = [None] * len(texts)
        for at, one in enumerate(read):
            equal = self._equal.get(one.key, self._equal.get(one.stem_key))
            found[at] = None if equal is None else Match(equal, "exact")
        left = [at for at, match in enumerate(found) if match is None]
        for rule in ("runs", "similar"):
            for form in self._forms:
                texts_left = [_compared(read[at]) if rule == "similar" else read[at].words for at in left]
                if form.masks:
                    texts_left = [masked(words) for words in texts_left]
                for place, match in getattr(form, rule)(texts_left):
                    found[left[place]] = match
                left = [at for at in left if found[at] is None]
        return found


class _Form:
    """The benchmark questions in one form, as they are or with their numbers masked."""

    def __init__(self, questions: Sequence[tuple[Words, Words]], similarity: float, ending: str) -> None:
        self.masks = bool(ending)
        self._ending, self._similarity = ending, similarity
        distinct: dict[Words, int] = {}
        wholes: dict[Words, int] = {}
        for number, (words, compared) in enumerate(questions):
            if _is_long(words):
                distinct.setdefault(words, number)
            if _is_long(compared):
                wholes.setdefault(compared, number)
        self._words, self._numbers = list(distinct), list(distinct.values())
        self._wholes, self._whole_numbers = [" ".join(words) for words in wholes], list(wholes.values())
        self._runs = dict(self._index_runs())
        runs = _runs_of(list(wholes), SHARED, SHARED).get(SHARED, _NONE)
        shared = runs.select("key", "text").unique()
        often = shared.group_by("key").len()
        self._shared = _rare(shared)
        if not self.masks:
            self._shared = pl.concat([self._shared, _rare(_short_keys(list(wholes), LONGEST - 1))])
        phrases = runs.join(often.filter(pl.col("len") > MOST_QUESTIONS), on="key", how="semi")
        by_text = phrases.group_by("text").agg("start").iter_rows()
        whole_words = list(wholes)
        self._own = {text: _outside(whole_words[text], starts) for text, starts in by_text}
        self._sizes = pl.Series("other_size", [len(whole) for whole in self._wholes], dtype=pl.UInt32)

    def _index_runs(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the runs to look for by their length, each with a question that has it and where it begins there."""
        sizes = pl.Series([min(len(words), LONGEST) for words in self._words], dtype=pl.UInt32)
        for length, runs in _runs_of(self._words, SHORTEST, LONGEST).items():
            own = runs.filter(sizes.gather(runs["text"]) == length)
            if own.is_empty():
                continue
            # a run counts where it stands within longer questions, too
            often = runs.join(own.select("key").unique(), on="key", how="semi").select("key", "text").unique()
            rare = often.group_by("key").len().filter(pl.col("len") <= MOST_QUESTIONS)
            own = own.join(rare, on="key", how="semi").sort("text", "start").unique("key", keep="first")
            yield length, own.select("key", pl.col("text").alias("other"), pl.col("start").alias("other_start"))

    def runs(self, texts: Sequence[Words]) -> Iterator[tuple[int, Match]]:
        """Yield the texts that have a run of words of a benchmark question, by their place."""
        if not self._runs:
            return
        done: set[int] = set()
        # the longest run is the surest
        for length, runs in reversed(_runs_of(texts, min(self._runs), max(self._runs)).items()):
            if length not in self._runs:
                continue
            hits = runs.join(self._runs[length], on="key").sort("text", "other", "start")
            for text, start, other, other_start in hits.select("text", "start", "other", "other_start").iter_rows():
                run = self._words[other][other_start : other_start + length]
                if text in done or texts[text][start : start + length] != run:
                    continue  # a collision of hashes is none of words
                if self.masks and not _says_enough(run):
                    continue
                done.add(text)
                yield text, Match(self._numbers[other], f"ngram{self._ending}", text=" ".join(run))

    def similar(self, texts: Sequence[Words]) -> Iterator[tuple[int, Match]]:
        """Yield the texts that are like a benchmark question as a whole, by their place."""
        from rapidfuzz import fuzz, process

        runs = _runs_of(texts, SHARED, SHARED).get(SHARED, _NONE).select("key", "text").unique()
        if not self.masks:
            runs = pl.concat([runs, _short_keys(texts, 2 * LONGEST)])
        joined = [" ".join(words) for words in texts]
        sizes = pl.Series("size", [len(text) for text in joined], dtype=pl.UInt32)
        pairs = runs.join(self._shared, on="key")
        pairs = pairs.with_columns(sizes.gather(pairs["text"]), self._sizes.gather(pairs["other"]))
        pairs = pairs.filter(self._possible()).group_by("text", "other").agg(pl.col("weight").sum())
        pairs = pairs.sort("text", -pl.col("weight").round(9), "other")
        pairs = pairs.filter(pl.int_range(pl.len()).over("text") < _MOST_COMPARED)
        if pairs.is_empty():
            return
        alike = process.cpdist(
            [joined[at] for at in pairs["text"]],
            [self._wholes[at] for at in pairs["other"]],
            scorer=fuzz.ratio,
            score_cutoff=self._similarity,
            workers=-1,
        )
        scored = pairs.with_columns(similarity=pl.Series(alike, dtype=pl.Float64))
        scored = scored.filter(pl.col("similarity") >= self._similarity)
        scored = scored.sort("text", -pl.col("similarity"), "other")
        done: set[int] = set()
        for text, other, similarity in scored.select("text", "other", "similarity").iter_rows():
            enough = not self.masks or _says_enough(texts[text])
            if text not in done and enough and self._has_its_own(texts[text], other):
                done.add(text)
                number = self._whole_numbers[other]
                yield text, Match(number, f"similar{self._ending}", similarity=round(similarity, 1))

    def _has_its_own(self, words: Words, other: int) -> bool:
        """Tell whether a text has most of what a benchmark question has beside phrases that many of them have."""
        from rapidfuzz.distance import LCSseq

        own = self._own.get(other)
        return not own or 100 * LCSseq.similarity(own, words) >= self._similarity * len(own)

    def _possible(self) -> pl.Expr:
        """Tell whether texts of two sizes can be similar: at best, all of the shorter one stands in the longer one."""
        smaller, both = pl.min_horizontal("size", "other_size"), pl.col("size") + pl.col("other_size")
        return 200 * smaller >= self._similarity * both


_NONE = pl.DataFrame(schema={"key": pl.UInt64, "text": pl.UInt32, "start": pl.UInt32})


def _runs_of(texts: Sequence[Words], shortest: int, longest: int) -> dict[int, pl.DataFrame]:
    """Return all runs of so many words, by length: hash (key), the text that has it, and where it begins there."""
    sizes = pl.Series([len(words) for words in texts], dtype=pl.UInt32)
    text = pl.int_range(len(texts), dtype=pl.UInt32, eager=True).repeat_by(sizes).explode().drop_nulls()
    if text.is_empty():
        return {}
    hashes = pl.Series(list(chain.from_iterable(texts)), dtype=pl.String).hash()
    first = (sizes.cum_sum() - sizes).gather(text)
    start = pl.int_range(len(text), dtype=pl.UInt32, eager=True) - first
    found = {}
    key, factor = hashes, 1
    for length in range(1, longest + 1):
        if length > 1:
            factor = factor * _FACTOR % 2**64
            # unsigned numbers wrap around
            key = key + hashes.shift(1 - length) * pl.Series([factor], dtype=pl.UInt64)
        if length >= shortest:
            inside = (text.shift(1 - length) == text).fill_null(False)
            found[length] = pl.DataFrame([key.alias("key"), text.alias("text"), start.alias("start")]).filter(inside)
    return found


def _short_keys(texts: Sequence[Words], most: int) -> pl.DataFrame:
    """Return the words and pairs of words of texts of at most so many words: key, and the text that has it."""
    short = [words if len(words) <= most else () for words in texts]
    return pl.concat([_NONE, *_runs_of(short, 1, 2).values()]).select("key", "text").unique()


def _rare(keys: pl.DataFrame) -> pl.DataFrame:
    """Return the keys that lead to a comparison: key, the benchmark question, and how much it counts."""
    often = keys.group_by("key").len().filter(pl.col("len") <= _MOST_SHARED)
    return keys.join(often, on="key").select(
        "key", pl.col("text").alias("other"), weight=1 / pl.col("len").cast(pl.Float64)
    )


def _outside(words: Words, starts: Sequence[int]) -> Words:
    """Return the words outside of the runs of four that begin at some places."""
    inside = {start + place for start in starts for place in range(SHARED)}
    return tuple(word for at, word in enumerate(words) if at not in inside)


def _compared(question: QuestionWords) -> Words:
    """Return the words that questions are compared by as a whole; a short stem says little without its options."""
    return question.stem if len(question.stem) >= LONGEST else question.words


def _is_long(words: Words) -> bool:
    """Tell whether a question has enough words, of which operators are none."""
    return _says_enough(words) if NUMBER in words else sum(word[0].isalnum() for word in words) >= SHORTEST


def _says_enough(words: Words) -> bool:
    """Tell whether enough words are left where the numbers are masked: "# + # = #" is no question."""
    return sum(map(str.isalpha, words)) >= SHORTEST
