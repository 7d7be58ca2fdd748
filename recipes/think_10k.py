"""The cut of `think_32k` to about 10,000 questions, with less mathematics and question answering.

tunixhack build think_10k --teacher lmstudio/qwen3-14b
"""

from __future__ import annotations

from tunixhack import LengthFilter, Mixture, Part
from tunixhack.recipes import brainstorm, code, creative, general, math, science


def dolly(questions: int, category: str, name: str) -> Part:
    """Return a part of databricks-dolly-15k: the rows of one of its categories."""
    return Part(recipe=general.recipe, questions=questions, where={"category": category}, name=name)


mixture = Mixture(
    name="think_10k",
    parts=(
        dolly(500, "open_qa", "open_qa"),
        dolly(500, "closed_qa", "closed_qa"),
        dolly(500, "general_qa", "general_qa"),
        Part(recipe=code.recipe, questions=374, name="code"),
        Part(recipe=science.recipe.without(LengthFilter), questions=1_000, name="science"),
        Part(recipe=math.recipe.without(LengthFilter), questions=1_000, teacher="reference", name="math"),
        dolly(709, "creative_writing", "creative_dolly"),
        Part(recipe=creative.recipe.without(LengthFilter), questions=1_891, name="creative"),
        dolly(1_000, "brainstorming", "brainstorm_dolly"),
        Part(recipe=brainstorm.recipe.without(LengthFilter), questions=1_000, name="brainstorm"),
        dolly(1_188, "summarization", "summarize_dolly"),
        dolly(250, "information_extraction", "extraction"),
        dolly(250, "classification", "classification"),
    ),
    samples=1,
    short="keep",
)
build = mixture.build
