"""The code of an answer is the last block that defines what is wanted, and nothing is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.replies.code_blocks import python_code

CODE = "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{CODE}```",
        f"It is\n\n```python\n{CODE}```\n\nUse it:\n\n```python\nprint(f(1))\n```\n\n```text\n1\n```",
        f"A first try:\n```python\ndef f(x):\n    return 0\n```\nBetter:\n```python\n{CODE}```",
        f"```\n{CODE}```",
        f"~~~py\n{CODE}~~~",
        f"````Python\n{CODE}````",
        f"```python {{.numberLines}}\n{CODE}```",
        f"```bash\npip install x\n```\n```python3\n{CODE}```",
        f"```python\r\n{CODE}```".replace("\r\n", "\n"),
        f"Cut off:\n```python\n{CODE}",
        CODE,
        "1. First:\n\n   ```python\n   def f(x):\n       return x\n   ```\n\n2. Then rest.",
        "- So:\n      ```python\n      def f(x):\n          return x\n      ```",
    ],
)
def test_the_code_is_found(answer: str):
    assert python_code(answer, "f") == CODE


def test_a_fence_within_the_code_does_not_end_it():
    code = 'def f(x):\n    """Say it:\n\n    ```\n    f(1)\n    ```\n    """\n    return x\n'
    assert python_code(f"```python\n{code}```", "f") == code


@pytest.mark.parametrize(
    ("answer", "defines", "code"),
    [
        ("```python\nclass f:\n    pass\n```\n```python\nf()\n```", "f", "class f:\n    pass\n"),
        ("```python\nf = len\n```\n```python\nf()\n```", "f", "f = len\n"),
        ("```python\nasync def f(): pass\n```\n```python\nf()\n```", "f", "async def f(): pass\n"),
        ("```python\ndef g(): pass\n```", "f", "def g(): pass\n"),
        ("```python\na = 1\n```\n```python\nb = 2\n```", None, "b = 2\n"),
        ("import math\nprint(math.pi)", None, "import math\nprint(math.pi)"),
        ("from here on it is easy: add them", "f", None),
        ("```json\n{}\n```", "f", None),
        ("I do not know.", "f", None),
        ("", None, None),
    ],
)
def test_other_blocks_and_no_code(answer: str, defines: str | None, code: str | None):
    assert python_code(answer, defines) == code


@given(st.text(alphabet="`~ \nab=df(:)", max_size=200), st.sampled_from([None, "f"]))
def test_whatever_the_text_the_code_stands_in_it(answer: str, defines: str | None):
    code = python_code(answer, defines)
    assert code is None or all(line.strip() in answer for line in code.splitlines())
