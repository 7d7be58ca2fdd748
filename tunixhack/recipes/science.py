"""Science: short exam questions of physics, chemistry, biology and earth science.

Source: allenai/sciq on the Hub, CC BY-NC 3.0 (what is made of it may not be sold), newest revision. A row as it comes:

    {"question": "Van der waals forces … involve what?", "distractor3": "photons", "distractor1": "atoms",
     "distractor2": "particles", "correct_answer": "dipoles", "support": "Van der Waals forces … involve dipoles."}

Support and correct answer guide the teacher; the student sees neither. `multiple_choice` shows the options.
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
from tunixhack.sources.options import Options

SYSTEM = (
    "You explain science to somebody who wants to see why. Name the principle that the question is about, apply it to "
    "the case, and rule out the mistake that is most tempting. The answer is one short sentence; where options are "
    "given, it begins with the letter of the right one."
)
OPTIONS = Options("science", right="correct_answer", wrong=("distractor1", "distractor2", "distractor3"))


class ScienceQuestions(ReasoningLLM):
    """Puts an exam question to an explainer."""

    system = SYSTEM


HIDDEN = OPTIONS.hidden(support="support")
SOURCE = Source("allenai/sciq", license="cc-by-nc-3.0", columns=HIDDEN, shipped="science.jsonl")
recipe = Recipe(
    domain="science",
    source=SOURCE,
    llm=ScienceQuestions,
    trace="guided",
    steps=(
        ExactDedup(),
        Decontaminate(against=("sciq", "arc-challenge", "mmlu-pro")),
        LengthFilter(keep=0.5),
        Sample(),
        Parse(),
        GivesAway(),
        DedupAnswers(),
        MaxLength(),
    ),
    test=OPTIONS.shown_by(SOURCE).override("allenai/sciq:test"),
)
build = recipe.build
multiple_choice = recipe.replace(source=OPTIONS.shown_by(SOURCE))
