"""A question's samples go to one server while it lives, and no server is idle while there are other questions."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, given_by_seed
from tests.waiting import wait_for
from tunixhack import LengthFilter
from tunixhack.recipe import Recipe
from tunixhack.teachers.transport.concurrency import Concurrency
from tunixhack.teachers.transport.dispatch import Dispatch
from tunixhack.teachers.transport.servers import Server, Servers
from tunixhack.testing import Faults, ScriptedTeacher

ONE_BY_ONE: dict[str, Any] = {"dialect": "vllm", "context": 8192, "n_supported": False}
"""Servers that take one choice a request, so that a question's samples are several."""

PREFLIGHT = 4
"""Requests by which a build learns of such a server what it can do."""


def rows(questions: int, samples: int) -> list[dict[str, Any]]:
    return [
        {"request_key": f"prompt {question}", "sample": sample}
        for question in range(questions)
        for sample in range(samples)
    ]


def carry_out(servers: Servers, requests: list[dict[str, Any]], workers: int) -> list[tuple[str, str]]:
    """Answer requests as the loop does; returns (prompt, address) as they were sent."""
    dispatch, sent = Dispatch(requests, servers), []

    async def work() -> None:
        while (following := await dispatch.following()) is not None:
            row, first = following
            async with servers.taken(1, first) as server:
                sent.append((row["request_key"], server.address))
                await asyncio.sleep(0)
                server.succeeded(1)

    async def all_of_them() -> None:
        await asyncio.wait_for(asyncio.gather(*(work() for _ in range(workers))), 240)

    asyncio.run(all_of_them())
    return sent


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 12), st.integers(1, 9))
def test_all_requests_are_sent_once_and_those_of_a_prompt_to_one_server(slots: list[int], questions: int, samples: int):
    servers = Servers([Server(f"http://{place}/v1", Concurrency(count)) for place, count in enumerate(slots)])
    sent = carry_out(servers, rows(questions, samples), sum(slots))
    assert sorted(prompt for prompt, _ in sent) == sorted(row["request_key"] for row in rows(questions, samples))
    assert len(set(sent)) == questions


def test_a_server_goes_on_with_other_questions_while_the_first_ones_wait_for_theirs():
    small, large = Server("http://small/v1", Concurrency(1)), Server("http://large/v1", Concurrency(4))
    servers = Servers([small, large])

    async def take() -> list[tuple[str, str]]:
        dispatch, taken = Dispatch(rows(3, 2), servers), []
        for _ in range(5):
            following = await dispatch.following()
            assert following is not None
            row, first = following
            await servers.taken(1, first).__aenter__()
            taken.append((row["request_key"], first.address))
        return taken

    assert asyncio.run(take()) == [
        ("prompt 0", "http://small/v1"),
        *[(f"prompt {number}", "http://large/v1") for number in (1, 1, 2, 2)],
    ]


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """A recipe that asks for samples and nothing else."""
    return recipe.without(LengthFilter)


def servers_of_each(*servers: ScriptedTeacher) -> dict[str, set[int]]:
    """Return which servers answered each question's messages."""
    found: dict[str, set[int]] = defaultdict(set)
    for number, server in enumerate(servers):
        for key in given_by_seed(server):
            found[key.rpartition(":")[0]].add(number)
    return found


def test_the_samples_of_a_question_are_asked_of_one_server_where_they_are_single_requests(
    recipe: Recipe, tmp_path: Path
):
    with ScriptedTeacher(**ONE_BY_ONE) as one, ScriptedTeacher(**ONE_BY_ONE) as two:
        run = build(recipe, f"{one.url},{two.url}#scripted", tmp_path / "run", questions=10)
        assert asked(one) > 0
        assert asked(two) > 0
        assert asked(one) + asked(two) == 40 == run.train.height
        each = servers_of_each(one, two)
        assert len(each) == 10
        assert all(len(servers) == 1 for servers in each.values())


def test_what_waits_for_a_server_that_dies_goes_to_another(recipe: Recipe, tmp_path: Path):
    answered = ("ok",) * (PREFLIGHT + 3)
    with ScriptedTeacher(**ONE_BY_ONE) as one, ScriptedTeacher(**ONE_BY_ONE, process=True) as two:
        two.change(faults=Faults(script=answered + ("hang",) * 99))

        def kill() -> None:
            wait_for(lambda: two.stats["requests"] > len(answered))
            two.stop()

        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(kill)
            run = build(recipe, f"{one.url},{two.url}#scripted", tmp_path / "run", questions=6, concurrency=4)
            killing.result()
    assert run.train.height == 24
