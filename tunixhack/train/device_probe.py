"""The doctor's child: it imports the trainer, asks jax for its devices, or trains for a step, and prints how that went.

What it prints is one line of JSON, the devices and the error; either may be null.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import astuple
from pathlib import Path

from tunixhack._util.child_process import end_with_parent
from tunixhack.train.machine.facts import Device, ProbeResult, devices_of


def answer(question: str, *platforms: str) -> ProbeResult:
    """Answer one question.

    Args:
        question: ``"tunix"``: can it and the trainer be imported? ``"trial"``: does a step of training on the CPU
            work? ``"devices"``: which does jax see?
        platforms: those that must be among the devices; the error says why one is not.
    """
    devices: tuple[Device, ...] | None = None
    try:
        if question == "tunix":
            import tunix  # noqa: F401

            import tunixhack.train.supervised  # noqa: F401
        elif question == "trial":
            _train_a_step()
        else:
            import jax

            devices = devices_of(jax)
            for platform in platforms:
                jax.devices(platform)
    except Exception as error:  # noqa: BLE001  # whatever a clash of versions raises is the answer
        first_line = str(error).strip().partition("\n")[0]
        return ProbeResult(devices, f"{type(error).__name__}: {first_line}"[:400])
    return ProbeResult(devices, None)


def _train_a_step() -> None:
    """Train a tiny student for a step, on the CPU: another process may have the accelerator."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from tunixhack._util.progress import Reporter
    from tunixhack.testing.student import write_tiny_student
    from tunixhack.train.core.distributed import VARIABLES
    from tunixhack.train.supervised import sft

    for variable in VARIABLES:  # the doctor is asked on one host of several, too
        os.environ.pop(variable, None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = folder / "rows.jsonl"
        rows.write_text('{"prompt": "What is 1 + 1?", "response": "<think>I add.</think>2"}\n', encoding="utf-8")
        student, out, report = write_tiny_student(folder / "student"), folder / "out", Reporter(quiet=True)
        sft(rows, student, out=out, steps=1, samples=0, max_seq_len=128, batch_size=1, cpu=True, report=report)


if __name__ == "__main__":
    end_with_parent()
    stdout = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no part of the answer
    told = astuple(answer(*sys.argv[1:]))
    os.write(stdout, json.dumps(told).encode())
