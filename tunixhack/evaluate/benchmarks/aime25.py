"""AIME 2025: thirty problems of a school competition, each answered by a whole number from 0 to 999."""

from tunixhack.evaluate.public_benchmark import PublicBenchmark

benchmark = PublicBenchmark(name="aime25", asked_as="math", columns={"reference": "answer"}, passes=10)
