"""Seconds in which `tunixhack lint` looks over a file, beside those in which its rows are only read.

The peers read the same file in the same run, in turn with ours: ``json.loads`` on each line, which any check in Python
starts with, and ``polars.read_ndjson``, which knows no row that it cannot read.

Rows of about 1 kB: messages with a thought in <think> tags, of common words, 1 in 1,000 with a fault. A second round
asks for languages, one for a student's tokens with a tokenizer of words, and one for a benchmark of 1,000 questions.

Prints ``lint_seconds``, ``lint_rows_per_second``, and the ratios ``lint_vs_json_loads`` and ``lint_vs_polars`` (how
many times as long ours takes), as medians over rounds; ``lint_seconds_for_a_million`` (goal: < 60), which is
extrapolated where fewer rows are asked for; rows/s of each option; and the peak memory of ours.

    python benchmarks/lint_rows.py [--rows 100000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from tunixhack.data_files.lint.asked_checks import contamination, over_long, wrong_language
from tunixhack.data_files.lint.lint import lint

COMMON = (
    "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so these "
    "would other into has more her two like him see time could no make than first been its who now people my made over "
    "did down only way find use may water long little very after words called just where most know heat iron paper"
)
WORDS = re.findall("[a-z]+", COMMON)
OPTION_ROWS = 20_000


def text(draw: random.Random, size: int) -> str:
    """Make sentences of so many characters, about."""
    sentences = (
        f"{' '.join(draw.choices(WORDS, k=12)).capitalize()} {draw.randrange(9999)}." for _ in range(size // 55)
    )
    return " ".join(sentences)


def write_rows(path: Path, rows: int) -> None:
    """Write the file."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            end = "<|im_end|>" if number % 1000 == 999 else ""
            reply = f"<think>\n{text(draw, 500)}\n</think>\n\n{text(draw, 250)}{end}"
            question = f"{text(draw, 160)} Is it {number}?"
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
            file.write(json.dumps({"messages": turns}) + "\n")


def ours(path: Path) -> None:
    report = lint(path, quiet=True)
    assert [(one.kind.name, one.rows) for one in report.faults] == [("control_tokens", report.rows // 1000)], report


def json_loads(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def polars(path: Path) -> None:
    pl.read_ndjson(path)


def seconds(work: Callable[[Path], None], path: Path) -> float:
    """Time one pass, and tell its processor time, which other work on the machine does not change."""
    start, busy = time.perf_counter(), time.process_time()
    work(path)
    took = time.perf_counter() - start
    print(f"  {work.__name__}: {took:.2f} s, {time.process_time() - busy:.2f} s of processors", flush=True)
    return took


def peak_mb() -> int:
    """Return this process's peak memory; first ours ran in it alone."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def options(folder: Path) -> None:
    """Print the rows a second of each check that is asked for, that of the others included."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(["?", *WORDS])}, "?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    draw = random.Random(1)
    benchmark = "".join(json.dumps({"question": text(draw, 200)}) + "\n" for _ in range(1000))
    (folder / "benchmark.jsonl").write_text(benchmark)
    path = folder / "few.jsonl"
    write_rows(path, OPTION_ROWS)
    for name, check in {
        "none": None,
        "student": over_long(str(folder), 4096),
        "against": contamination((str(folder / "benchmark.jsonl"),)),
        "language": wrong_language("en"),
    }.items():
        start = time.perf_counter()
        lint(path, quiet=True, checks=[check] if check else [])
        print(f"lint_rows_per_second_with_{name}: {OPTION_ROWS / (time.perf_counter() - start):,.0f}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Seconds of `tunixhack lint` over those of reading alone.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        write_rows(path, asked.rows)
        print(f"  {asked.rows:,} rows of {path.stat().st_size / asked.rows:,.0f} bytes", flush=True)
        took: dict[str, list[float]] = {}
        peak = 0
        for _ in range(asked.rounds):
            for work in (ours, json_loads, polars):
                took.setdefault(work.__name__, []).append(seconds(work, path))
                peak = peak or peak_mb()
        median = statistics.median(took["ours"])
        print(f"lint_seconds: {median:.2f}")
        print(f"lint_rows_per_second: {asked.rows / median:,.0f}")
        print(f"lint_seconds_for_a_million: {median * 1e6 / asked.rows:.1f}")
        for peer in ("json_loads", "polars"):
            ratio = statistics.median(one / other for one, other in zip(took["ours"], took[peer], strict=True))
            print(f"lint_vs_{peer}: {ratio:.2f}")
        print(f"lint_peak_mb: {peak}")
        options(Path(folder))


if __name__ == "__main__":
    main()
