"""Exact deduplication of questions: the same question twice is paid for sixteen times too often."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal

import polars as pl

from tunixhack._util.texts import FORMAT, without_format_characters
from tunixhack.errors import UserError
from tunixhack.steps.base import Context, Verdict

DEFAULT_WRAPPERS: tuple[str, ...] = (
    r"Return your final response within \boxed{}.",
    r"Please reason step by step, and put your final answer within \boxed{}.",
    r"Let's think step by step and output the final answer within \boxed{}.",
    r"Put your final answer within \boxed{}.",
    "Please reason step by step.",
    "Let's think step by step.",
    "Generate an executable Python function generated from the given prompt. The function should take stdin as input "
    "and print the output. Simply call the function after the definition.",
    "Generate an executable Python function generated from the given prompt. Return the function body without "
    "invoking it at the final solution.",
)
"""Instructions that public datasets put before or behind the very same question."""

_CONTROL = r"[\t-\r]"
"""In ASCII these, two spaces in a row and a space at an end are all the white space that is not in order."""

_ODD = r"[^\x00-\x7f\xa1-\x{2ff}\x{2010}-\x{2027}\x{2030}-\x{205e}\x{20a0}-\x{20bf}]"
"""A character that NFC may change or that may be white space: none of Latin, general punctuation, currency signs."""

_PIECE = 20_000
_ENDS = 12
"""Rows, and bytes of a wrapper, that are looked at at once; polars keeps 12 bytes in place."""


@dataclass(frozen=True)
class ExactDedup:
    """Drop all but one of the questions that are equal, together with their context.

    Two notions of equal:

    * ``"normalised"`` (default): equal without format characters that change nothing (zero-width spaces, soft hyphens,
      marks of direction), after Unicode NFC, lower case, every run of white space as one space, none at the ends, and
      without the listed wrappers at the start or end; see `normalise`. The context is normalised alike, but keeps its
      wrappers.
    * ``"raw"``: equal as strings, which is what OpenThoughts does (``drop_duplicates`` on the text, arXiv 2506.04178):
      case, white space, Unicode form and wrapper all count. Raw duplicates within a domain have equal question_ids,
      so the source has collapsed them already: this choice means "no more than that".

    Lower case makes "5 Mb" and "5 mb" one question; where case carries meaning, take ``"raw"``.

    Of equal questions the one with the smallest question_id stays, whatever the order of the rows (contract 9). The
    step keeps no state of its own, so it may be called on any table with the question columns.

    Attributes:
        key: what counts as equal, ``"normalised"`` or ``"raw"``.
        wrappers: instructions that are no part of a question, in any case and spacing.

    >>> rows = pl.DataFrame({"question_id": ["b", "a"], "question": ["What is 1 + 1?", "what is  1 + 1?"],
    ...                      "context": [None, None]})
    >>> verdict = ExactDedup()(rows, Context())
    >>> verdict.keep.to_list(), verdict.evidence
    ([False, True], [{'kept': 'a'}, None])
    """

    stage: ClassVar[str] = "questions"

    key: Literal["normalised", "raw"] = "normalised"
    wrappers: tuple[str, ...] = DEFAULT_WRAPPERS

    def __post_init__(self) -> None:
        if self.key not in ("normalised", "raw"):
            raise UserError(f'ExactDedup(key={self.key!r}): the key is "normalised" or "raw"')

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge every row; dropped ones carry the question_id that stays as evidence."""
        question, context = rows["question"], rows["context"].cast(pl.String).fill_null("")
        if self.key == "normalised":
            question, context = normalise(question, self.wrappers), normalise(context, ())
        stays = first_of_equal(
            pl.DataFrame([question.alias("question"), context.alias("context")]), rows["question_id"]
        )
        keep = stays == pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
        kept = rows["question_id"].gather(stays)
        evidence = [None if own else {"kept": other} for own, other in zip(keep, kept, strict=True)]
        return Verdict(keep=keep.alias("keep"), reason="duplicate_question", evidence=evidence)


def first_of_equal(keys: pl.DataFrame, order: pl.Series | None = None) -> pl.Series:
    """Find for each row which of the rows equal to it comes first.

    A 64-bit hash finds the few rows that can be equal at all; the keys themselves decide among them, so that a
    collision costs a comparison and never a row.

    Args:
        keys: any columns; rows are equal where all are.
        order: what to be first in, one value a row; rows with equal values, and all rows without it, by position.

    Returns:
        Row numbers (UInt32), one a row; a row that stays has its own.

    >>> first_of_equal(pl.DataFrame({"question": ["x", "y", "x"]})).to_list()
    [0, 1, 0]
    """
    own = pl.int_range(keys.height, dtype=pl.UInt32, eager=True)
    hashes = keys.hash_rows()
    perhaps = hashes.is_duplicated()
    if not perhaps.any():
        return own
    few = keys.with_columns(
        (own if order is None else order).alias("_order"), own.alias("_row"), hashes.alias("_hash")
    ).filter(perhaps)
    few = few.sort("_order", "_row")
    first = few.select(pl.col("_row").first().over("_hash"))["_row"]
    if not keys.select(pl.all().gather(first)).equals(few.select(keys.columns)):
        first = few.select(pl.col("_row").first().over(keys.columns))["_row"]  # a collision
    by_row = few["_row"].arg_sort()
    return own.scatter(few["_row"].gather(by_row), first.gather(by_row))


def normalise(texts: pl.Series, wrappers: Sequence[str] = DEFAULT_WRAPPERS) -> pl.Series:
    r"""Reduce questions to what makes them different.

    In this order: format characters left out where they change nothing (`texts.without_format_characters`), Unicode
    NFC, lower case, runs of white space (Unicode's White_Space) to one space and none at the ends, then every wrapper
    removed that stands whole at the start or the end, several in a row too. A text that is nothing but one wrapper
    stays. Nulls stay null.

    Most questions are plain text with single spaces and need only the lower case; the costly rest is done to the
    rows that call for it.

    Args:
        texts: strings, one a question.
        wrappers: instructions around a question; compared in normalised form.

    >>> normalise(pl.Series(["Find\n X.  Return your final response within \\boxed{}."])).to_list()
    ['find x.']
    """
    listed = set(_tidy(pl.Series(list(wrappers), dtype=pl.String))) - {""}
    pieces = [texts.slice(start, _PIECE) for start in range(0, len(texts), _PIECE)]
    if not pieces:
        return texts.cast(pl.String)
    # polars works on one piece in one thread, and a piece stays in the processor's cache
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        return pl.concat(threads.map(lambda piece: _unwrap(_tidy(piece), listed), pieces))


def _tidy(texts: pl.Series) -> pl.Series:
    """Bring format characters, Unicode form, case and white space in order."""
    text = pl.col("text")
    blank = (text.str.contains("  ", literal=True), text.str.contains(_CONTROL))
    seen = texts.to_frame("text").select(
        foreign=(text.str.len_bytes() != text.str.len_chars()).fill_null(False),
        spaced=pl.any_horizontal(*blank, text.str.starts_with(" "), text.str.ends_with(" ")).fill_null(False),
    )
    foreign = seen["foreign"]
    formatted = _replace(foreign, foreign, texts.filter(foreign).str.contains(f"[{FORMAT}]"))
    texts = _replace(texts, formatted, _without_format(texts.filter(formatted)))
    odd = _replace(foreign, foreign, texts.filter(foreign).str.contains(_ODD)) | formatted
    composed = _replace(texts, odd, texts.filter(odd).str.normalize("NFC"))
    lowered = composed.str.to_lowercase()
    spaced = seen["spaced"] | odd
    return _replace(lowered, spaced, _one_space(lowered.filter(spaced)))


def _unwrap(texts: pl.Series, wrappers: Collection[str]) -> pl.Series:
    """Take wrappers off tidy texts."""
    if not wrappers:
        return texts
    # the regular expression costs more than all the rest: only for rows that begin or end as some wrapper does
    length = min(_ENDS, *(len(wrapper.encode()) for wrapper in wrappers))
    head = [wrapper.encode()[:length] for wrapper in wrappers]
    tail = [wrapper.encode()[-length:] for wrapper in wrappers]
    raw = texts.cast(pl.Binary)
    perhaps = (raw.bin.slice(0, length).is_in(head) | raw.bin.slice(-length).is_in(tail)).fill_null(False)
    # longest first: an alternation takes the first that fits, and one wrapper may begin with another
    longest = sorted(wrappers, key=lambda wrapper: (-len(wrapper), wrapper))
    either = "|".join(pl.escape_regex(wrapper) for wrapper in longest)
    bare = texts.filter(perhaps).str.replace(f"^(?:(?:{either}) )+", "").str.replace(f"(?: (?:{either}))+$", "")
    return _replace(texts, perhaps, bare)


def _without_format(texts: pl.Series) -> pl.Series:
    return pl.Series([without_format_characters(text) for text in texts], dtype=pl.String)


def _one_space(texts: pl.Series) -> pl.Series:
    # not r"\s+": that would match, and copy, every single space there is
    return texts.str.replace_all(r"[^\S ]\s*| \s+", " ").str.strip_chars(" ")


def _replace(texts: pl.Series, mask: pl.Series, changed: pl.Series) -> pl.Series:
    return texts.clone().scatter(mask.arg_true(), changed) if mask.any() else texts
