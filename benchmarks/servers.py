"""Several servers as one teacher: their speed together, and what the loss and the arrival of one costs.

The servers are scripted, each in a process of its own, and of unequal speed: they work on so many requests at once,
each of which takes so long. What they could do together is added up from what each does alone in the same run.

* ``servers_together``: answers a second of all, over the sum of what each gives alone (goal: ≥ 0.9).
* ``servers_killed_wall``: the time with one killed in the middle, over that without (goal: ≤ 1.45).
* ``servers_killed_lost`` and ``servers_killed_asked_again``: answers lost (goal: 0), and answers that were asked for
  again, over those in flight on the server when it was killed (goal: ≤ 1).
* ``servers_late_seconds``: seconds from the start of a server that comes later to its first request (goal: ≤ 10).

    python benchmarks/servers.py [--questions 120]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tunixhack._util.progress import Reporter
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.steps.request import Request
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.registry.resolve import RequestOptions, resolve
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

SAMPLES = 16
SPEEDS = ((4, 0.10), (8, 0.10), (16, 0.10), (16, 0.20))
"""Requests at once and seconds of each, of the four servers: 40, 80, 160 and 80 answers a second."""


@contextmanager
def servers(count: int = len(SPEEDS)) -> Iterator[list[ScriptedTeacher]]:
    """Start servers that report what they serve, and take one choice a request."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                ScriptedTeacher(
                    process=True, dialect="vllm", n_supported=False, slots=slots, faults=Faults(latency=seconds)
                )
            )
            for slots, seconds in SPEEDS[:count]
        ]


def requests(questions: int) -> list[Request]:
    """Return sixteen samples each of so many questions."""
    return [
        Request(
            question_id=f"{number:016x}",
            messages=[{"role": "user", "content": row["question"]}],
            samples=tuple(range(SAMPLES)),
        )
        for number, row in enumerate(toy_questions(questions))
    ]


def ask(spec: str, questions: int, watch: Callable[[int], None] = lambda received: None) -> tuple[float, int]:
    """Ask into an empty store; returns the seconds, without the preflight's, and how many answers came."""
    with tempfile.TemporaryDirectory() as folder:
        store = AnswerStore(Path(folder) / "answers", Path(folder) / ".work")
        teacher = resolve(spec, RequestOptions(max_tokens=256))
        engine = Engine(store, teacher, seed=0, trace="written", report=Reporter(quiet=True))
        asked, received = requests(questions), 0
        engine.ask(asked[:1], "sample")  # reaches the servers

        def count(new: Sequence[Any]) -> None:
            nonlocal received
            received += len(new)
            watch(received)

        start = time.perf_counter()
        answers = engine.ask(asked, "sample", count).height
        took = time.perf_counter() - start
        engine.close()
        return took, answers


def choices(server: ScriptedTeacher) -> int:
    """Return how many answers a server has given."""
    return int(server.stats["choices"])


def main() -> None:
    """Measure, and print a figure a line."""
    options = argparse.ArgumentParser(description="Several servers as one teacher.")
    options.add_argument("--questions", type=int, default=120)
    questions = options.parse_args().questions
    wanted = questions * SAMPLES
    with servers() as four:
        alone = []
        for server in four:
            took, _ = ask(f"{server.url}#scripted", questions // 4)
            alone.append((questions // 4 - 1) * SAMPLES / took)
        together, answers = ask(",".join(server.url for server in four) + "#scripted", questions)
        rate = (wanted - SAMPLES) / together
        rates = " + ".join(f"{one:,.0f}" for one in alone)
        print(f"  answers/s: {rates} alone, {rate:,.0f} together (load {os.getloadavg()[0]:.1f})")
        print(f"servers_together: {rate / sum(alone):.3f}")
    with servers() as four:
        dying, given = four[1], 0

        def kill(received: int) -> None:
            nonlocal given
            if received > wanted // 2 and not given:
                given = choices(dying)
                dying.stop()

        took, answers = ask(",".join(server.url for server in four) + "#scripted", questions, kill)
        print(f"servers_killed_wall: {took / together:.2f}")
        print(f"servers_killed_lost: {wanted - answers}")
        again = given + sum(choices(server) for server in four if server is not dying) - wanted - preflight(four)
        print(f"servers_killed_asked_again: {max(0, again) / SPEEDS[1][0]:.2f}")
    with servers(2) as (first, second), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "servers.txt"
        file.write_text(f"{first.url}\n", encoding="utf-8")
        came: list[float] = []

        def add() -> None:
            time.sleep(2)
            file.write_text(f"{first.url}\n{second.url}\n", encoding="utf-8")
            start = time.monotonic()
            while not choices(second):
                time.sleep(0.05)
            came.append(time.monotonic() - start)

        adding = threading.Thread(target=add, daemon=True)
        adding.start()
        ask(f"@{file}#scripted", max(40, questions // 3))
        adding.join(1)
        print(f"servers_late_seconds: {came[0]:.1f}" if came else "servers_late_seconds: never")


def preflight(asked: Sequence[ScriptedTeacher]) -> int:
    """Return how many answers the preflights of servers like these ask for in all."""
    with servers(1) as (lone,):
        ask(f"{lone.url}#scripted", 1)
        return (choices(lone) - SAMPLES) * len(asked)


if __name__ == "__main__":
    main()
