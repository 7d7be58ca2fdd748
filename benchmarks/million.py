"""A library of OpenThoughts3's size, 1.2 million questions of sixteen answers, through everything but the teacher.

Questions are made by a fixed seed: of a hundred, one has the id of another, one is another in capitals, one has a typo,
and one in two hundred stands in a benchmark. Answers of 200 characters are written straight into the answer store, in
pieces of 100,000, by who asks the requests that the build will make; of a hundred, four are malformed, two are cut off
and two are copies of another. Then each phase runs in a process of its own:

* ``build``: source, equal ids, exact and fuzzy dedup, decontamination, rank, the store read, parse, copies, length,
  and the three tables with the card.
* ``formats``: the kept answers as conversations in a file.
* ``tokens``: the kept answers as a student's tokens, one for four characters.

A phase that has ended is not repeated: the same command with ``--folder`` goes on where it was stopped. Prints for each
size and phase the peak memory of the whole process tree in MB (goal: below 4,096) and the processor's microseconds an
answer, without what importing takes; the disk in MB (goal at 1.2 million: below 25,000); and ``million_growth_PHASE``:
the time of an answer at the largest size over that at the smallest (goal: ≤ 1.3). Ends with 1 where a goal is missed.

    python benchmarks/million.py [--questions 12000 120000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

SAMPLES, CHARACTERS = 16, 200
PIECE = 6250
"""Questions whose answers stand in one file of the store."""
PHASES = ("questions", "store", "build", "formats", "tokens")
MEASURED = ("build", "formats", "tokens")
MOST_MB, MOST_DISK_MB, MOST_GROWTH = 4096, 25_000, 1.3
LETTERS = "etaoinshrdlucmfwypvbgk"
OPEN, BETWEEN, CLOSE = "<reasoning>", "</reasoning>\n<answer>", "</answer>"
ROOM = CHARACTERS - len(OPEN + BETWEEN + CLOSE)


def vocabulary() -> np.ndarray[Any, Any]:
    """Make 20,000 words, the same ones every time."""
    draw = random.Random(0)
    return np.array(["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(20_000)])


def sentences(count: int, words: int, seed: int) -> list[str]:
    """Draw sentences; a few words are frequent, as in a language."""
    draw, vocabulary_ = np.random.default_rng(seed), vocabulary()
    often = 1 / (np.arange(len(vocabulary_)) + 10)
    drawn = draw.choice(len(vocabulary_), size=(count, words), p=often / often.sum())
    return [" ".join(row) for row in vocabulary_[drawn]]


def write_questions(count: int, folder: Path) -> None:
    """Write the source and the benchmark."""
    spare = count // 50 + 10
    (folder / "benchmark.jsonl").unlink(missing_ok=True)  # of a start that was stopped
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
        for start in range(0, count + spare, 10_000):
            for at, text in enumerate(sentences(min(10_000, count + spare - start), 12, 1 + start), start):
                rows = [f"What follows from {text}?"]
                if at % 100 == 1:
                    rows.append(rows[0])
                if at % 100 == 2:
                    rows.append(rows[0].upper())
                if at % 100 == 3:
                    rows.append(f"{rows[0][:-3]}x{rows[0][-2:]}")
                if at % 200 == 4 and at < 200_000:
                    with (folder / "benchmark.jsonl").open("a", encoding="utf-8") as exam:
                        exam.write(json.dumps({"question": rows[0]}) + "\n")
                file.writelines(json.dumps({"question": row}) + "\n" for row in rows)


def made_recipe(folder: Path) -> Any:
    """Return the recipe, whose source and benchmark are in the folder."""
    from tunixhack import Decontaminate, DedupAnswers, ExactDedup, FuzzyDedup, MaxLength, Parse, Sample
    from tunixhack.recipes import creative

    return creative.recipe.replace(
        source=str(folder / "questions.jsonl"),
        samples=SAMPLES,
        steps=(
            ExactDedup(),
            FuzzyDedup(),
            Decontaminate(against=(str(folder / "benchmark.jsonl"),)),
            Sample(),
            Parse(),
            DedupAnswers(),
            MaxLength(),
        ),
    )


def write_store(count: int, folder: Path, url: str) -> None:
    """Write the answers to all questions of the source, as requests of the build ask for them."""
    from tunixhack._util.files import write_parquet
    from tunixhack._util.progress import Reporter
    from tunixhack.pipeline.options import BuildOptions
    from tunixhack.pipeline.teacher_pool import TeacherPool
    from tunixhack.pipeline.teacher_settings import settings_of
    from tunixhack.runs.journal import FIELDS
    from tunixhack.runs.run import Run
    from tunixhack.steps.request import Request

    recipe, run = made_recipe(folder), Run(folder / "run")
    pool = TeacherPool(settings_of(recipe, BuildOptions(teacher=url)), run, Reporter(quiet=True))
    text = " ".join(sentences(50_000, 12, 0))
    mark("write")
    questions = recipe.source.load(recipe.domain).rows.unique("question_id", keep="first", maintain_order=True)
    for number, start in enumerate(range(0, questions.height, PIECE)):
        path = run.store.folder / f"{number:06d}.parquet"
        if path.exists():
            continue
        rows = questions.slice(start, PIECE).iter_rows(named=True)
        requests = [Request(row=row, messages=pool.prompts.render(row), samples=range(SAMPLES)) for row in rows]
        wanted = pool._engine(url).wanted(requests)
        draw = np.random.default_rng(number)
        begins, kinds = draw.integers(0, len(text) - ROOM, wanted.height), draw.integers(0, 100, wanted.height)
        replies = [reply(text, at, kind) for at, kind in zip(begins.tolist(), kinds.tolist(), strict=True)]
        cut = pl.Series(kinds < 2)
        answers = wanted.select("request_key", "sample", "question_id", "seed").with_columns(
            step=pl.lit("sample"),
            teacher=pl.lit(pool.main.name if pool.main else None),
            count=pl.lit(SAMPLES, pl.Int64),
            choice=pl.Series(replies),
            finish_reason=pl.when(cut).then(pl.lit("length")).otherwise(pl.lit("stop")),
            prompt_tokens=pl.lit(90, pl.Int64),
            completion_tokens=pl.lit(60, pl.Int64),
            usage=pl.when(pl.col("sample") == 0).then(
                pl.lit('{"prompt_tokens": 90, "completion_tokens": 960, "total_tokens": 1050}')
            ),
            when=pl.lit("2026-01-01T00:00:00+00:00"),
            model=pl.lit("scripted"),
        )
        write_parquet(path, answers.select(pl.col(name).cast(kind) for name, kind in FIELDS.items()))
    pool.close()


def reply(text: str, at: int, kind: int) -> str:
    """Write a choice as JSON: 200 characters of words in the hackathon's tags, or what is to be rejected."""
    if kind in (6, 7):
        at = 0
    said = text[at : at + ROOM]
    end = "" if kind in (2, 3, 4, 5) else CLOSE
    content = f"{OPEN}{said[: ROOM - 40].strip()}{BETWEEN}{said[ROOM - 40 :].strip()}{end}"
    message = {"role": "assistant", "content": content}
    return json.dumps({"index": 0, "message": message, "finish_reason": "length" if kind < 2 else "stop"})


def build(count: int, folder: Path, url: str) -> int:
    """Build the run of which all answers are stored; returns the answers kept."""
    from tunixhack._util.progress import Reporter
    from tunixhack.pipeline import recorder

    timed = recorder.Recorder.timed

    @contextmanager
    def marked(self: recorder.Recorder, name: str) -> Iterator[None]:
        mark(name)
        with timed(self, name):
            yield
        mark(f"behind {name}")

    recorder.Recorder.timed = marked  # type: ignore[method-assign]
    run = made_recipe(folder).build(url, out=folder / "run", questions=count, report=Reporter(quiet=True))
    lines = run.state()["funnel"]
    print(json.dumps({"steps": {line["step"]: [line["kept"], line["seconds"]] for line in lines}}), flush=True)
    kept = lines[-1]["kept"]
    assert next(line["kept"] for line in lines if line["step"] == "sample") == count * SAMPLES
    return int(kept)


def formats(folder: Path) -> None:
    """Write the kept answers as conversations."""
    from tunixhack.runs.run import Run

    Run.load(folder / "run").export("messages", folder / "messages.parquet")


def tokens(folder: Path) -> None:
    """Write the kept answers as tokens, and read them back as a training does."""
    from tunixhack.train.data.chat import GEMMA, Renderer
    from tunixhack.train.data.datasets import read_all
    from tunixhack.train.data.tokenize import tokenise

    datasets = read_all(str(folder / "run"))
    mark("tokenise")
    renderer = Renderer(GEMMA, FourCharacters())
    made = tokenise(datasets, renderer, max_seq_len=1024, validation_questions=100, folder=folder / "tokens")
    print(json.dumps({"rows": len(made)}), flush=True)


class FourCharacters:
    """A tokenizer of one token for four characters, which is about what a student's has of English prose.

    It takes next to no time, so that what is measured is what is done around a tokenizer.
    """

    fingerprint = "four-characters"

    @cached_property
    def control_ids(self) -> dict[str, int]:
        """The id of every control token by its text."""
        from tunixhack.testing.tokenizer import CONTROL

        return {token: id for id, token in enumerate(CONTROL)}

    def encode(self, text: str) -> list[int]:
        """Turn text into ids: every fourth byte, of which none of a text is a control token's id."""
        return list(text.encode()[::4])


def mark(name: str) -> None:
    """Tell the parent what begins, and what the processor has done until then."""
    print(json.dumps({"mark": name, "used": time.process_time()}), flush=True)


def phase(name: str, count: int, folder: Path, url: str) -> None:
    """Run one phase in this process."""
    import tunixhack.formats
    import tunixhack.pipeline.build
    import tunixhack.train.data.tokenize  # noqa: F401

    print(json.dumps({"importing": round(time.process_time(), 2)}), flush=True)
    if name == "questions":
        write_questions(count, folder)
    elif name == "store":
        write_store(count, folder, url)
    elif name == "build":
        build(count, folder, url)
    elif name == "formats":
        formats(folder)
    else:
        tokens(folder)
    mark("end")


class Watch:
    """The memory of a process and all its children, as it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Begin to watch."""
        self.peaks: dict[str, int] = {}
        self.now = "start"
        self._process = process
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        one = psutil.Process(self._process.pid)
        while self._process.returncode is None:
            try:
                tree = [one, *one.children(recursive=True)]
                size = sum(each.memory_info().rss for each in tree)
            except psutil.Error:
                time.sleep(0.05)
                continue
            self.peaks[self.now] = max(size, self.peaks.get(self.now, 0))
            time.sleep(0.05)


def run_phase(name: str, count: int, folder: Path, url: str) -> dict[str, Any]:
    """Run a phase in a process of its own, unless it has ended before; returns its figures."""
    done = folder / f"{name}.json"
    if done.exists():
        told: dict[str, Any] = json.loads(done.read_text())
        return told
    arguments = ["--questions", str(count), "--folder", str(folder), "--phase", name, "--url", url]
    start, times = time.perf_counter(), dict[str, list[float]]()
    child = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
    watch, began, used_before, found = Watch(child), start, 0.0, dict[str, Any]()
    assert child.stdout is not None
    for line in child.stdout:
        read = json.loads(line)
        if "mark" in read:
            now, spent = time.perf_counter(), times.setdefault(watch.now, [0.0, 0.0])
            spent[0] += now - began
            spent[1] += read["used"] - used_before
            watch.now, began, used_before = read["mark"], now, read["used"]
        else:
            found |= read
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{name} of {count:,} questions ended with {child.returncode}; peaks {watch.peaks}")
    peaks = {one: round(size / 2**20) for one, size in watch.peaks.items()}
    told = {
        "seconds": round(time.perf_counter() - start, 1),
        "processor": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": max([*peaks.values(), round(used.ru_maxrss / 1024)]),
        "peaks_mb": peaks,
        "times": {one: [round(seconds, 2) for seconds in spent] for one, spent in times.items() if spent[1] > 0.05},
        "load": os.getloadavg()[0],
        **found,
    }
    done.write_text(json.dumps(told, indent=1))
    print(f"  {count:,}: {name}: {json.dumps(told)}", flush=True)
    return told


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(count: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Run all phases of one size."""
    from tunixhack.testing import ScriptedTeacher

    folder.mkdir(parents=True, exist_ok=True)
    address = folder / "port"
    port = int(address.read_text()) if address.exists() else 0
    with ScriptedTeacher(process=True, port=port) as teacher:
        address.write_text(teacher.url.split(":")[2].split("/")[0])
        found = {name: run_phase(name, count, folder, teacher.url) for name in PHASES}
        if teacher.stats["choices"]:
            raise SystemExit("the teacher was asked, and all answers are stored: the keys differ")
    for name in MEASURED:
        print(f"million_{name}_peak_mb_{count}: {found[name]['peak_mb']}")
        print(f"million_{name}_us_an_answer_{count}: {an_answer(found[name], count):.1f}")
    print(f"million_disk_mb_{count}: {size_of(folder) / 1e6:.0f}", flush=True)
    return found


def an_answer(told: dict[str, Any], count: int) -> float:
    """Return the processor's microseconds an answer, without what importing takes."""
    return float(told["processor"] - told["importing"]) / (count * SAMPLES) * 1e6


def main() -> int:
    """Measure all sizes, and compare the largest with the smallest."""
    options = argparse.ArgumentParser(description="Memory, disk and time of a library of a million questions.")
    options.add_argument("--questions", type=int, nargs="+", default=[12_000, 120_000])
    options.add_argument("--folder", type=Path, help="kept, so that the same command goes on")
    options.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    options.add_argument("--url", default="", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.phase is not None:
        phase(asked.phase, asked.questions[0], asked.folder, asked.url)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.folder or Path(temporary)
        sizes = {count: measure(count, root / str(count)) for count in sorted(asked.questions)}
        disk = size_of(root / str(max(sizes)))
    peak = max(one[name]["peak_mb"] for one in sizes.values() for name in MEASURED)
    missed = peak > MOST_MB or disk > MOST_DISK_MB * 1e6
    least, most = min(sizes), max(sizes)
    if least != most:
        for name in MEASURED:
            growth = an_answer(sizes[most][name], most) / an_answer(sizes[least][name], least)
            print(f"million_growth_{name}: {growth:.2f}")
            missed |= growth > MOST_GROWTH
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
