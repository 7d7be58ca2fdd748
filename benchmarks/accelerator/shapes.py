"""A student of random weights and rows of random text, of the sizes of what is real: nothing here needs the Hub."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

ROWS = "rows.json"
STUDENT = "student"

COUNT = 1500
"""Rows that are made."""
MEAN, LONGEST, SPREAD = 175, 444, 0.38
"""Tokens of gsm8k's solutions with their questions, as Gemma's tokenizer counts them, and how they scatter (log)."""
AROUND = 58
"""Tokens of turns and tags around a row's texts."""

SHAPES: dict[str, dict[str, int]] = {
    "1b": {
        "vocab_size": 262_144, "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512,
    },
    "270m": {
        "vocab_size": 262_144, "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512,
    },
    "tiny": {
        "vocab_size": 384, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 64,
    },
}  # fmt: skip
"""Gemma 3 1B, Gemma 3 270M, and one that shows on a processor whether everything runs."""


def write(work: Path, shape: str) -> dict[str, Any]:
    """Write a student's folder and a file of rows; returns what was made."""
    parameters = _write_student(work / STUDENT, SHAPES[shape])
    rows = made_rows()
    (work / ROWS).write_text(json.dumps(rows), encoding="utf-8")
    return {"parameters": parameters, "rows": len(rows)}


def made_rows(count: int = COUNT, seed: int = 0) -> list[dict[str, str]]:
    """Return rows whose lengths are distributed like those of gsm8k: a token of the student is a character.

    >>> made_rows(1)[0]["question"][:3].isalpha()
    True
    """
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        tokens = min(LONGEST, drawn.lognormvariate(np.log(MEAN) - SPREAD**2 / 2, SPREAD))
        characters = max(40, round(tokens) - AROUND)
        question = max(12, round(characters * 0.38))
        rows.append(
            {
                "question": _text(drawn, question),
                "reasoning": _text(drawn, characters - question - 4),
                "answer": str(drawn.randrange(1000, 9999)),
            }
        )
    return rows


def _text(drawn: random.Random, characters: int) -> str:
    letters = drawn.choices("abcdefghijklmnopqrstuvwxyz", k=max(4, characters))
    for at in range(drawn.randint(3, 7), len(letters) - 1, 6):
        letters[at] = " "
    return "".join(letters)


def _write_student(folder: Path, sizes: dict[str, int]) -> int:
    """Write Gemma 3's files with random weights in bf16, and a tokenizer of characters; returns the weights' number."""
    import ml_dtypes
    from safetensors.numpy import save_file

    from tunixhack.testing.student import write_tiny_student
    from tunixhack.train.models.gemma3 import configure, tensors

    write_tiny_student(folder, "gemma3")  # for its tokenizer
    description = {
        **json.loads((folder / "config.json").read_text(encoding="utf-8")),
        **sizes,
        "max_position_embeddings": 32_768,
        "query_pre_attn_scalar": sizes["head_dim"],
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(description), encoding="utf-8")
    # a block that is repeated: drawing a billion numbers takes longer than an experiment
    block = np.random.default_rng(0).standard_normal(9_999_991, np.float32)
    weights = {}
    for name, shape in tensors(configure(description)).items():
        scale = 0.1 if name.endswith("norm.weight") else 0.02
        weights[name] = np.resize((block * scale).astype(ml_dtypes.bfloat16), shape)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return int(sum(weight.size for weight in weights.values()))
