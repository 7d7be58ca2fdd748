"""Mathematics by the final recipe of OpenThoughts3 (arXiv 2506.04178): one source, the longest answers, 16 samples.

``--rows`` is the size, in answers: 316, 1000, 3160, 10000, 31600, 100000, 316000, 1200000. A smaller one is part of
every larger one. What differs from the paper:

* The source is nvidia/OpenMathInstruct-2, of which the paper's OpenMath-2-Math is a copy of the rows made from MATH.
* Half of the candidates is kept by length; the paper does not say its share.
* Questions are compared in normalised form, not as raw strings, and with four open benchmarks, not twelve.
* The teacher is whichever is named; the paper's is QwQ-32B, at temperature 1 and with answers of up to 32k tokens.

    tunixhack build openthoughts_math --teacher http://127.0.0.1:8000/v1#Qwen/QwQ-32B --rows 31600
"""

from __future__ import annotations

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

recipe = Recipe(
    domain="math",
    source=Source(
        "nvidia/OpenMathInstruct-2",
        license="cc-by-4.0",
        columns={"question": "problem", "reference": "expected_answer", "category": "problem_source"},
    ),
    llm=ReasoningLLM,
    trace="native",
    max_tokens=32_768,
    sampling={"temperature": 1.0},
    steps=(
        ExactDedup(),
        Decontaminate(against=("gsm8k", "math-500", "aime24", "aime25")),
        LengthFilter(keep=0.5, teacher="openai/gpt-4.1-mini"),
        Sample(),
        Parse(),
        MaxLength(tokens=16_384, characters=65_536),
    ),
)
mixture = Mixture(
    name="openthoughts_math",
    parts=(Part(recipe=recipe, share=1.0, where={"category": ("math", "augmented_math")}),),
    rows=31_600,
)
build = mixture.build
