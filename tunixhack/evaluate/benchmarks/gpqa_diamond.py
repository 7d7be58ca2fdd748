"""GPQA Diamond: 198 questions of physics, chemistry and biology for those who study them, with four options.

The question's id decides the order of its options. Evalchemy shuffles each question's anew by the same seed, and the
right one is D in all 198.
"""

from tunixhack.evaluate.public_benchmark import PublicBenchmark
from tunixhack.sources.options import Options

WRONG = tuple(f"Incorrect Answer {number}" for number in (1, 2, 3))
OPTIONS = Options("gpqa-diamond", right="Correct Answer", wrong=WRONG, question="Question", stripped=True)
COLUMNS = {"question": OPTIONS.with_question, "reference": OPTIONS.right_option, "inputs": OPTIONS.listed}

benchmark = PublicBenchmark(name="gpqa-diamond", asked_as="science", columns=COLUMNS, passes=3)
