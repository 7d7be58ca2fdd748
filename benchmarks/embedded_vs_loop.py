"""Tokens a second of the embedded teacher through our engine, over one request at a time to one llama.cpp server.

All answer questions of the creative domain (the shipped ones): the same model, messages, grammar, sampling and limits.
Tokens are counted alike, by the server's own tokenizer on the contents that came back. Every way has the cores for
itself, and starts with nothing of the last one's prompts in its slots.

* ours: `Engine.ask`, 16 samples of each question, into an answer store on disk, from the processes that ``--teacher
  local`` starts. The preflight is a start's and not an answer's: it is over before the clock runs.
* loop: one request after the other, one choice each: what a user's first script does. It goes to a server of one
  process with a thread for every core, since one of ours alone would answer it more slowly. Fewer answers, since it is
  slow.
* raw requests to that same server in three shapes: ``n=16`` one after the other, 16 at a time with one choice, 2 at a
  time with ``n=8``; and ``n=8`` one after the other to each of our processes.

Prints medians over interleaved rounds: ``embedded_vs_loop`` (goal: ≥ 1.8) and ``embedded_vs_best_raw`` (goal: ≥ 0.9),
the best being the fastest shape of the same round. Whatever else runs on the machine ruins the figures: the load that
is printed should be that of the server's two threads alone.

    python benchmarks/embedded_vs_loop.py [--questions 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from tunixhack._util.ids import sample_seed
from tunixhack._util.progress import Reporter
from tunixhack.recipes import creative
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.steps.request import Request
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.local.model_file import model_path
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.teachers.registry.resolve import LOCAL_CONTEXT, RequestOptions, resolve
from tunixhack.teachers.transport.endpoint import Endpoint

SAMPLES = 16
LOOP_SHARE = 4
"""The loop asks for one in so many of the answers."""
Shape = tuple[int, dict[str, int]]
"""Of raw requests: choices of one, and how many are in flight at each address."""
RINSE = [{"role": "user", "content": "zebra " * 40}]


@dataclass
class Bench:
    """The servers and how they are asked."""

    endpoint: Endpoint
    """Of the processes that the embedded teacher is."""
    single: str
    """Base address of one process with all cores."""
    teacher: Teacher

    def ours(self, requests: list[Request]) -> tuple[list[str], float]:
        """Ask through the engine; returns the contents and the seconds."""
        with tempfile.TemporaryDirectory() as folder:
            store = AnswerStore(Path(folder, "answers"), Path(folder, ".work"))
            engine = Engine(store, self.teacher, seed=0, trace="written", report=Reporter(quiet=True))
            engine.ask([Request(question_id="other", messages=RINSE, samples=(0,))], "preflight")
            start = time.perf_counter()
            answers = engine.ask(requests, "sample")
            took = time.perf_counter() - start
            engine.close()
        return answers["choice"].str.json_path_match("$.message.content").to_list(), took

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes that raw requests are tried in: three to the single process, one to each of ours."""
        copies = self.endpoint.addresses
        return {
            "n=16": (16, {self.single: 1}),
            "16 at a time": (1, {self.single: 16}),
            "2 at a time, n=8": (8, {self.single: 2}),
            "copies": (SAMPLES // len(copies), dict.fromkeys(copies, 1)),
        }

    def raw(self, requests: list[Request], shape: Shape, share: int = 1) -> tuple[list[str], float]:
        """Ask with bare requests; returns the contents and the seconds."""
        n, at_once = shape
        bodies = [
            dict(self.teacher.sampling)
            | {
                "model": self.teacher.model,
                "messages": list(request.messages),
                "grammar": self.teacher.grammar,
                "seed": sample_seed(0, request.question_id, first),
                "n": n,
            }
            for request in requests
            for first in range(0, SAMPLES, n)
        ]
        start = time.perf_counter()
        contents = asyncio.run(self._post_all(at_once, bodies[::share]))
        return contents, time.perf_counter() - start

    async def _post_all(self, at_once: dict[str, int], bodies: list[dict[str, Any]]) -> list[str]:
        """Post bodies with so many requests in flight at each address."""
        contents: list[str] = []
        todo = iter(bodies)

        async def work(session: aiohttp.ClientSession, url: str) -> None:
            for body in todo:
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    response.raise_for_status()
                    completion = await response.json()
                contents.extend(choice["message"]["content"] for choice in completion["choices"])

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            await asyncio.gather(*(work(session, url) for url, many in at_once.items() for _ in range(many)))
        return contents

    def tokens(self, contents: list[str]) -> int:
        """Count tokens with the server's tokenizer."""

        async def count() -> int:
            url, total = self.single.removesuffix("/v1") + "/tokenize", 0
            async with aiohttp.ClientSession() as session:
                for content in contents:
                    async with session.post(url, json={"content": content}) as response:
                        total += len((await response.json())["tokens"])
            return total

        return asyncio.run(count())

    def rinse(self) -> None:
        """Put another prompt into all slots."""
        slots = {self.single: SAMPLES} | dict.fromkeys(self.endpoint.addresses, self.teacher.most_choices)
        for url, most in slots.items():
            body = {"model": self.teacher.model, "messages": RINSE, "n": most, "max_tokens": 1}
            asyncio.run(self._post_all({url: 1}, [body]))


def questions() -> list[list[dict[str, str]]]:
    """Return the shipped questions as messages."""
    llm = creative.CreativeWriting("local", trace="written")
    rows = creative.recipe.replace(source="shipped").source.load("creative").rows
    return [llm.render(row) for row in rows.iter_rows(named=True)]


def main() -> None:
    """Time interleaved rounds."""
    options = argparse.ArgumentParser(description="Tokens a second of the embedded teacher over a loop of requests.")
    options.add_argument("--questions", type=int, default=2)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    messages = questions()
    teacher = resolve("local", RequestOptions(trace="written"))
    rounds = []
    alone = EmbeddedServer(model_path("local"), SAMPLES, LOCAL_CONTEXT, small_keys=True)
    with teacher.connect() as endpoint, alone:
        bench = Bench(endpoint, alone.url, replace(teacher, connect=lambda: nullcontext(endpoint)))
        shapes, loop = bench.shapes(), (1, {alone.url: 1})
        ways: list[tuple[str, Any]] = [("ours", bench.ours), ("loop", lambda all_: bench.raw(all_, loop, LOOP_SHARE))]
        ways += [(name, lambda all_, shape=shape: bench.raw(all_, shape)) for name, shape in shapes.items()]
        for number in range(asked.rounds):
            first = number * asked.questions
            requests = [
                Request(question_id=f"{at:016x}", messages=messages[at % len(messages)], samples=tuple(range(SAMPLES)))
                for at in range(first, first + asked.questions)
            ]
            rate = {}
            for name, way in ways if number % 2 else ways[::-1]:
                bench.rinse()
                contents, took = way(requests)
                rate[name] = bench.tokens(contents) / took
            rounds.append(rate)
            told = ", ".join(f"{name} {value:.0f}" for name, value in rate.items())
            print(f"  tokens/s: {told} (load {os.getloadavg()[0]:.1f})", flush=True)
    print(f"embedded_tokens_per_second: {statistics.median(rate['ours'] for rate in rounds):.0f}")
    print(f"embedded_vs_loop: {statistics.median(rate['ours'] / rate['loop'] for rate in rounds):.2f}")
    best = statistics.median(rate["ours"] / max(rate[name] for name in shapes) for rate in rounds)
    print(f"embedded_vs_best_raw: {best:.2f}")


if __name__ == "__main__":
    main()
