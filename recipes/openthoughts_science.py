"""Science by the final recipe of OpenThoughts3 (arXiv 2506.04178): the longest answers to hard questions, 16 samples.

``--rows`` is the size, in answers: 316, 1000, 3160, 10000, 31600, and as far as the source goes. A smaller one is part
of every larger one. What differs from the paper:

* One source, StackExchange's physics, where the paper has a second one, questions out of chemistry textbooks.
* Half of the candidates is kept by length; the paper does not say its share.
* Questions are compared in normalised form, not as raw strings, and with two open benchmarks, not twelve.
* The teacher is whichever is named; the paper's is QwQ-32B, at temperature 1 and with answers of up to 32k tokens.

    tunixhack build openthoughts_science --teacher http://127.0.0.1:8000/v1#Qwen/QwQ-32B --rows 31600
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack import (
    Decontaminate,
    ExactDedup,
    LengthFilter,
    MaxLength,
    Mixture,
    Parse,
    Part,
    ReasoningLLM,
    Recipe,
    Sample,
    Source,
)


def first_turn(row: Mapping[str, Any]) -> str:
    """Return what the first speaker of a conversation says."""
    return str(row["conversations"][0]["value"])


recipe = Recipe(
    domain="science",
    source=Source(
        "mlfoundations-dev/a1_science_stackexchange_physics_10k",
        license="cc-by-sa-4.0",
        columns={"question": first_turn},
    ),
    llm=ReasoningLLM,
    trace="native",
    max_tokens=32_768,
    sampling={"temperature": 1.0},
    steps=(
        ExactDedup(),
        Decontaminate(against=("arc-challenge", "mmlu-pro")),
        LengthFilter(keep=0.5, teacher="openai/gpt-4.1-mini"),
        Sample(),
        Parse(),
        MaxLength(tokens=16_384, characters=65_536),
    ),
)
mixture = Mixture(name="openthoughts_science", parts=(Part(recipe=recipe, share=1.0),), rows=31_600)
build = mixture.build
