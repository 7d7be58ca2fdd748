"""The experiments, in the order in which they are worth their time, and what was aimed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAKE = "make"
"""The first of all: it writes the student and the rows that the others use, and needs no accelerator."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment, which has a process of its own."""

    name: str
    kind: str
    """The function of `benchmarks.accelerator.work` that it is."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    need: float = 45.0
    """Seconds without which it is not begun."""
    limit: float = 150.0
    """Seconds behind which it is killed."""
    goal: str = ""
    """What is aimed at, for the table."""


def _train(name: str, method: str, rows: int, length: int, goal: str = "", **more: Any) -> Experiment:
    arguments = {"method": method, "rows": rows, "length": length, **more}
    return Experiment(name=name, kind="train", arguments=arguments, goal=goal)


EXPERIMENTS = (
    Experiment(name=MAKE, kind="make", need=5, limit=120),
    Experiment(name="device", kind="device", need=10, limit=60),
    _train("lora-4x2048", "lora", 4, 2048, "H200: 76,000 tokens/s, H100: 65,000; first step 20 s"),
    _train("lora-4x2048-dense", "lora", 4, 2048, attention="dense"),
    Experiment(name="transformers-lora", kind="transformers_train", arguments={"method": "lora", "rows": 4}, limit=100),
    Experiment(name="tunix-lora", kind="tunix_train", arguments={"rows": 16}, goal="(a peer)"),
    # what a loop over layers costs, and what it saves in compiling
    _train("lora-4x2048-one-by-one", "lora", 4, 2048, single_layers=True),
    _train("lora-1x8192", "lora", 1, 8192, "2 × lora-1x8192-dense"),
    _train("lora-1x8192-dense", "lora", 1, 8192, attention="dense"),
    _train("full-4x2048", "full", 4, 2048, "1.5 × full-4x2048-dense"),
    _train("full-4x2048-dense", "full", 4, 2048, attention="dense"),
    _train("lora-8x2048", "lora", 8, 2048, "useful MFU 35 %"),
    Experiment(name="generate", kind="generate", goal="10 × transformers-generate"),
    Experiment(name="transformers-generate", kind="transformers_generate", limit=100),
    _train("lora-1x16384", "lora", 1, 16384),
    Experiment(name="attention", kind="attention", goal="errors ≤ 0.02 in bf16"),
    Experiment(
        name="transformers-lora-compiled",
        kind="transformers_train",
        arguments={"method": "lora", "rows": 4, "compiled": 1},
        limit=180,
    ),
    Experiment(name="transformers-full", kind="transformers_train", arguments={"method": "full", "rows": 4}, limit=100),
)
"""All of them; the names are those of ``--only``."""
