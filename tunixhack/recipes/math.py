r"""Grade-school mathematics: word problems whose answer is a number.

Source: openai/gsm8k on the Hub, config main, MIT licence; columns ``question`` and ``answer``. A row as it comes:

    {"question": "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts …?",
     "answer": "It takes 2/2=<<2/2=1>>1 bolt of white fiber\nSo the total … is 2+1=<<2+1=3>>3 bolts\n#### 3"}

The reference is the number after ``####``. ``teacher="reference"`` takes the worked solution itself as the trace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tunixhack import (
    DedupAnswers,
    ExactDedup,
    GivesAway,
    LengthFilter,
    MaxLength,
    Parse,
    ReasoningLLM,
    Recipe,
    Sample,
    Source,
)

SYSTEM = (
    "You solve word problems for a reader who wants to follow every step. Name what is asked, compute one quantity at "
    "a time with its unit, and check the result against the question. The answer is one short sentence that ends with "
    "the number."
)
CALCULATOR = re.compile(r"<<[^<>]*>>")
"""gsm8k's annotations for a calculator, such as ``<<2+1=3>>``; they are no part of the text."""


class MathProblems(ReasoningLLM):
    """Puts a word problem to a patient solver."""

    system = SYSTEM


def number(row: Mapping[str, Any]) -> str:
    """Return the number after ``####``.

    >>> number({"answer": "2 + 1 = <<2+1=3>>3 #### 1,003"})
    '1003'
    """
    return str(row["answer"].rsplit("####", 1)[1].strip().replace(",", ""))


def worked(row: Mapping[str, Any]) -> tuple[str, str]:
    """Split the source's solution into its steps and its number."""
    steps = json.loads(row["inputs"])["solution"].rsplit("####", 1)[0]
    return CALCULATOR.sub("", steps).strip(), row["reference"]


recipe = Recipe(
    domain="math",
    source=Source(
        "openai/gsm8k",
        name="main",
        license="mit",
        columns={"question": "question", "reference": number, "inputs": lambda row: {"solution": row["answer"]}},
        shipped="math.jsonl",
    ),
    llm=MathProblems,
    steps=(
        ExactDedup(),
        LengthFilter(keep=0.5),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
    ),
    solution=worked,
)
build = recipe.build
