"""HumanEval: 164 Python functions to complete, each with tests, which neither a student nor a teacher sees."""

from tunixhack.evaluate.public_benchmark import PublicBenchmark

ASK = "Complete this function. Your answer is the whole of it, with its imports, in one ```python block.\n\n"

benchmark = PublicBenchmark(
    name="humaneval",
    asked_as="code",
    columns={
        "question": lambda row: f"{ASK}```python\n{row['prompt'].strip()}\n```",
        "reference": lambda row: row["prompt"] + row["canonical_solution"],
        "inputs": lambda row: {name: row[name] for name in ("prompt", "test", "entry_point")},
    },
    score="tunixhack.verifiers.code:passes",
)
