"""Claims: one process at a time on a folder of a store without locks, as far as that goes."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, replace

import pytest

from tests.waiting import wait_for
from tunixhack._util.process import Process
from tunixhack.errors import UserError
from tunixhack.storage import claims
from tunixhack.storage.claims import Claim, claimed
from tunixhack.storage.objects import Objects

SAID = r"memory://.*/shard-1-of-2 is in use by process \d+ on .*, last heard of at .* by its clock: wait for it, or"


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> Objects:
    return Objects(f"memory://{abs(hash(request.node.nodeid))}/runs/large")


def elsewhere(**changes: object) -> Claim:
    """The claim of a process that cannot be seen from here."""
    return Claim(token="f" * 32, host="gpu3", pid=7, start=1, system="another", enters=False, **changes)  # type: ignore[arg-type]


def write(objects: Objects, claim: Claim) -> None:
    objects.write(f".claims/shard-1-of-2/{claim.token}.json", json.dumps(asdict(claim)).encode())


def ignore(sentence: str) -> None:
    pass


def test_a_folder_that_is_held_is_refused_and_free_afterwards(objects: Objects):
    with claimed(objects, "shard-1-of-2", ignore):
        with pytest.raises(UserError, match=SAID), claimed(objects, "shard-1-of-2", ignore):
            raise AssertionError
        with claimed(objects, "shard-2-of-2", ignore):
            pass
    with claimed(objects, "shard-1-of-2", ignore):
        pass
    assert objects.sizes() == {}


def test_of_many_that_enter_at_once_one_holds_the_folder(objects: Objects, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claims, "LOOK", 0.005)
    monkeypatch.setattr(claims, "BEAT", 0.005)
    holding, most, entered, refused = [0], [0], [0], [0]
    lock, begin = threading.Lock(), threading.Barrier(6)

    def enter() -> None:
        begin.wait()
        for _ in range(5):
            try:
                with claimed(objects, "", ignore):
                    with lock:
                        holding[0] += 1
                        entered[0] += 1
                        most[0] = max(most[0], holding[0])
                    threading.Event().wait(0.01)
                    with lock:
                        holding[0] -= 1
            except UserError:
                refused[0] += 1

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert entered[0] + refused[0] == 30


def test_one_that_beats_is_alive_and_one_that_does_not_is_taken_over(objects: Objects, quick: None):
    said: list[str] = []
    write(objects, elsewhere())
    stop = threading.Event()

    def beat() -> None:
        number = 1
        while not stop.wait(0.05):
            number += 1
            write(objects, elsewhere(beat=number))

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(UserError, match=SAID), claimed(objects, "shard-1-of-2", said.append):
            raise AssertionError
    finally:
        stop.set()
        beating.join()
    assert "held by process 7 on gpu3, which cannot be seen from here: looking for a sign of life" in said[0]
    with claimed(objects, "shard-1-of-2", said.append):
        assert len(objects.sizes(".claims")) == 1, "the dead one's is gone"


def test_a_dead_process_of_this_machine_is_known_at_once(objects: Objects):
    here = Process.current()
    write(objects, replace(elsewhere(), system=here.system, pid=here.pid, start=here.start - 1))
    with claimed(objects, "shard-1-of-2", pytest.fail):
        pass


@pytest.mark.parametrize("how", ["taken over", "deleted"])
def test_who_was_taken_over_stops(objects: Objects, quick: None, how: str):
    stopped, said = threading.Event(), list[str]()
    with claimed(objects, "shard-1-of-2", said.append, stopped.set) as held:
        objects.remove(held.path(held.mine.token))
        if how == "taken over":
            write(objects, elsewhere())
        wait_for(stopped.is_set)
        assert held.lost
    by = "process 7 on gpu3" if how == "taken over" else "another process, or its claim was deleted"
    assert f"was taken over by {by}: this one stops" in said[0]


def test_what_is_no_claim_is_passed_over(objects: Objects):
    """Whoever can write the bucket can write anything there, and a token names an object that is removed."""
    named, counted = replace(elsewhere(), token="../../run"), elsewhere(beat="x")
    wrong: list[object] = [1, {}, {"token": 3}, asdict(named), asdict(counted)]
    for number, content in enumerate(wrong):
        objects.write(f".claims/shard-1-of-2/{number}.json", json.dumps(content).encode())
    objects.write(".claims/shard-1-of-2/torn.json", b'{"tok')
    with claimed(objects, "shard-1-of-2", pytest.fail):
        pass
