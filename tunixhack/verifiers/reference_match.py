r"""Comparison of an answer with its reference, where that is short enough to tell by reading.

A rough measure that compares teachers, and no step: it drops nothing. What a domain knows better about its answers it
says with `tunixhack.steps.verify.Verify`. Three readers, by what the reference is:

=============== =================================================================================================
letters         the letter of an option, where question or reference name options (`tunixhack.verifiers.choice`)
math-verify     numbers and formulas: ``9{,}500`` is 9500, and 1/2 is 0.5 (`tunixhack.verifiers.math`)
plain           numbers and a few words, as they stand; for numbers where math-verify reads nothing
=============== =================================================================================================
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from tunixhack.verifiers.choice import claimed_letter, right_letter
from tunixhack.verifiers.math import claims

Check = Callable[[str], bool]
"""From an answer to whether it is right."""

MOST_WORDS = 5
"""A reference of more words can be said in too many ways."""
MOST_MATH = 200
"""Characters of a formula that is compared."""

LETTERS, MATH_VERIFY, PLAIN = "letters", "math-verify", "plain"

_NUMBER = re.compile(r"(?:(?<!\w)[-−])?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")  # noqa: RUF001
_PLAIN = re.compile(r"[\w\s'’.,/&-]+")
"""Words, and no formula or code, where a bracket changes what is meant."""
_LATEX = re.compile(r"\\[A-Za-z]+")
_WORD = re.compile(r"[^\W\d_]{2}")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}\\]*)\}")
"""Words set in a formula."""
_BOXED = re.compile(r"\\boxed\s*\{")
_THIN = re.compile(r"\{,\}|\\[,!; ]|(?<=[0-9])[\u2009\u202f](?=[0-9])")
"""LaTeX's ways to set digits apart."""


class Pair(NamedTuple):
    """A question's reference, and an answer to it."""

    reference: str
    answer: str
    question: str = ""


class Judgement(NamedTuple):
    """The judgement on an answer."""

    right: bool
    reader: str
    """`LETTERS`, `MATH_VERIFY` or `PLAIN`: who told."""
    math_verify: bool | None = None
    """What math-verify says; None where it was not asked, or reads nothing."""
    plain: bool | None = None
    """What the plain reader says of a number; None where it was not asked."""

    @property
    def disputed(self) -> bool:
        """Tell whether two readers say the contrary."""
        return None not in (self.math_verify, self.plain) and self.math_verify != self.plain


def judge_answers(pairs: Iterable[Pair]) -> list[Judgement | None]:
    """Judge answers by their references.

    Returns:
        A judgement for each answer; None where reading the reference does not decide it.

    >>> [told and told.right for told in judge_answers([Pair("dipoles", "They are Dipoles."), Pair("", "Dipoles.")])]
    [True, None]
    """
    pairs = list(pairs)
    judged = [_by_letter(pair) for pair in pairs]
    mathematics = [at for at, pair in enumerate(pairs) if judged[at] is None and _is_mathematics(pair.reference)]
    claimed = claims((pairs[at].reference, pairs[at].answer) for at in mathematics)
    said = {at: claim.right for at, claim in zip(mathematics, claimed, strict=True)}
    return [told or _by_reading(pair, said.get(at)) for at, (told, pair) in enumerate(zip(judged, pairs, strict=True))]


def right(reference: str) -> Check | None:
    """Return how answers are plainly compared with a reference; None where that cannot be told by reading.

    A number is right if it is the last one in the answer, or in its last box. A few words are right if they stand in
    the answer, one behind the other, whatever their case and the signs between them; an answer that says they are wrong
    counts as right, too.

    Args:
        reference: the source's own answer.

    >>> is_right = right("1003")
    >>> is_right and [is_right("It takes 20 days and costs $1,003.00."), is_right("1,003 or 1,004?")]
    [True, False]
    >>> right("Because the moon is between the sun and the earth.") is None
    True
    """
    said = _TEXT.fullmatch(reference.strip())
    reference = said[1] if said else reference
    number = _numbers(reference)
    if len(number) == 1 and is_number(reference):
        return lambda answer: _numbers(_claim(answer))[-1:] == number
    words = _words(reference)
    if not 0 < len(words) <= MOST_WORDS or not _PLAIN.fullmatch(reference):
        return None
    return lambda answer: _stands_in(words, _words(answer))


def is_number(reference: str) -> bool:
    """Tell whether a reference is one number and nothing else.

    >>> is_number("1,003"), is_number("3 apples")
    (True, False)
    """
    return _NUMBER.fullmatch(_THIN.sub("", reference).strip()) is not None


def last_number(answer: str) -> str | None:
    """Return the last number of an answer, or of its last box; None where it has none.

    >>> last_number("It takes 20 days and costs $1,003.00.")
    '1003'
    """
    found = _numbers(_claim(answer))[-1:]
    return f"{found[0].normalize():f}" if found else None


def short_words(answer: str) -> str | None:
    """Return the words of an answer of at most `MOST_WORDS`, without case and signs; None for any other.

    >>> short_words("**Dipoles.**"), short_words("") is None
    ('dipoles', True)
    """
    words = _words(answer)
    return " ".join(words) if 0 < len(words) <= MOST_WORDS else None


def _by_letter(pair: Pair) -> Judgement | None:
    letter = right_letter(pair.reference, pair.question)
    if letter is None:
        return None
    claimed = claimed_letter(pair.answer)
    if claimed is None and (option := pair.reference.partition(letter)[2].lstrip(").: \t")):
        check = right(option)  # the option's own words, without its letter
        return Judgement(bool(check and check(pair.answer)), LETTERS)
    return Judgement(claimed == letter, LETTERS)


def _by_reading(pair: Pair, math_verify: bool | None) -> Judgement | None:
    check = right(pair.reference)
    plain = None if check is None else check(pair.answer)
    if not _is_mathematics(pair.reference):
        return None if plain is None else Judgement(plain, PLAIN)
    if math_verify is not None:
        return Judgement(math_verify, MATH_VERIFY, math_verify, plain)
    # a formula that no reader finds in the answer is taken as absent; a number is looked for as it stands
    same = _bare(pair.reference) == _bare(_claim(pair.answer))
    return Judgement(bool(plain) or same, PLAIN, None, plain)


def _is_mathematics(reference: str) -> bool:
    """Tell a number or a formula from words: it has no two letters in a row but in LaTeX's commands."""
    text = _LATEX.sub("", reference.strip())
    known = 0 < len(text) <= MOST_MATH and not _WORD.search(text) and ":" not in text and "\n" not in text
    return known and bool(
        re.search(r"[0-9]", text) or _LATEX.search(reference) or re.search(r"[A-Za-z]\s*[-+*/^=]", text)
    )


def _claim(answer: str) -> str:
    """Return what stands in the last box of an answer; the answer where it has none."""
    boxes = list(_BOXED.finditer(answer))
    if not boxes:
        return answer
    start, depth = boxes[-1].end(), 1
    for place in re.compile(r"[{}]").finditer(answer, start):
        depth += 1 if place[0] == "{" else -1
        if not depth:
            return answer[start : place.start()]
    return answer[start:]


def _bare(text: str) -> str:
    return re.sub(r"[\s$.]+", "", _THIN.sub("", text))


def _numbers(text: str) -> list[Decimal]:
    found = _NUMBER.findall(_THIN.sub("", text))
    return [Decimal(number.replace(",", "").replace("−", "-")) for number in found]  # noqa: RUF001


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _stands_in(words: list[str], text: list[str]) -> bool:
    return any(text[at : at + len(words)] == words for at in range(len(text) - len(words) + 1))
