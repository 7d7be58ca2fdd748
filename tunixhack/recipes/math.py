r"""Grade-school mathematics: word problems whose answer is a number.

Source: openai/gsm8k on the Hub, config main, MIT licence; columns ``question`` and ``answer``. A row as it comes:

    {"question": "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts …?",
     "answer": "It takes 2/2=<<2/2=1>>1 bolt of white fiber\nSo the total … is 2+1=<<2+1=3>>3 bolts\n#### 3"}

The reference is the number after ``####``. ``teacher="reference"`` takes the worked solution itself as the trace.
"""

from tunixhack import (
    Decontaminate,
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
from tunixhack.sources.mapping import Column
from tunixhack.sources.worked_solutions import number, solution, worked

SYSTEM = (
    "You solve word problems for a reader who wants to follow every step. Name what is asked, compute one quantity at "
    "a time with its unit, and check the result against the question. The answer is one short sentence that ends with "
    "the number."
)
COLUMNS: dict[str, Column] = {"question": "question", "reference": number, "inputs": solution}


class MathProblems(ReasoningLLM):
    """Puts a word problem to a patient solver."""

    system = SYSTEM


recipe = Recipe(
    domain="math",
    source=Source("openai/gsm8k", name="main", license="mit", columns=COLUMNS, shipped="math.jsonl"),
    llm=MathProblems,
    steps=(
        ExactDedup(),
        Decontaminate(against=("gsm8k", "math-500", "aime24", "aime25")),
        LengthFilter(keep=0.5),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
    ),
    solution=worked,
    test="openai/gsm8k:main/test",
)
build = recipe.build
