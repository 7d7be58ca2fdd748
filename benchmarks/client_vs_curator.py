"""Answers a second through our engine, over plain Curator and over a bare aiohttp loop.

All ask the same scripted teacher (a process of its own, no latency) the same: every question 16 times, with the same
messages, seeds and sampling and the same number of requests in flight. That all get the same answers is checked.

* ours: `Engine.ask` into an empty answer store on disk: preflight, requests, journal, import into the store. Once with
  a server that ignores ``n``, which is asked one choice at a time, and once with one that honours it.
* Curator: a bare ``curator.LLM`` with ``backend="openai"``, its limits raised and its display and log silenced, on 16
  rows a question whose seeds are in the column ``generation_params``: its way to 16 answers. Its dataset is its store.
  Making the LLM and the input dataset is not counted.
* aiohttp: a loop that keeps the contents in a list. Nothing is stored.

Prints medians over interleaved pairs: ``client_vs_curator`` (goal: ≥ 0.9) and ``client_vs_aiohttp`` without n,
``client_vs_curator_n`` (goal: ≥ 5) and ``client_vs_aiohttp_n`` with it.

    python benchmarks/client_vs_curator.py [--questions 300] [--pairs 5]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# read by Curator at import: no telemetry, no price table from the net, and a tokenizer table that is here already
os.environ |= {"TELEMETRY_ENABLED": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1"}
import aiohttp
import litellm.litellm_core_utils.default_encoding  # noqa: F401  # sets TIKTOKEN_CACHE_DIR
from bespokelabs import curator
from datasets import Dataset, disable_progress_bars
from rich.console import Console

from tunixhack._util.progress import Reporter
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.steps.request import Request
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.testing import ScriptedTeacher, toy_questions

SAMPLES = 16
CONCURRENCY = 16
"""What the engine takes for a server at an address."""
SAMPLING = {"temperature": 1.0, "max_tokens": 1024}
NO_LIMIT = 10**9
Ask = Callable[[], list[str]]
"""Asks for everything and returns the contents of the answers."""
Way = Callable[[ScriptedTeacher, list[dict[str, Any]], Path], Ask]
"""Prepares, which is not counted: from a teacher, one row for each wanted choice and an empty folder."""


class Plain(curator.LLM):
    """The LLM that a user of Curator writes."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the messages."""
        return json.loads(row["messages"])

    def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
        """Return the answer as a row."""
        return {"question_id": row["question_id"], "sample": row["sample"], "content": response}


def ours(teacher: ScriptedTeacher, rows: list[dict[str, Any]], folder: Path) -> Ask:
    """Ask through the engine."""
    store = AnswerStore(folder / "answers", folder / ".work")
    engine = Engine(store, whom(teacher), seed=0, trace="written", report=Reporter(quiet=True))
    requests = [
        Request(question_id=row["question_id"], messages=json.loads(row["messages"]), samples=tuple(range(SAMPLES)))
        for row in rows[::SAMPLES]
    ]

    def ask() -> list[str]:
        answers = engine.ask(requests, "sample")
        engine.close()
        return answers["choice"].str.json_path_match("$.message.content").to_list()

    return ask


def plain_curator(teacher: ScriptedTeacher, rows: list[dict[str, Any]], folder: Path) -> Ask:
    """Ask through Curator."""
    llm = Plain(
        "scripted",
        backend="openai",
        generation_params=dict(SAMPLING),
        backend_params={
            "base_url": teacher.url,
            "api_key": "none",
            "max_requests_per_minute": NO_LIMIT,
            "max_tokens_per_minute": NO_LIMIT,
            "max_concurrent_requests": CONCURRENCY,
        },
    )
    llm._request_processor._tracker_console = Console(file=io.StringIO(), quiet=True)
    dataset = Dataset.from_list(rows)
    return lambda: list(llm(dataset, working_dir=str(folder)).dataset["content"])


def bare_aiohttp(teacher: ScriptedTeacher, rows: list[dict[str, Any]], folder: Path) -> Ask:
    """Ask in a loop, one choice a request."""
    return lambda: asyncio.run(aiohttp_loop(teacher.url, rows, 1))


def bare_aiohttp_n(teacher: ScriptedTeacher, rows: list[dict[str, Any]], folder: Path) -> Ask:
    """Ask in a loop, all choices of a question in one request."""
    return lambda: asyncio.run(aiohttp_loop(teacher.url, rows, SAMPLES))


async def aiohttp_loop(url: str, rows: Sequence[dict[str, Any]], n: int) -> list[str]:
    contents: dict[int, list[str]] = {}
    todo = iter(range(0, len(rows), n))

    async def work(session: aiohttp.ClientSession) -> None:
        for at in todo:
            row = rows[at]
            body = {"model": "scripted", "messages": json.loads(row["messages"])} | SAMPLING
            body |= json.loads(row["generation_params"]) | ({"n": n} if n > 1 else {})
            async with session.post(f"{url}/chat/completions", json=body) as response:
                completion = await response.json()
            contents[at] = [choice["message"]["content"] for choice in completion["choices"]]

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))
    return [content for at in sorted(contents) for content in contents[at]]


def whom(teacher: ScriptedTeacher) -> Any:
    """Return the scripted teacher as the engine knows it."""
    return resolve(teacher.url, RequestOptions(max_tokens=SAMPLING["max_tokens"], sampling=SAMPLING))


def rows_for(teacher: ScriptedTeacher, questions: int) -> list[dict[str, Any]]:
    """List every wanted choice with the seed that the engine gives it."""
    messages = [[{"role": "user", "content": row["question"]}] for row in toy_questions(questions)]
    requests = [
        Request(question_id=f"{number:016x}", messages=asked, samples=tuple(range(SAMPLES)))
        for number, asked in enumerate(messages)
    ]
    engine = Engine(AnswerStore(Path(), Path()), whom(teacher), 0, "written", Reporter(quiet=True))
    wanted = engine.wanted(requests).iter_rows(named=True)
    return [
        {
            "question_id": row["question_id"],
            "sample": row["sample"],
            "messages": json.dumps(messages[row["request"]]),
            "generation_params": json.dumps({"seed": row["seed"]}),
        }
        for row in wanted
    ]


def seconds(way: Way, teacher: ScriptedTeacher, rows: list[dict[str, Any]]) -> tuple[float, list[str]]:
    """Time one way to ask."""
    with tempfile.TemporaryDirectory() as folder:
        ask = way(teacher, rows, Path(folder))
        start = time.perf_counter()
        contents = ask()
        took = time.perf_counter() - start
    for name in list(logging.root.manager.loggerDict):  # Curator opens a log file a call and keeps it
        for handler in list(logging.getLogger(name).handlers) if name.startswith("curator") else []:
            if isinstance(handler, logging.FileHandler):
                logging.getLogger(name).removeHandler(handler)
                handler.close()
    return took, contents


def main() -> None:
    """Time interleaved rounds."""
    options = argparse.ArgumentParser(description="Answers a second: our engine over Curator and a bare loop.")
    options.add_argument("--questions", type=int, default=300)
    options.add_argument("--pairs", type=int, default=5)
    asked = options.parse_args()
    disable_progress_bars()
    logging.getLogger("curator").setLevel(logging.WARNING)
    with ScriptedTeacher(process=True, n_supported=False) as single, ScriptedTeacher(process=True) as several:
        ways: list[tuple[str, Way, ScriptedTeacher]] = [
            ("ours", ours, single),
            ("curator", plain_curator, single),
            ("aiohttp", bare_aiohttp, single),
            ("ours_n", ours, several),
            ("aiohttp_n", bare_aiohttp_n, several),
        ]
        rows = rows_for(single, asked.questions)
        for _, way, teacher in ways:  # what is loaded at the first use
            seconds(way, teacher, rows[: 4 * SAMPLES])
        rounds = []
        for number in range(asked.pairs):
            took, got = {}, {}
            for name, way, teacher in ways if number % 2 else ways[::-1]:
                took[name], got[name] = seconds(way, teacher, rows)
            if any(sorted(contents) != sorted(got["aiohttp"]) for contents in got.values()):
                raise SystemExit("they do not all get the same answers: nothing to compare")
            rounds.append(took)
            rates = ", ".join(f"{name} {len(rows) / took[name]:,.0f}" for name, _, _ in ways)
            print(f"  answers/s: {rates} (load {os.getloadavg()[0]:.1f})", flush=True)
    for figure, peer, mine in (
        ("client_vs_curator", "curator", "ours"),
        ("client_vs_curator_n", "curator", "ours_n"),
        ("client_vs_aiohttp", "aiohttp", "ours"),
        ("client_vs_aiohttp_n", "aiohttp_n", "ours_n"),
    ):
        print(f"{figure}: {statistics.median(took[peer] / took[mine] for took in rounds):.2f}")


if __name__ == "__main__":
    main()
