"""Steps a second of our trainer over Tunix's bare one with our loss: what our additions to a step cost.

They are the learning rate as an input, the check for numbers that are not finite, and what is told of every step. Both
train the same student on the same packed rows of gsm8k's own solutions, in fp32, in turns; two steps of each before,
in which it compiles, are not counted. Tunix's trainer with its own loss on the same rows stands beside them.

    steps_vs_tunix      median over pairs of rounds (goal: ≥ 0.95)
    steps_vs_own_loss   the same over Tunix's trainer with its own loss
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common.training import STUDENTS, Bare, Ours, options, packed, print_ratio, solutions


def main() -> None:
    parser = options("Steps a second, our trainer over Tunix's with our loss.")
    parser.add_argument("--student", choices=list(STUDENTS), default="270m")
    parser.add_argument("--method", choices=("full", "lora"), default="lora")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="of each side in a round")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    config = STUDENTS[asked.student]()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        data = solutions(folder, asked.rows, asked.source, asked.tokenizer, config.num_embed)
        batches = packed(data, asked.batch)
        batches = (batches * asked.steps)[: asked.steps]
        sides = {
            "ours": Ours(config, asked.method, asked.batch, folder / "ours"),
            "tunix": Bare(config, asked.method, asked.batch, "ours"),
            "own_loss": Bare(config, asked.method, asked.batch, "packed"),
        }
        for side in sides.values():
            side.seconds((batches * 2)[:2])
        rounds = [{name: side.seconds(batches) for name, side in sides.items()} for _ in range(asked.rounds)]
    for name, goal in (("tunix", "≥ 0.95"), ("own_loss", "none")):
        print_ratio(f"steps_vs_{name}", [one[name] / one["ours"] for one in rounds], goal)
    print(f"  {asked.steps / min(one['ours'] for one in rounds):.2f} of our steps a second at best")


if __name__ == "__main__":
    main()
