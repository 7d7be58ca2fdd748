"""Tokens a second of asking a student with fresh adapters, over those of other ways of asking the same student.

Each way is a process of its own, which loads the student, asks once so that everything is compiled, and then asks again
whenever it is told to, so that rounds are interleaved. Fresh adapters change no reply: all ways write the same tokens.

Prints, for a tiny student of random weights and for SmolLM2-135M where it is here:

    generation_vs_unmerged_STUDENT   over the same call with the adapters beside their weights
    generation_vs_before_STUDENT     over an earlier version of this package, with --before FOLDER (a checkout of it)
    …_processor                      the same by seconds of the processor, where it has other work besides

    python benchmarks/generation.py [--before FOLDER] [--questions 64] [--max-tokens 96] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

ROOT = Path(__file__).resolve().parents[1]
SMOLLM = "smollm2-135m-instruct"


class Way:
    """A process that asks a student when it is told to.

    Args:
        asked: the arguments of the command line.
        student: a folder, or a name.
        package: the folder in which the package is.
        merged: whether adapters may be merged.
    """

    def __init__(self, asked: argparse.Namespace, student: str, package: Path, merged: bool) -> None:
        command = [sys.executable, __file__, "--questions", str(asked.questions), "--max-tokens", str(asked.max_tokens)]
        self._process = subprocess.Popen(
            [*command, "--ask", student, *([] if merged else ["--unmerged"])],
            env={**os.environ, "PYTHONPATH": str(package), "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.once()

    def once(self) -> tuple[float, float, int]:
        """Return the tokens a second and a second of the processor of one more call, and its tokens."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process that asks ended with {self._process.wait()}")
        tokens, seconds, processor = json.loads(line)
        return tokens / seconds, tokens / processor, tokens

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


def serve(asked: argparse.Namespace) -> None:
    """Ask a student as often as lines come in, and print tokens and seconds of each call."""
    import jax

    from tunixhack.train.core.mesh import device_mesh
    from tunixhack.train.inference.generate import generate
    from tunixhack.train.models.load import find
    from tunixhack.train.settings import settings
    from tunixhack.train.student import Student

    if asked.unmerged:
        from tunixhack.train.inference import ready

        ready.PAYS_FROM = 10**9
    student = Student.prepare(find(asked.ask), settings("lora", compute="float32"), device_mesh(jax.device_count()))
    questions = [
        f"Tom has {a} apples and buys {b} more. How many apples has he?"
        for a in range(20, 28)
        for b in range(-(-asked.questions // 8))
    ][: asked.questions]
    for _ in sys.stdin:
        began, processor = time.perf_counter(), time.process_time()
        tokens = sum(reply.tokens for reply in generate(student, questions, max_new_tokens=asked.max_tokens))
        print(json.dumps([tokens, time.perf_counter() - began, time.process_time() - processor]), flush=True)


def compare(asked: argparse.Namespace, name: str, student: str) -> None:
    """Print what one student's ratios are."""
    ways = {"ours": Way(asked, student, ROOT, merged=True), "unmerged": Way(asked, student, ROOT, merged=False)}
    if asked.before:
        ways["before"] = Way(asked, student, Path(asked.before), merged=True)
    ratios: dict[str, list[float]] = {f"{way}_{name}{unit}": [] for way in ways for unit in ("", "_processor")}
    for _ in range(asked.rounds):
        speeds = {way: process.once() for way, process in ways.items()}
        for way, (rate, processor, _) in speeds.items():
            ratios[f"{way}_{name}"].append(speeds["ours"][0] / rate)
            ratios[f"{way}_{name}_processor"].append(speeds["ours"][1] / processor)
        told = ", ".join(f"{way} {rate:,.0f}/s ({tokens:,} tokens)" for way, (rate, _, tokens) in speeds.items())
        print(f"  {name}: {told} (load {os.getloadavg()[0]:.1f})", flush=True)
    for process in ways.values():
        process.end()
    for way, found in ratios.items():
        if not way.startswith("ours"):
            print(f"generation_vs_{way}: {statistics.median(found):.2f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--before", help="a folder that has an earlier tunixhack/")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--student", choices=["tiny", "smollm"], help="one of them alone")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--unmerged", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.ask:
        serve(asked)
        return 0
    from tunixhack.errors import UserError
    from tunixhack.testing.student import write_tiny_student
    from tunixhack.train.models.load import find

    with tempfile.TemporaryDirectory() as folder:
        if asked.student != "smollm":
            compare(asked, "tiny", str(write_tiny_student(Path(folder) / "tiny", "gemma3")))
        if asked.student != "tiny":
            try:
                find(SMOLLM)
            except UserError as error:
                print(f"  smollm: not measured, since {SMOLLM} is not here ({error})")
                return 0
            compare(asked, "smollm", SMOLLM)
    return 0


if __name__ == "__main__":
    sys.exit(main())
