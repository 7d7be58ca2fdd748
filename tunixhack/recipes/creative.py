"""Creative writing: stories, scenes and poems from essay and story prompts.

Source: sam-paech/essays-creative-writing-prompts on the Hub, its licence on its page; columns ``conversations``
(ShareGPT). A row as it comes:

    {"conversations": [{"from": "human", "value": "Write an essay about a room that remembers everyone …"}]}

There is no right answer to check, so traces are written on request and nothing is verified. Sixteen samples a
question is what OpenThoughts found for mathematics, code and science (arXiv 2506.04178); for open-ended work it is
untested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack.answers.dedup import DedupAnswers
from tunixhack.answers.max_length import MaxLength
from tunixhack.answers.parsing import Parse
from tunixhack.answers.sample import Sample
from tunixhack.questions.dedup import ExactDedup
from tunixhack.questions.length import LengthFilter
from tunixhack.questions.sources import Source
from tunixhack.recipe import Recipe
from tunixhack.teachers.llm import ReasoningLLM

SYSTEM = (
    "You are a published author with a plain, vivid style. Before you write, decide on the voice, the one image that "
    "carries the piece, and how it ends. Prefer the concrete to the grand, and never explain the moral."
)


class CreativeWriting(ReasoningLLM):
    """Puts a writing prompt to an author."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the author's brief and the prompt."""
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]}]


def first_human(row: Mapping[str, Any]) -> str | None:
    """Return what the human says first."""
    return next((turn["value"] for turn in row["conversations"] if turn["from"] == "human"), None)


recipe = Recipe(
    domain="creative",
    source=Source(
        "sam-paech/essays-creative-writing-prompts",
        columns={"question": first_human},
        shipped="creative.jsonl",
    ),
    llm=CreativeWriting,
    samples=16,
    trace="written",
    steps=(
        ExactDedup(),
        LengthFilter(keep=0.5),
        Sample(),
        Parse(),
        DedupAnswers(),
        MaxLength(),
    ),
)
build = recipe.build
