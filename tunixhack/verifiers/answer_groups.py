"""Which answers to one question claim the same, without a reference.

========= ===========================================================================================================
letters   where the question lists options: the letter that an answer claims (`tunixhack.verifiers.choice`)
maths     else the number or formula that math-verify reads in it, 1/2 and 0.5 being the same
words     else an answer of at most five words, whatever their case and the signs between them
========= ===========================================================================================================

An answer that none of them reads claims nothing. Without math-verify, the last number of an answer is its claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from tunixhack.verifiers.choice import claimed_letter, right_letter
from tunixhack.verifiers.math import AnswerReader, answer_reader, reader
from tunixhack.verifiers.reference_match import is_number, last_number, short_words


class Group(NamedTuple):
    """The answers among which one is: those to the same question that claim the same."""

    number: int
    """From 0, in the order in which the claims first come."""
    claim: str
    """The claim as the first answer of the group has it."""


def answer_groups(questions: Iterable[tuple[str, Sequence[str]]]) -> list[list[Group | None]]:
    r"""Group the answers to questions by what they claim.

    Args:
        questions: each question's text, with its answers.

    Returns:
        For each question and answer its group; None for an answer that claims nothing.

    >>> question = "Which one?\nA) rain\nB) snow"
    >>> answer_groups([(question, ["The answer is B.", "A) rain", "Hm.", "(B)"])])
    [[Group(number=0, claim='B'), Group(number=1, claim='A'), None, Group(number=0, claim='B')]]
    """
    grouped = []
    with ExitStack() as stack:
        mathematics: AnswerReader | None = None
        for question, answers in questions:
            if right_letter("A)", question) is not None or right_letter("A", question) is not None:
                grouped.append(_by_equal_claims([claimed_letter(answer) for answer in answers]))
                continue
            if mathematics is None and reader() is not None:
                mathematics = stack.enter_context(answer_reader())
            grouped.append(_by_reading(answers, mathematics))
    return grouped


def _by_equal_claims(claims: Sequence[str | None]) -> list[Group | None]:
    numbers: dict[str, int] = {}
    return [None if claim is None else Group(numbers.setdefault(claim, len(numbers)), claim) for claim in claims]


def _by_reading(answers: Sequence[str], mathematics: AnswerReader | None) -> list[Group | None]:
    read = {answer: mathematics.claim(answer) if mathematics else last_number(answer) for answer in set(answers)}
    groups: dict[tuple[bool, str], Group] = {}
    """By whether the claim is a number or a formula, and by the claim; a number by its value."""
    firsts: list[tuple[str, Group]] = []
    """The first answer of each group whose claim is a number or a formula."""
    found: list[Group | None] = []
    count = 0
    for answer in answers:
        formula = read[answer]
        claim = short_words(answer) if formula is None else formula
        if claim is None:
            found.append(None)
            continue
        number = last_number(claim) if formula is not None and is_number(claim) else None
        key = (formula is not None, number or claim)
        if key not in groups:
            same = None
            if mathematics is not None and formula is not None:
                others = (one for one in firsts if number is None or not is_number(one[1].claim))
                same = next((group for other, group in others if mathematics.same(other, answer)), None)
            if same is None:
                same, count = Group(count, claim), count + 1
                if formula is not None:
                    firsts.append((answer, same))
            groups[key] = same
        found.append(groups[key])
    return found
