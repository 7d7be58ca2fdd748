"""MATH-500: five hundred problems of the test questions of MATH, answered by a number or a formula."""

from tunixhack.evaluate.public_benchmark import PublicBenchmark

benchmark = PublicBenchmark(name="math-500", asked_as="math", columns={"reference": "answer"})
