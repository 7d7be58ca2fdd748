"""Which places of a text are in code or in quotation marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.replies.quoted import Quoted


def quotes(text: str) -> bool:
    """Whether the X of a text is quoted."""
    place = text.index("X")
    return Quoted(text)(place, place + 1)


@pytest.mark.parametrize(
    "text",
    [
        "`X`",
        "a `b X c` d",
        "`` ` X ``",
        "```\nX\n```",
        "```py\nX\n```\n",
        "~~~\n`\nX\n~~~",
        "  ```\n  X\n  ```",
        "> ```\n> X\n> ```",
        "````\n```\nX\n````",
        "<code>a X</code>",
        "<pre>\nX\n</pre>",
        '"X"',
        "“X”",
        "(X)",
        "'X'",
        "«X»",
        "`a` `X`",
    ],
)
def test_code_and_marks_quote(text: str):
    assert quotes(text)


@pytest.mark.parametrize(
    "text",
    [
        "X",
        "` X",
        "`a` X `b`",
        "`a\nX`",
        "```\nX",
        "```\na\n```\nX",
        "```\na\n``` py\nX",
        "<code>X",
        "X</code>",
        '"a X b"',
        '"X',
        "X)",
        "`` X `",
        "```a``` X",
        "<code>a</code> X",
    ],
)
def test_what_is_not_closed_or_stands_outside_is_not_quoted(text: str):
    assert not quotes(text)


@given(st.text(alphabet="`~ab\n<>/code"), st.text(alphabet="`~ab\n<>/code"))
def test_no_text_makes_it_fail(before: str, behind: str):
    assert quotes(f"{before}X{behind}") in (True, False)


@pytest.mark.parametrize("piece", ["`", "` ", "```\n", "<code>", "`a``b```c\n", "\n"])
def test_hostile_length_does_not_hang(piece: str):
    Quoted(piece * (500_000 // len(piece)))(0, 1)  # quadratic time would be hours here
