"""A brief for each category of a mixed domain, and briefs for the kinds of task that people ask of an assistant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack.formats import user_message
from tunixhack.teachers.llm import ReasoningLLM

ASSISTANT_BRIEFS = {
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
"""System messages by the eight categories of Dolly, which are much like those of InstructGPT (arXiv 2203.02155)."""


class CategoryLLM(ReasoningLLM):
    """A `ReasoningLLM` whose system message, and whether it guides, depend on the question's category.

    Example:
        A domain of two categories, whose references guide in one of them:

            class Sums(CategoryLLM):
                briefs = {"sums": "You add and subtract.", "stories": "You tell what is counted, then count."}
                other = "sums"
                guided = ("stories",)
    """

    briefs: Mapping[str, str]
    """The system message by category."""
    other: str
    """The category whose brief a question gets that has none of these."""
    guided: tuple[str, ...] = ()
    """The categories in which the reference guides where the recipe's trace is ``guided``; elsewhere traces are
    written then."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the category's brief, and the question with its context."""
        system = self.briefs.get(row.get("category") or "", self.briefs[self.other])
        task = user_message(row["question"], row.get("context"))
        return [{"role": "system", "content": system}, {"role": "user", "content": task}]

    def trace_of(self, row: dict[str, Any]) -> str:
        """Return ``written`` instead of ``guided`` outside of the guided categories."""
        if self.trace == "guided" and row.get("category") not in self.guided:
            return "written"
        return self.trace
