"""General instructions: the eight kinds of task that people ask of an assistant, each with a brief of its own.

Source: databricks/databricks-dolly-15k on the Hub, CC BY-SA 3.0, newest revision. A row as it comes:

    {"instruction": "Which is a species of fish? …", "context": "", "response": "…", "category": "classification"}

The context is text from Wikipedia, whose footnote marks are taken out. The response is the reference; it guides the
teacher in open_qa and classification, where it settles what is right, and elsewhere traces are written. There is no
filter for length: it would keep essays and drop the short facts.
"""

from tunixhack import (
    Decontaminate,
    DedupAnswers,
    ExactDedup,
    GivesAway,
    MaxLength,
    Parse,
    Recipe,
    Sample,
    Source,
    by_category,
)
from tunixhack.sources.mapping import Column
from tunixhack.sources.wikipedia import without_footnotes
from tunixhack.teachers.category_briefs import ASSISTANT_BRIEFS, CategoryLLM

COLUMNS: dict[str, Column] = {
    "question": "instruction",
    "context": lambda row: without_footnotes(row["context"]),
    "reference": "response",
    "category": "category",
}


class GeneralTasks(CategoryLLM):
    """Puts a task, with its context if it has one, under its category's brief."""

    briefs = ASSISTANT_BRIEFS
    other = "general_qa"
    guided = ("open_qa", "classification")


recipe = Recipe(
    domain="general",
    source=Source("databricks/databricks-dolly-15k", license="cc-by-sa-3.0", columns=COLUMNS, shipped="general.jsonl"),
    llm=GeneralTasks,
    trace="guided",
    steps=(
        ExactDedup(),
        Decontaminate(against=("ifeval", "truthfulqa", "arc-challenge")),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
        by_category,
    ),
)
build = recipe.build
