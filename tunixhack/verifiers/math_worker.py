"""A process that reads mathematics with math-verify: one question a line on its standard input, one reply a line.

In a process of its own, since what models write can keep sympy busy for ever or fill the memory: math-verify's own
limit of time is a signal, which works in a process' main thread alone and not while one operation computes. The limits
of the operating system end the process in these cases. What is read is taken apart by grammars, never run: only digits,
brackets and operators come to sympy's own parser. When its parent is gone, its standard input ends, and it with that.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from tunixhack.verifiers.bounded_worker import reply_to_all

SECONDS = 3
"""That one text, or one comparison, may take before it counts as unread."""

_DELIMITERS = re.compile(r"\$|\\\(|\\\[|\\boxed")
_LATEX = re.compile(r"\\[A-Za-z]+")
_TAIL = re.compile(r"(?:\bis\b|\bequals\b|[=:])\s*([^=:\n]*)\Z")
_THIN = re.compile(r"(?<=\d)(?:\\[,;:! ]|\{,\}|[\u2009\u202f])(?=\d{3}(?!\d))")
"""What sets thousands apart, and is taken for a list or a product."""
_PLAIN = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?\s?%?|[-+]?\d+/\d+")
_MIXED = re.compile(r"(?<![\w./])(\d+) (\d+)/(\d+)(?![\w/])")


def main() -> None:
    """Answer questions until standard input ends."""
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)  # it warns of every text that it cannot read
    reply_to_all(lambda asked: _reply(asked, parse, verify))


def _reply(asked: dict[str, Any], parse: Any, verify: Any) -> dict[str, Any]:
    """Reply to one of three questions: is an answer right, what does it claim, do two answers claim the same?"""
    if "read" in asked:
        claim = parse(delimited(asked["read"], whole=False), parsing_timeout=SECONDS)
        return {"right": None, "claim": str(claim[-1]) if claim else None}
    if "answers" not in asked:
        return _compare(asked["reference"], asked["answer"], parse, verify)
    one, other = (parse(delimited(text, whole=False), parsing_timeout=SECONDS) for text in asked["answers"])
    # verify takes its first argument for the reference, and is not symmetric
    same = bool(one and other) and any(verify(*two, timeout_seconds=SECONDS) for two in ((one, other), (other, one)))
    return {"right": same}


def _compare(reference: str, answer: str, parse: Any, verify: Any) -> dict[str, Any]:
    gold = parse(delimited(reference, whole=True), parsing_timeout=SECONDS)
    claim = parse(delimited(answer, whole=False), parsing_timeout=SECONDS)
    if not gold or not claim:
        return {"right": None}
    right = bool(verify(gold, claim, timeout_seconds=SECONDS))
    return {"right": right, "claim": str(claim[-1])[:100]}


def delimited(text: str, *, whole: bool) -> str:
    r"""Put LaTeX into the dollar signs without which math-verify takes the first digit of ``2\sqrt{3}`` for all of it.

    Args:
        text: a reference or an answer.
        whole: the text is all mathematics.

    >>> delimited(r"2\sqrt{3}", whole=True), delimited(r"The root is 2\sqrt{3}.", whole=False)
    ('$2\\sqrt{3}$', 'The root is $2\\sqrt{3}$.')
    """
    text = _THIN.sub("", _MIXED.sub(r"(\1+\2/\3)", text.replace("\u2212", "-")))
    if _DELIMITERS.search(text):
        return text
    if whole:
        return text if _PLAIN.fullmatch(text.strip()) else f"${text.strip()}$"
    body = text.rstrip().removesuffix(".")
    tail = _TAIL.search(body)
    start = tail.start(1) if tail else 0
    if not _LATEX.search(body, start) or (tail is None and re.search(r"[A-Za-z]{2,}", _LATEX.sub("", body))):
        return text
    return f"{text[:start]}${body[start:].strip()}${text[len(body) :]}"


if __name__ == "__main__":
    main()
