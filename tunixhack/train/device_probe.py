"""The doctor's child: it imports the trainer, asks jax for its devices, or trains for a step, and prints what it finds.

What fails ends it with a traceback.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tunixhack._util.child_process import end_with_parent


def main(question: str, *platforms: str) -> None:
    """Answer one question.

    Args:
        question: ``"tunix"``: can it and the trainer be imported? ``"trial"``: does a step of training on the CPU
            work? ``"devices"``: print jax's, as JSON.
        platforms: those that must be among the devices; another traceback says why one is not.
    """
    if question == "tunix":
        import tunix  # noqa: F401

        import tunixhack.train.supervised  # noqa: F401

        return
    if question == "trial":
        return _train_a_step()
    import jax

    found = [(one.platform, one.device_kind, (one.memory_stats() or {}).get("bytes_limit")) for one in jax.devices()]
    print(json.dumps(found), flush=True)
    for platform in platforms:
        jax.devices(platform)


def _train_a_step() -> None:
    """Train a tiny student for a step, on the CPU: another process may have the accelerator."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from tunixhack._util.progress import Reporter
    from tunixhack.testing.student import write_tiny_student
    from tunixhack.train.supervised import sft

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        rows.write_text('{"prompt": "What is 1 + 1?", "response": "<think>I add.</think>2"}\n', encoding="utf-8")
        student = write_tiny_student(Path(folder) / "student")
        out = Path(folder) / "out"
        sft(
            rows,
            student,
            out=out,
            steps=1,
            samples=0,
            max_seq_len=128,
            batch_size=1,
            cpu=True,
            report=Reporter(quiet=True),
        )


if __name__ == "__main__":
    end_with_parent()
    main(*sys.argv[1:])
