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

from tunixhack import DedupAnswers, ExactDedup, LengthFilter, MaxLength, Parse, ReasoningLLM, Recipe, Sample, Source

SYSTEM = (
    "You are a published author with a plain, vivid style. Before you write, decide on the voice, the one image that "
    "carries the piece, and how it ends. Prefer the concrete to the grand, and never explain the moral."
)


class CreativeWriting(ReasoningLLM):
    """Puts a writing prompt to an author."""

    system = SYSTEM


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
    criteria=(
        "It is what the prompt asks for, in form and in length.",
        "Its voice and its images are its own, and none of them is stock.",
        "It holds together, and its ending is earned by what comes before.",
        "Its language is concrete, and free of slips.",
    ),
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
