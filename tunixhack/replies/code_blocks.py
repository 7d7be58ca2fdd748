"""The code in an answer: the one reader of blocks between fences."""

from __future__ import annotations

import re
import textwrap

_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)(?:[ \t{][^\n`]*)?$", re.MULTILINE
)
PYTHON = frozenset({"", "py", "python", "python3", "py3"})
"""What a fence of Python says of its language."""


def python_code(answer: str, defines: str | None = None) -> str | None:
    r"""Return the Python code of an answer: the last block between fences that defines a name.

    Answers often end with an example of use in a block of its own: that is not taken where another block defines the
    name. A last fence that is not closed reaches to the end. An answer without fences that defines the name, or
    begins as code does, is code as a whole, as a source's own solution is.

    Args:
        answer: without its trace.
        defines: a function or class; None takes the last block.

    Returns:
        The code; None where there is no block of Python.

    >>> python_code("It is\n```python\ndef f(x):\n    return x\n```\nUse it:\n```python\nprint(f(1))\n```", "f")
    'def f(x):\n    return x\n'
    >>> python_code("I do not know.") is None
    True
    """
    blocks = [code for language, code in _blocks(answer) if language in PYTHON]
    if not blocks:
        return answer if _is_code(answer, defines) and not _FENCE.search(answer) else None
    fitting = [code for code in blocks if defines is None or _defines(code, defines)]
    return (fitting or blocks)[-1]


def _blocks(answer: str) -> list[tuple[str, str]]:
    """Return language and code of each block; one that is indented, as in a list, loses its indent."""
    found: list[tuple[str, str]] = []
    at = 0
    while opening := _FENCE.search(answer, at):
        start = min(opening.end() + 1, len(answer))
        end = rf"^[ \t]{{0,{len(opening['indent']) + 3}}}{re.escape(opening['fence'])}+[ \t]*$"
        closing = re.compile(end, re.MULTILINE).search(answer, start)
        code = answer[start : closing.start() if closing else len(answer)]
        found.append((opening["language"].lower(), textwrap.dedent(code) if opening["indent"] else code))
        at = closing.end() if closing else len(answer)
    return found


def _defines(code: str, name: str) -> bool:
    return (
        re.search(rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(name)}\b|^{re.escape(name)}\s*=", code, re.M)
        is not None
    )


def _is_code(text: str, defines: str | None) -> bool:
    if defines is not None:
        return _defines(text, defines)
    return re.match(r"\s*(?:(?:async[ \t]+)?def|class|import|from|@)\b", text) is not None
