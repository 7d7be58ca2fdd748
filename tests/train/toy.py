"""A training that takes seconds: a tiny student, and sums with their solutions."""

import json

from tunixhack.testing.student import write_tiny_student

SETTINGS = {
    "max_seq_len": 128,
    "batch_size": 4,
    "epochs": 1,
    "validation_questions": 8,
    "samples": 0,
    "learning_rate": 1e-2,
}
"""Of a training of 34 steps."""


def sums(count=144):
    """Return rows of prompt, response and category."""
    return [
        {
            "prompt": f"What is {one} + {other}?",
            "response": f"<reasoning>I add {one} and {other}.</reasoning>\n<answer>{one + other}</answer>",
            "category": ("even", "odd")[one % 2],
        }
        for one in range(12)
        for other in range(12)
    ][:count]


def write_sums(folder, count=144):
    """Write `sums` as jsonl; returns the file."""
    path = folder / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in sums(count)))
    return path


def write_toy(folder, count=144):
    """Write the data and the tiny student of the fewest layers; returns their places."""
    return write_sums(folder, count), write_tiny_student(folder / "tiny", "llama")
