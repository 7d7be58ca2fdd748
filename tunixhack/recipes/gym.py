"""Reasoning tasks that are made, not read: arithmetic, logic, games, graphs, each with a verifier of its own.

Source: reasoning-gym (https://github.com/open-thought/reasoning-gym), Apache-2.0, the version that the extra ``gym``
pins; no Hub is asked. An item as it comes:

    {"question": "State the final answer to the following arithmetic problem: 4 + 3 =", "answer": "7",
     "metadata": {"source_dataset": "chain_sum", "source_index": 0, "num_terms": 2, …}}

``--source gym:chain_sum,gcd@easy`` takes two families at the difficulty easy, ``/test`` behind them the questions that
no training has. Answers that the family's verifier does not give full marks are dropped.
"""

from __future__ import annotations

from tunixhack import DedupAnswers, GivesAway, MaxLength, Parse, ReasoningLLM, Recipe, Sample, Verify
from tunixhack.sources.gym import GymSource
from tunixhack.verifiers.gym import right, right_in_words

SYSTEM = (
    "You solve puzzles and exercises with care. Say what is given and what is asked, work in small steps, and check "
    "the result against every condition. The answer is the bare result in the form that the question asks for: no "
    "sentence, no unit and no markup around it."
)


class GymTasks(ReasoningLLM):
    """Puts a task to a careful solver."""

    system = SYSTEM


recipe = Recipe(
    domain="gym",
    source=GymSource(),  # its texts differ from one another: there is nothing to deduplicate
    llm=GymTasks,
    steps=(
        Sample(),
        Parse(),
        GivesAway(),
        Verify(check=right),
        DedupAnswers(),
        MaxLength(),
    ),
    test=GymSource(split="test", size=1000),
    score=right_in_words,
)
build = recipe.build
