"""A build against a server that sends odd replies, and what has to hold of it whatever was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from tests.builds import QUIET, small_recipe, write_questions
from tests.odd_replies import damaging
from tunixhack.errors import TunixHackError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.registry import resolve
from tunixhack.teachers.transport import concurrency, http, retries
from tunixhack.teachers.transport.endpoint import Endpoint

STARTS = 2
"""Of each build: the second reads what the first has stored."""


@dataclass(frozen=True)
class Fuzzed:
    """What became of a build."""

    odd: int
    """Requests that got an odd reply, each counted once."""
    codes: tuple[int, ...]
    """The exit code of each start."""


@contextmanager
def hurried() -> Iterator[None]:
    """Wait for nothing longer than a second, and try nothing oftener than three times."""
    with ExitStack() as stack:
        for module, name, value in (
            (retries, "LONGEST_PAUSE", 0.01),
            (retries, "MOST_TRIES", 3),
            (http, "PAUSES", (0.0,)),
            (concurrency, "AT_MOST_EVERY", 0.01),
            (resolve, "Endpoint", partial(Endpoint, timeout=2.0, attempts=2)),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


def fuzz(seed: int, folder: Path, *, questions: int, samples: int, **shares: float) -> Fuzzed:
    """Build twice from one server, and see that each start ends as it should.

    Args:
        seed: decides what is sent.
        folder: an empty one.
        questions: how many are asked.
        samples: of each.
        **shares: see `damaging`.

    Raises:
        AssertionError: an answer is neither kept nor rejected nor missing.
        Exception: what was raised that is no sentence for the user.
    """
    recipe = small_recipe(
        write_questions(folder / "questions.jsonl", questions), steps=(Sample(), Parse()), samples=samples
    )
    with hurried(), damaging(seed, **shares) as server:
        codes = tuple(_start(recipe, server.url, folder / "run", questions) for _ in range(STARTS))
        return Fuzzed(len(server.odd), codes)


def _start(recipe: Recipe, url: str, out: Path, questions: int) -> int:
    try:
        recipe.build(url, out=out, questions=questions, yes=True, report=QUIET)
        code = 0
    except TunixHackError as error:
        code = error.exit_code
    assert code in (0, 2, 3, 4)
    if (out / "train.parquet").exists():
        _see_that_nothing_is_lost(Run.load(out), questions * recipe.samples)
    elif (out / STATE).exists():
        assert Run.load(out).status
    return code


def _see_that_nothing_is_lost(run: Run, asked: int) -> None:
    sample, parse = run.funnel.filter(step="sample").row(0, named=True), run.funnel.filter(step="parse")
    assert sample["made"] + sample["missing"] == asked
    assert run.train.height == parse["kept"].item()
    assert run.rejected.filter(step="parse").height == parse["rejected"].item()
    assert run.train.height + run.rejected.filter(step="parse").height == sample["made"]
    assert run.store.answers().height == sample["made"]
