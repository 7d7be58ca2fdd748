"""Rewriting: a text and how it is to be changed.

Source: Wanfq/Explore_Instruct_Rewriting_10k on the Hub, CC BY-NC 4.0 (what is made of it may not be sold), newest
revision (run.json keeps the commit that was read); columns ``instruction``, ``input``, ``output``. A row as it comes:

    {"instruction": "Replace passive voice with active voice.", "input": "The report was written by the team.",
     "output": "The team wrote the report."}

The instruction is the question, the input its context, and the output the reference, which no teacher sees unless
traces are guided. There is no filter for length: it would rank the texts by their length and not by what is hard.
"""

from __future__ import annotations

from tunixhack import DedupAnswers, ExactDedup, GivesAway, MaxLength, Parse, ReasoningLLM, Recipe, Sample, Source

SYSTEM = (
    "You are an editor. Say to yourself what has to change and what has to stay: facts, names, the writer's intent. "
    "Try two ways of putting the hardest phrase and choose. The answer is the rewritten text alone, without comment."
)


class Rewriting(ReasoningLLM):
    """Puts a text and the change that is wanted to an editor."""

    system = SYSTEM


recipe = Recipe(
    domain="rewrite",
    source=Source(
        "Wanfq/Explore_Instruct_Rewriting_10k",
        license="cc-by-nc-4.0",
        columns={"question": "instruction", "context": "input", "reference": "output"},
        shipped="rewrite.jsonl",
    ),
    llm=Rewriting,
    criteria=(
        "The change that was asked for is made, everywhere.",
        "Facts, names and intent of the text are as they were; nothing is added or lost.",
        "It reads well, and is the rewritten text alone.",
    ),
    steps=(
        ExactDedup(),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
    ),
)
build = recipe.build
