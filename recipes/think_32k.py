"""The mixture of an entry to the Google Tunix Hack: nine kinds of tasks out of seven public datasets, 32,858 questions.

Quotas are ceilings: a part takes what its source has where that is less. Questions are not filtered by difficulty or
length, and each has one answer (``--samples 16`` for as many as OpenThoughts asks). The answers to mathematics are
gsm8k's own worked solutions, which no teacher is asked for. ``--scale 0.01`` builds a hundredth of each part.

    tunixhack build think_32k --teacher lmstudio/qwen3-14b
"""

from __future__ import annotations

from tunixhack import LengthFilter, Mixture, Part
from tunixhack.recipes import brainstorm, code, creative, general, math, science, summarize


def dolly(questions: int, *categories: str, name: str) -> Part:
    """Return a part of databricks-dolly-15k: the rows of some of its categories."""
    return Part(recipe=general.recipe, questions=questions, where={"category": categories}, name=name)


mixture = Mixture(
    name="think_32k",
    parts=(
        # creative writing 4,709
        dolly(709, "creative_writing", name="creative_dolly"),
        Part(recipe=creative.recipe.without(LengthFilter), questions=4_000, name="creative"),
        # brainstorming 3,766
        dolly(1_766, "brainstorming", name="brainstorm_dolly"),
        Part(recipe=brainstorm.recipe.without(LengthFilter), questions=2_000, name="brainstorm"),
        # summarization 2,188
        dolly(1_188, "summarization", name="summarize_dolly"),
        Part(recipe=summarize.recipe, questions=1_000, name="summarize"),
        Part(recipe=math.recipe.without(LengthFilter), questions=7_473, teacher="reference", name="math"),
        dolly(2_136, "classification", name="classification"),
        Part(recipe=code.recipe, questions=374, name="code"),
        dolly(1_506, "information_extraction", name="extraction"),
        dolly(7_706, "open_qa", "closed_qa", "general_qa", name="qa"),
        Part(recipe=science.recipe.without(LengthFilter), questions=3_000, name="science"),
    ),
    samples=1,
    short="keep",
)
build = mixture.build
