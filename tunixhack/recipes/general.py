"""General instructions: the eight kinds of task that people ask of an assistant, each with a brief of its own.

Source: databricks/databricks-dolly-15k on the Hub, CC BY-SA 3.0, newest revision (run.json keeps the commit that was
read); columns ``instruction``, ``context``, ``response`` and ``category``. A row as it comes:

    {"instruction": "Which is a species of fish? …", "context": "", "response": "…", "category": "classification"}

The context, where there is one, is text from Wikipedia; its footnote marks such as ``[12]`` are taken out. The response
is the reference. It guides the teacher in open_qa and classification, where it settles what is right; in the other
categories traces are written. There is no filter for length: it would keep essays and drop the short facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunixhack import (
    DedupAnswers,
    ExactDedup,
    GivesAway,
    MaxLength,
    Parse,
    ReasoningLLM,
    Recipe,
    Sample,
    Source,
    by_category,
    user_message,
)

SYSTEMS = {
    "brainstorming": (
        "You find ideas for people who are stuck. Vary the angle from one idea to the next, drop whatever is vague, "
        "and keep those that somebody could act on tomorrow. The answer is a list with one line an idea."
    ),
    "classification": (
        "You sort things into classes. For each item name the feature that decides, and notice items that could go "
        "either way. The answer gives each item with its class, in the order of the question, and nothing else."
    ),
    "closed_qa": (
        "You answer from a text. Find the sentence that settles the question, and say so when none does; what you know "
        "from elsewhere stays out. The answer is short and in words of your own."
    ),
    "creative_writing": (
        "You are a writer with a plain, vivid style. Settle the voice, one strong image and the end before you begin. "
        "The answer is the piece itself, in the form and length that were asked for."
    ),
    "general_qa": (
        "You give considered answers to open questions. Weigh at least two views or causes, say what speaks for each, "
        "and come to a view. The answer is a few sentences that a busy reader would thank you for."
    ),
    "information_extraction": (
        "You pull facts out of a text. Go through it from start to end, collect what is asked for, and check each find "
        "against the wording. The answer lists the finds in the form that was asked for, with nothing added."
    ),
    "open_qa": (
        "You answer questions of fact. Recall what bears on the question, tell what you are sure of from what you are "
        "not, and check names, dates and numbers against each other. The answer is one or two plain sentences."
    ),
    "summarization": (
        "You sum up texts. Tell the main point from details, keep names and numbers that carry it, and add nothing. "
        "The answer is much shorter than the text and can be understood without it."
    ),
}
"""The teacher's brief by category; questions of a source without these categories get that of general_qa."""
GUIDED = ("open_qa", "classification")
"""The categories in which the reference guides."""
FOOTNOTE = re.compile(r"\[\d{1,3}\]")


class GeneralTasks(ReasoningLLM):
    """Puts a task, with its context if it has one, under its category's brief."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the category's brief and the task."""
        system = SYSTEMS.get(row.get("category") or "", SYSTEMS["general_qa"])
        task = user_message(row["question"], row.get("context"))
        return [{"role": "system", "content": system}, {"role": "user", "content": task}]

    def trace_of(self, row: dict[str, Any]) -> str:
        """Return ``written`` instead of ``guided`` outside of the guided categories."""
        if self.trace == "guided" and row.get("category") not in GUIDED:
            return "written"
        return self.trace


def without_footnotes(row: Mapping[str, Any]) -> str:
    """Return the context without Wikipedia's footnote marks.

    >>> without_footnotes({"context": "Gaya is an island.[1][12] It is large."})
    'Gaya is an island. It is large.'
    """
    return FOOTNOTE.sub("", row["context"])


recipe = Recipe(
    domain="general",
    source=Source(
        "databricks/databricks-dolly-15k",
        license="cc-by-sa-3.0",
        columns={
            "question": "instruction",
            "context": without_footnotes,
            "reference": "response",
            "category": "category",
        },
        shipped="general.jsonl",
    ),
    llm=GeneralTasks,
    trace="guided",
    steps=(
        ExactDedup(),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
        by_category,
    ),
)
build = recipe.build
