"""AIME 2024: thirty problems of a school competition, each answered by a whole number from 0 to 999.

Its column ``solution`` holds the number in a box, and no solution.
"""

from tunixhack.evaluate.public_benchmark import PublicBenchmark

benchmark = PublicBenchmark(name="aime24", asked_as="math", columns={"reference": "solution"}, passes=10)
