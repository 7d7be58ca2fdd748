"""Brainstorming: lists of ideas, names, reasons and plans, where variety counts and nothing can be checked.

Source: Wanfq/Explore_Instruct_Brainstorming_10k on the Hub, CC BY-NC 4.0 (what is made of it may not be sold), newest
revision (run.json keeps the commit that was read); columns ``instruction``, ``input``, ``output``. A row as it comes:

    {"instruction": "Please provide three ways to relax people", "input": "", "output": "…"}

The input, where there is one, is the context; the output is kept as the reference, and no teacher sees it unless traces
are guided. Sixteen samples and the filter for length are what OpenThoughts found for mathematics, code and science
(arXiv 2506.04178); for open-ended work they are untested.
"""

from __future__ import annotations

from typing import Any

from tunixhack.answers.dedup import DedupAnswers
from tunixhack.answers.formats import user_message
from tunixhack.answers.leaks import GivesAway
from tunixhack.answers.max_length import MaxLength
from tunixhack.answers.parsing import Parse
from tunixhack.answers.sample import Sample
from tunixhack.questions.dedup import ExactDedup
from tunixhack.questions.length import LengthFilter
from tunixhack.questions.sources import Source
from tunixhack.recipe import Recipe
from tunixhack.teachers.llm import ReasoningLLM

SYSTEM = (
    "You lead brainstorming sessions. First ask what the person really needs and which ideas everybody has; then "
    "look from other sides: other people, other scales, the opposite. Throw out what could not be done. The answer has "
    "exactly as many ideas as were asked for, each concrete and different in kind from the others."
)


class Brainstorming(ReasoningLLM):
    """Puts a call for ideas to the leader of a session."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the leader's brief and the call for ideas."""
        task = user_message(row["question"], row.get("context"))
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}]


recipe = Recipe(
    domain="brainstorm",
    source=Source(
        "Wanfq/Explore_Instruct_Brainstorming_10k",
        license="cc-by-nc-4.0",
        columns={"question": "instruction", "context": "input", "reference": "output"},
        shipped="brainstorm.jsonl",
    ),
    llm=Brainstorming,
    samples=16,
    trace="written",
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
