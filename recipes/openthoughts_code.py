"""Code by the final recipe of OpenThoughts3 (arXiv 2506.04178): two sources, the hardest questions, 16 samples.

``--rows`` is the size, in answers: 316, 1000, 3160, 10000, 31600, 100000, 316000, 1200000. A smaller one is part of
every larger one. What differs from the paper:

* Questions of the same text are asked once; there code is not deduplicated, and a question can be there twice.
* The scale of difficulty is in this package's words, and half of the candidates is kept; the paper does not say its
  share.
* OpenCodeReasoning is read at its config split_0 alone; two open benchmarks are compared with, not twelve.
* The teacher is whichever is named; the paper's is QwQ-32B, at temperature 1 and with answers of up to 32k tokens.

    tunixhack build openthoughts_code --teacher http://127.0.0.1:8000/v1#Qwen/QwQ-32B --rows 31600
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunixhack import Decontaminate, Difficulty, MaxLength, Mixture, Parse, Part, ReasoningLLM, Recipe, Sample, Source


def first_turn(row: Mapping[str, Any]) -> str:
    """Return what the first speaker of a conversation says."""
    return str(row["conversations"][0]["value"])


golf = Recipe(
    domain="code",
    source=Source("mlfoundations-dev/stackexchange_codegolf", license="cc-by-sa-4.0", columns={"question": first_turn}),
    llm=ReasoningLLM,
    trace="native",
    max_tokens=32_768,
    sampling={"temperature": 1.0},
    steps=(
        Decontaminate(against=("humaneval", "mbpp")),
        Difficulty(keep=0.5, teacher="openai/gpt-4o-mini"),
        Sample(),
        Parse(),
        MaxLength(tokens=16_384, characters=65_536),
    ),
)
contests = golf.replace(
    source=Source(
        "nvidia/OpenCodeReasoning",
        name="split_0",
        split="split_0",
        license="cc-by-4.0",
        columns={"question": "input", "category": "difficulty"},
    )
)
mixture = Mixture(
    name="openthoughts_code",
    parts=(Part(recipe=golf, share=0.5, name="golf"), Part(recipe=contests, share=0.5, name="contests")),
    rows=31_600,
)
build = mixture.build
