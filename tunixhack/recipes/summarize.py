r"""Summaries of news articles.

Source: abisee/cnn_dailymail on the Hub, config 3.0.0, Apache-2.0, newest revision (run.json keeps the commit that was
read); columns ``article``, ``highlights`` and ``id``. A row as it comes, shortened and with words of our own:

    {"article": "The harbour town of … has switched off its street lights between one and five in the morning …",
     "highlights": "… keeps its street lights off from one to five .\nThe town saves … a year .", "id": "42c0…"}

The article is the context and the highlights are the reference, which no teacher sees unless traces are guided.
There is no filter for length: it would rank the articles by their length and not by what is hard about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack import DedupAnswers, ExactDedup, GivesAway, MaxLength, Parse, ReasoningLLM, Recipe, Sample, Source

QUESTION = "Summarize this article in at most three sentences."
SYSTEM = (
    "You sum up the news for readers without time. Ask what happened, to whom and why it matters; keep the names and "
    "numbers that carry the story, drop the rest, and add nothing that the article does not say. The answer is the "
    "summary alone."
)


class Summaries(ReasoningLLM):
    """Puts an article to a news editor."""

    system = SYSTEM


def question(row: Mapping[str, Any]) -> str | None:
    """Return what is asked of every article, and nothing where there is none."""
    return QUESTION if row["article"].strip() else None


recipe = Recipe(
    domain="summarize",
    source=Source(
        "abisee/cnn_dailymail",
        name="3.0.0",
        license="apache-2.0",
        columns={"question": question, "context": "article", "reference": "highlights"},
        shipped="summarize.jsonl",
    ),
    llm=Summaries,
    criteria=("It says what happened and why it matters.", "All of it is in the article.", "It is short, and clear."),
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
