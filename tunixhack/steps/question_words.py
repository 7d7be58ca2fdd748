r"""Questions as the words that make them different, whatever stands around them and however they are set.

Two spellings of one question give equal words: case, Unicode form, format characters, Markdown, HTML and chat tags,
LaTeX's setting, a label such as "Question 3:" and the instructions of `exact_dedup.DEFAULT_WRAPPERS` count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from tunixhack.steps.exact_dedup import DEFAULT_WRAPPERS, normalise

NUMBER = "#"
"""What stands for any number in `masked` words."""

_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Han, which are written without spaces: each character is a word."""
_WORD = re.compile(rf"\d+(?:[.,]\d+)*|[{_NO_SPACES}]|[^\W\d_{_NO_SPACES}]+|[+*/=<>^%±≤≥≠√∑∏∫]|(?<![^\W\d_])-(?=\s*\d)")
_ALL = re.compile(rf"{_WORD.pattern}|[^\w\s.,;:!?\"'`’‘“”$(){{}}\[\]\\]")
"""Words, and all other signs but those of punctuation and setting: what two very short questions are told apart by."""
_OTHER_SIGN = re.compile(r"[^\w\s.,;:!?\"'`’‘“”$(){}\[\]\\+*/=<>^%±≤≥≠√∑∏∫]")
"""A sign without which `_ALL` finds nothing but words."""

_MARKED = re.compile("[<>`*#\\\\~_|\\[\u2212×÷·]")
_LABEL = "question|problem|exercise|task|instruction|prompt|query|user|human|input|q"
_MARKUP = (
    (re.compile(r"<\|[^|<>\n]{1,40}\|>(?:system|user|human)?"), " "),  # a chat template's
    (re.compile(r"</?[A-Za-z][\w-]*(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s<>\"']+))*\s*/?>"), " "),
    (re.compile(rf"^[ \t]*#+[ \t]*(?:{_LABEL})[ \t]*:?[ \t]*$", re.M | re.I), " "),
    (re.compile(r"^[ \t]*(?:#{1,6}|>|[-+*•])[ \t]+", re.M), " "),
    (re.compile(r"!?\[([^\[\]\n]{0,200})\]\([^()\s]{0,500}\)"), r"\1"),  # a link
    (re.compile(r"```\w*|`|\*\*|__|~~"), " "),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"\\(?:times|cdot)\b|[×·]"), " * "),
    (re.compile(r"\\div\b|÷"), " / "),
    (
        re.compile(
            r"\\(?:boxed|text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt|bb)|emph|left|right|displaystyle|q?quad|[,;! ])"
            r"(?![A-Za-z])"
        ),
        " ",
    ),
    (re.compile("\u2212"), "-"),
)
_LABELS = re.compile(rf"^(?:(?:{_LABEL})(?: ?\d+)? ?[:.)] ?)+")
_ANSWER = re.compile(r"(?: ?\b(?:answer|solution|response|assistant|a) ?:)+$")
_ANSWER_ROOM = 60
"""Characters at the end of a text in which it is looked for."""
_FIRST_OPTION = re.compile(r" (?:(?:answer )?(?:options|choices) ?:? ?)?(?:\(a\)|a[).:]) ")
_SECOND_OPTION = re.compile(r" (?:\(b\)|b[).:]) ")

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion"
)
_NUMERAL = frozenset(re.findall(r"\w+", _NUMERALS))


@dataclass(frozen=True)
class QuestionWords:
    """The words of a question."""

    words: tuple[str, ...]
    """All of them, those of its options too; a number and an operator are words."""
    stem: tuple[str, ...]
    """Those before its list of options; all of them where it has none."""
    key: tuple[str, ...]
    """The words and all other signs but punctuation: equal for equal questions, however short."""
    stem_key: tuple[str, ...]
    """The same of the part before the options."""


def question_words(texts: Sequence[str]) -> list[QuestionWords]:
    r"""Read the words of questions.

    >>> [found] = question_words(["**Question 3:** Which is $2 \\times 1{,}5$?\nA) 3\nB) 4"])
    >>> found.stem, found.words[-2:]
    (('which', 'is', '2', '*', '1', '5'), ('b', '4'))
    """
    # instructions have markup, too, and can stand outside of a label or within
    wrappers = [_without_markup(wrapper) for wrapper in DEFAULT_WRAPPERS]
    tidy = normalise(pl.Series([_without_markup(text) for text in texts], dtype=pl.String), wrappers)
    tidy = normalise(pl.Series([_without_labels(text) for text in tidy], dtype=pl.String), wrappers)
    return [_read(text, original) for text, original in zip(tidy, texts, strict=True)]


def masked(words: Sequence[str]) -> tuple[str, ...]:
    """Put `NUMBER` in the place of each number, in digits or as an English word.

    >>> masked(("buys", "three", "pens", "for", "1.50"))
    ('buys', '#', 'pens', 'for', '#')
    """
    return tuple(map(_masked, words))


@lru_cache(maxsize=2**17)
def _masked(word: str) -> str:
    return NUMBER if word[0].isdigit() or word in _NUMERAL else word


def _without_markup(text: str) -> str:
    if _MARKED.search(text) is None:
        return text
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text


def _without_labels(text: str) -> str:
    text = _LABELS.sub("", text)
    return text[:-_ANSWER_ROOM] + _ANSWER.sub("", text[-_ANSWER_ROOM:])


def _read(text: str, original: str) -> QuestionWords:
    first = _FIRST_OPTION.search(text)
    stem = text[: first.start()] if first and _SECOND_OPTION.search(text, first.end()) else text
    # of what is nothing but markup the markup itself
    words = _words(_WORD, text)
    signs = _words(_ALL, text) if _OTHER_SIGN.search(text) else words
    key = signs or (text or original,)
    if stem == text:
        return QuestionWords(words, words, key, key)
    return QuestionWords(words, _words(_WORD, stem), key, _words(_ALL, stem) or (stem or original,))


def _words(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    found = pattern.findall(text)
    if "," not in text:
        return tuple(found)
    return tuple(word.replace(",", "") if "," in word and _THOUSANDS.fullmatch(word) else word for word in found)
