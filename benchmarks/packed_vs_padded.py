"""Completion tokens a second: our trainer on packed rows, over Tunix's own on rows that are filled up.

Both train the same student on gsm8k's own solutions (``teacher="reference"``), 512 tokens a training row, on one
processor and in fp32. Tunix's side is `PeftTrainer` as its notebooks use it: one row to a training row, its default
loss. Completion tokens are those that are learnt. A pass over the data is divided into rounds, in each of which both
take their turn; two steps of each before, in which it compiles, are not counted.

That packing changes no loss is checked first, over the same rows at fixed weights.

    packed_vs_padded_tiny   a student of six small layers, 500 rows (goal: ≥ 2.0)
    packed_vs_padded_270m   Gemma 3 270M's shape, LoRA, 60 rows (goal: ≥ 2.0)
    packed_nll_difference   the mean loss of a learnt token, packed over filled up, relative (goal: ≤ 0.001)
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import jax
import numpy as np
from common.training import (
    LENGTH,
    STUDENTS,
    Bare,
    Ours,
    learnt,
    options,
    our_loss,
    packed,
    padded,
    padded_input,
    print_ratio,
    segmented_input,
    solutions,
    student,
)
from flax import nnx
from tunix.sft import peft_trainer

from tunixhack.train.data.packing import Packed
from tunixhack.train.data.token_set import TokenSet

METHOD = {"tiny": "full", "270m": "lora"}
BATCH = {"tiny": 8, "270m": 2}
ROWS = {"tiny": 500, "270m": 60}


def nll(model: nnx.Module, data: TokenSet, batch: int) -> tuple[float, float]:
    """Return the mean loss of a learnt token, packed and filled up, at fixed weights and over the same rows."""
    whole = dataclasses.replace(data, validation=np.ones(len(data), bool))  # packed to the last row
    ours, tunix = nnx.jit(our_loss), nnx.jit(peft_trainer._default_loss_fn)
    sums = [0.0, 0.0]
    for one in Packed(whole, max_seq_len=LENGTH, batch_size=batch, validation=True):
        arrays = {"tokens": one.tokens, "loss_mask": one.loss_mask}
        arrays |= {"segments": one.segments, "positions": one.positions}
        sums[0] += float(ours(model, **segmented_input(jax.tree.map(jax.numpy.asarray, arrays)))) * learnt(one)
    for one in padded(data, 1):
        sums[1] += float(tunix(model, **padded_input(jax.tree.map(jax.numpy.asarray, one)))) * learnt(one)
    count = int(data.loss_mask.sum())
    return sums[0] / count, sums[1] / count


def compare(name: str, data: TokenSet, rounds: int, folder: Path) -> None:
    batch, config = BATCH[name], STUDENTS[name]()
    ours = Ours(config, METHOD[name], batch, folder)
    if name == "tiny":
        # a trainer stacks its student's layers, which Tunix's loss does not take
        ours_nll, tunix_nll = nll(student(config, METHOD[name], ours.mesh), data, batch)
        print(f"packed_nll_difference: {abs(ours_nll / tunix_nll - 1):.1e}")
        print(f"  {ours_nll:.6f} packed, {tunix_nll:.6f} filled up, {int(data.loss_mask.sum()):,} tokens")
    theirs = Bare(config, METHOD[name], batch, "padded")
    mine, filled = packed(data, batch), padded(data, batch)
    ours.seconds(mine[:2])
    theirs.seconds(filled[:2])
    rates = []
    for number in range(rounds):
        part, filled_part = mine[number::rounds], filled[number::rounds]
        if not part or not filled_part:
            break
        rates.append(
            (
                sum(map(learnt, part)) / ours.seconds(part),
                sum(map(learnt, filled_part)) / theirs.seconds(filled_part),
            )
        )
    efficiency = float(np.mean([one.packing_efficiency for one in mine]))
    print(f"  {name}: {len(data)} rows of {data.lengths.mean():.0f} tokens; {len(mine)} packed steps, "
          f"{efficiency:.0%} full, and {len(filled)} filled up")  # fmt: skip
    print("  completion tokens/s: " + ", ".join(f"{a:,.0f} over {b:,.0f}" for a, b in rates))
    print_ratio(f"packed_vs_padded_{name}", [a / b for a, b in rates], "≥ 2.0")


def main() -> None:
    parser = options("Completion tokens a second, packed over filled up.")
    parser.add_argument("--students", nargs="+", choices=list(STUDENTS), default=list(STUDENTS))
    parser.add_argument("--rows", type=int, default=None, help="instead of 500 and 60")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        for name in asked.students:
            rows = asked.rows or ROWS[name]
            data = solutions(folder, rows, asked.source, asked.tokenizer, STUDENTS[name]().num_embed)
            compare(name, data, asked.rounds, folder / name)


if __name__ == "__main__":
    main()
