"""Brainstorming: lists of ideas, names, reasons and plans, where variety counts and nothing can be checked.

Source: Wanfq/Explore_Instruct_Brainstorming_10k on the Hub, CC BY-NC 4.0 (what is made of it may not be sold), newest
revision (run.json keeps the commit that was read); columns ``instruction``, ``input``, ``output``. A row as it comes:

    {"instruction": "Please provide three ways to relax people", "input": "", "output": "…"}

The input, where there is one, is the context, and the output the reference, which no teacher sees unless traces are
guided. Samples and filter are OpenThoughts' for mathematics, code and science (arXiv 2506.04178), untested for ideas.
"""

from __future__ import annotations

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
    "You lead brainstorming sessions. First ask what the person really needs and which ideas everybody has; then "
    "look from other sides: other people, other scales, the opposite. Throw out what could not be done. The answer has "
    "exactly as many ideas as were asked for, each concrete and different in kind from the others."
)


class Brainstorming(ReasoningLLM):
    """Puts a call for ideas to the leader of a session."""

    system = SYSTEM


recipe = Recipe(
    domain="brainstorm",
    source=Source(
        "Wanfq/Explore_Instruct_Brainstorming_10k",
        license="cc-by-nc-4.0",
        columns={"question": "instruction", "context": "input", "reference": "output"},
        shipped="brainstorm.jsonl",
    ),
    llm=Brainstorming,
    criteria=("It has as many ideas as were asked for.", "They differ in kind.", "Each is concrete and could be done."),
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
