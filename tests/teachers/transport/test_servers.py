"""Several servers of one teacher: who gets a request, and what becomes of those of a server that goes away."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clock import Clock
from tests.holding import Gate
from tests.ports import reserved_port
from tests.teachers.transport.test_request_loop import message_rows, received
from tunixhack.teachers.transport import servers as module
from tunixhack.teachers.transport.call_state import CallState
from tunixhack.teachers.transport.concurrency import Concurrency
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.request_loop import send_requests
from tunixhack.teachers.transport.servers import FIRST_PAUSE, LONGEST_PAUSE, Server, Servers
from tunixhack.teachers.transport.threads import in_thread
from tunixhack.testing import Faults, ScriptedTeacher


def two(concurrency: int = 4) -> Servers:
    return Servers.of(["http://a/v1", "http://b/v1"], concurrency)


def test_a_request_goes_to_the_server_with_the_largest_free_share_and_of_equals_the_fewest_choices():
    async def take() -> list[str]:
        servers, chosen = two(6), []
        for choices in (3, 1, 1, 4, 1):
            taken = servers.taken(choices)
            chosen.append((await taken.__aenter__()).address[7])
        return chosen

    assert asyncio.run(take()) == ["a", "b", "b", "a", "b"]


@given(st.integers(1, 40), st.integers(1, 5))
def test_what_is_shared_out_is_all_of_it_and_at_least_one_each(concurrency: int, count: int):
    shares = [one.concurrency.maximum for one in Servers.of([str(place) for place in range(count)], concurrency).listed]
    assert sum(shares) == max(concurrency, count)
    assert max(shares) - min(shares) <= 1


def test_as_many_are_in_flight_as_are_allowed_and_none_waits_for_ever():
    concurrency, inside, most_inside = Concurrency(8), 0, []
    servers = Servers([Server("http://a/v1", concurrency)])

    async def one(number: int) -> None:
        nonlocal inside
        async with servers.taken(1) as server:
            inside += 1
            most_inside.append((inside, concurrency.current))
            await asyncio.sleep(0.001)
            if number == 10:
                concurrency.refused()
            else:
                server.succeeded(1)
            inside -= 1

    async def all_of_them() -> None:
        await asyncio.wait_for(asyncio.gather(*(one(number) for number in range(200))), 240)

    asyncio.run(all_of_them())
    assert len(most_inside) == 200
    assert max(count for count, _ in most_inside) == 8
    assert min(allowed for _, allowed in most_inside) < 8
    # those that were inside already when the concurrency fell stay until they are done
    assert all(count <= allowed for count, allowed in most_inside[30:])


@given(st.lists(st.sampled_from(["fails", "answers", "leaves"]), max_size=60), st.integers(1, 3))
def test_whatever_fails_and_leaves_each_request_is_taken_in_turn(events: list[str], count: int):
    """No request waits for ever while a server stays, and none is counted on one after it has ended."""

    async def play() -> None:
        servers = Servers.of([str(place) for place in range(count)], 2 * count)

        async def one(event: str) -> None:
            async with servers.taken(1) as server:
                await asyncio.sleep(0)
                if event == "fails":
                    servers.could_not_reach(server)
                elif event == "answers":
                    server.succeeded(1)
                elif sum(not other.leaving for other in servers.listed) > 1:
                    server.leaving = True

        await asyncio.wait_for(asyncio.gather(*map(one, events)), 240)
        assert [(server.requests, server.choices) for server in servers.listed] == [(0, 0)] * count

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FIRST_PAUSE", 0.001)
        patch.setattr(module, "LONGEST_PAUSE", 0.002)
        asyncio.run(play())


def test_a_server_that_is_away_is_left_alone_for_longer_each_time(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    servers = two()
    gone, other = servers.listed
    pauses = []
    for _ in range(8):
        assert servers.could_not_reach(gone)
        assert servers.could_not_reach(gone), "requests sent at the same time fail at the same time"
        pauses.append(gone.away_until - clock.now)
        assert gone.room == 0 < other.room
        clock.now = gone.away_until
        assert gone.room == 1
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    gone.succeeded(1)
    servers.could_not_reach(gone)
    assert gone.away_until - clock.now == FIRST_PAUSE


def test_the_only_server_is_never_set_aside():
    servers = Servers.of(["http://a/v1"], 1)
    assert not servers.could_not_reach(servers.listed[0])
    assert servers.listed[0].room == 1


def call(urls: list[str], count: int, folder: Path, tick: Any = None, **endpoint: Any) -> CallState:
    first, *others = urls
    state = CallState(Endpoint(url=first, copies=tuple(others), model="odd", **({"timeout": 60.0} | endpoint)))
    rows = message_rows(*map(str, range(count)))
    in_thread(lambda: send_requests(rows, {}, folder, state), state, (lambda: tick(state)) if tick else lambda: None)
    return state


def test_a_slow_server_gets_fewer_requests(tmp_path: Path):
    """It holds its first answers until the other has given eighty of 120."""
    slow, fast = Gate(seeds_from=0), Gate(free=80, seeds_from=0)
    with ScriptedTeacher(answer=slow) as slow_one, ScriptedTeacher(answer=fast) as fast_one:

        def look(state: CallState) -> None:
            if fast.reached.is_set():
                slow.open()
                fast.open()

        try:
            state = call([slow_one.url, fast_one.url], 120, tmp_path, look, concurrency=8)
        finally:
            slow.open()
            fast.open()
    assert slow.given + fast.given == 120
    assert slow.given < fast.given
    assert state.successes == len(received(tmp_path)) == 120


def test_what_a_killed_server_had_in_flight_is_asked_of_the_others_and_nothing_is_lost(tmp_path: Path):
    with ScriptedTeacher(process=True, faults=Faults(latency=0.05)) as dying, ScriptedTeacher() as other:

        def kill(state: CallState) -> None:
            if state.successes > 10 and dying.url:
                dying.stop()

        state = call([dying.url, other.url], 100, tmp_path, kill, concurrency=8)
    assert not state.failures
    assert state.gave_up is None
    assert Counter(received(tmp_path)) == Counter(f"question {number}" for number in range(100))


def test_when_all_are_away_for_longer_than_the_patience_the_call_is_given_up(tmp_path: Path):
    with reserved_port() as one, reserved_port() as two:
        state = call([f"http://127.0.0.1:{port}/v1" for port in (one, two)], 4, tmp_path, patience=1.5)
    assert "has not answered for" in (state.gave_up or "")
    assert received(tmp_path) == []
