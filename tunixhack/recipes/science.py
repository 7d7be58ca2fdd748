"""Science: short exam questions of physics, chemistry, biology and earth science.

Source: allenai/sciq on the Hub, CC BY-NC 3.0 (what is made of it may not be sold), newest revision (run.json keeps the
commit that was read); columns ``question``, ``correct_answer``, ``support`` and three distractors. A row as it comes:

    {"question": "Van der waals forces are weak interactions between molecules that involve what?",
     "distractor3": "photons", "distractor1": "atoms", "distractor2": "particles", "correct_answer": "dipoles",
     "support": "Van der Waals forces are weak interactions between molecules that involve dipoles."}

Support (about a tenth of the rows have none) and correct answer guide the teacher; the student sees neither. The
distractors are kept in ``inputs``. `multiple_choice` is the same recipe with the four options in the question.
"""

from __future__ import annotations

import dataclasses
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
from tunixhack._util.ids import digest, question_id

SYSTEM = (
    "You explain science to somebody who wants to see why. Name the principle that the question is about, apply it to "
    "the case, and rule out the mistake that is most tempting. The answer is one short sentence; where options are "
    "given, it begins with the letter of the right one."
)
DISTRACTORS = ("distractor1", "distractor2", "distractor3")
LETTERS = "ABCD"


class ScienceQuestions(ReasoningLLM):
    """Puts an exam question to an explainer."""

    system = SYSTEM


def distractors(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the wrong answers."""
    return {"distractors": [row[name] for name in DISTRACTORS]}


def options(row: Mapping[str, Any]) -> dict[str, str]:
    """Return right and wrong answers by letter, in an order that only the question's id decides.

    A distractor that repeats another option is left out. The order is the same on every machine and in every run, and
    says nothing about which option is right.
    """
    plain = question_id(recipe.domain, row["question"])
    different = {row["correct_answer"], *(row[name] for name in DISTRACTORS)}
    return dict(zip(LETTERS, sorted(different, key=lambda option: digest(plain, option)), strict=False))


def with_options(row: Mapping[str, Any]) -> str:
    """Return the question with a line for each option."""
    return "\n".join([row["question"], *(f"{letter}) {option}" for letter, option in options(row).items())])


def right_option(row: Mapping[str, Any]) -> str:
    """Return the right option with its letter."""
    return next(f"{letter}) {option}" for letter, option in options(row).items() if option == row["correct_answer"])


recipe = Recipe(
    domain="science",
    source=Source(
        "allenai/sciq",
        license="cc-by-nc-3.0",
        columns={
            "question": "question",
            "reference": "correct_answer",
            "support": "support",
            "inputs": distractors,
        },
        shipped="science.jsonl",
    ),
    llm=ScienceQuestions,
    trace="guided",
    steps=(
        ExactDedup(),
        LengthFilter(keep=0.5),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
    ),
)
build = recipe.build

multiple_choice = recipe.replace(
    source=dataclasses.replace(
        recipe.source,
        columns={
            "question": with_options,
            "reference": right_option,
            "support": "support",
            "inputs": lambda row: distractors(row) | {"options": options(row)},
        },
    )
)
"""Science with options in the question, for ``science.multiple_choice.build(…)``; give it an ``out`` of its own."""
