"""A grammar that makes a small model write a whole trace and a whole answer.

A model of 135M parameters forgets the tags it was asked for, and when it writes them, it talks until its tokens run
out. llama.cpp can hold a model to a grammar in GBNF [1]: here both parts are a bounded number of bounded sentences,
so that each ends at the end of a sentence, and `token_limit` leaves room for the longest.

[1] https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
"""

from __future__ import annotations

from dataclasses import dataclass

from tunixhack.errors import UserError

TAGS = 24
"""Tokens for the four tags, with some to spare."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The least and the most of each part."""

    reasoning: tuple[int, int] = (2, 4)
    """Sentences of the trace."""
    answer: tuple[int, int] = (1, 3)
    """Sentences of the answer."""
    sentence: tuple[int, int] = (12, 160)
    """Characters of a sentence without its first character and its full stop."""

    def __post_init__(self) -> None:
        """Refuse bounds that no text fits."""
        for part in ("reasoning", "answer", "sentence"):
            least, most = getattr(self, part)
            if not 1 <= least <= most:
                raise UserError(f"{part} from {least} to {most}: a bound is at least 1, and the second not below it")


DEFAULT = Bounds()


def written_grammar(bounds: Bounds = DEFAULT) -> str:
    r"""Write the GBNF grammar of ``<reasoning>…</reasoning>\n<answer>…</answer>``.

    Inside the parts, ``<`` may be followed by anything with which no tag begins, so that ``a < b`` and ``x <= 3``
    can be written and a tag cannot. ``.`` ends a sentence unless it stands between digits, and lines break only
    between sentences: a model that may break them anywhere makes lists without end.

    Args:
        bounds: how long the parts may get.

    >>> print(written_grammar(Bounds(reasoning=(1, 2), answer=(1, 1), sentence=(5, 90))))
    root ::= "<reasoning>" sentence (gap sentence){0,1} "</reasoning>\n<answer>" sentence "</answer>"
    gap ::= " " | "\n" "\n"?
    sentence ::= first inner{5,90} [.!?]
    first ::= [^<> \t\r\n.!?:,;]
    inner ::= [^<.!?\r\n] | [0-9] "." [0-9] | "<" [^/<|>.!?a-zA-Z\r\n]
    """
    return "\n".join(
        (
            f'root ::= "<reasoning>" {_sentences(*bounds.reasoning)} '
            f'"</reasoning>\\n<answer>" {_sentences(*bounds.answer)} "</answer>"',
            r'gap ::= " " | "\n" "\n"?',
            f"sentence ::= first inner{{{bounds.sentence[0]},{bounds.sentence[1]}}} [.!?]",
            r"first ::= [^<> \t\r\n.!?:,;]",
            r'inner ::= [^<.!?\r\n] | [0-9] "." [0-9] | "<" [^/<|>.!?a-zA-Z\r\n]',
        )
    )


def token_limit(bounds: Bounds = DEFAULT) -> int:
    """Return the ``max_tokens`` under which the grammar, and not the limit, ends an answer.

    It counts a token for every character: English has four characters a token, but a column of numbers has one. Text
    of several tokens a character (rare scripts, emoji) can still run into the limit, and is rejected as truncated.

    >>> token_limit(Bounds(reasoning=(1, 2), answer=(1, 1), sentence=(5, 90)))
    306
    """
    sentences = bounds.reasoning[1] + bounds.answer[1]
    # a sentence's first character, its full stop and the gap before it
    return sentences * (bounds.sentence[1] + 4) + TAGS


def _sentences(least: int, most: int) -> str:
    return "sentence" + (f" (gap sentence){{{least - 1},{most - 1}}}" if most > 1 else "")
