"""Seconds in which a student scores answers, over those of one bare forward epoch of their loss.

Ours is what `ForStudent` does with answers of which no score is known: it renders and packs them, computes losses and
ranks, and adds them up by answer. The peer is given the same rows as packed batches, and computes the sum of their
losses alone. Both take their turn in each round; the first, in which both compile, is not counted. One processor, fp32.

    for_student_tiny    a student of two layers and 384 tokens, 600 answers (goal: ≤ 1.2)
    for_student_smollm  SmolLM2-135M, which has 49,152 tokens, 24 answers (goal: ≤ 1.2)
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import jax
from common.training import LENGTH, options, print_ratio
from flax import nnx

from tunixhack.recipes import math
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core.batches import step_inputs
from tunixhack.train.core.step import summed_losses
from tunixhack.train.data.chat import Rendered
from tunixhack.train.data.packing import Packed, PackedBatch
from tunixhack.train.data.token_set import of_rows
from tunixhack.train.inference.ready import compute_dtype
from tunixhack.train.models import shipped
from tunixhack.train.scoring.student_scorer import StudentScorer

ROWS = {"tiny": 600, "smollm": 24}
BATCH = {"tiny": 16, "smollm": 4}


def answers(folder: Path, rows: int, source: str | None) -> list[dict[str, Any]]:
    """Return rows of gsm8k with its own solutions."""
    recipe = math.recipe if source is None else math.recipe.replace(source=source)
    steps = tuple(step for step in recipe.steps if not isinstance(step, LengthFilter))
    recipe = recipe.replace(steps=steps, against="none")
    return recipe.build("reference", questions=rows, out=folder / f"answers-{rows}").train.to_dicts()


def ours(scorer: StudentScorer, rows: list[dict[str, Any]]) -> float:
    start = time.perf_counter()
    rendered = [scorer.render(row) for row in rows]
    scorer.scores([row for row in rendered if isinstance(row, Rendered)])
    return time.perf_counter() - start


def epoch(losses: Any, state: Any, batches: list[PackedBatch]) -> float:
    start = time.perf_counter()
    for batch in batches:
        float(losses(state, step_inputs(batch)))
    return time.perf_counter() - start


def compare(name: str, model: str, rows: list[dict[str, Any]], rounds: int) -> None:
    scorer = StudentScorer(model)
    student = scorer.found.student
    graph, family, dtype = nnx.graphdef(student.model), student.base.family, compute_dtype(student.mesh)
    losses = jax.jit(
        lambda state, inputs: summed_losses(nnx.merge(graph, state), family, inputs, dtype, student.attend)
    )
    rendered = [one for one in map(scorer.render, rows) if isinstance(one, Rendered) and len(one.tokens) <= LENGTH]
    data = of_rows(rendered)
    batches = list(Packed(data, max_seq_len=LENGTH, batch_size=BATCH[name], validation=True))
    kept = [row for row in rows if isinstance(one := scorer.render(row), Rendered) and len(one.tokens) <= LENGTH]
    seconds = []
    with student.mesh:
        for _ in range(rounds + 1):
            seconds.append((ours(scorer, kept), epoch(losses, nnx.state(student.model), batches)))
    print(f"  {name}: {len(kept)} answers, {int(data.lengths.sum()):,} tokens; seconds "
          + ", ".join(f"{mine:.2f} over {bare:.2f}" for mine, bare in seconds[1:]))  # fmt: skip
    print_ratio(f"for_student_{name}", [mine / bare for mine, bare in seconds[1:]], "≤ 1.2")


def main() -> None:
    parser = options("Seconds of scoring answers over one forward epoch of their loss.")
    parser.add_argument("--students", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--rows", type=int, default=None, help="instead of 600 and 24")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        for name in asked.students:
            rows = answers(Path(kept), asked.rows or ROWS[name], asked.source)
            model = str(write_tiny_student(Path(kept) / "tiny", "llama")) if name == "tiny" else shipped.SMOLLM2
            compare(name, model, rows, asked.rounds)


if __name__ == "__main__":
    main()
