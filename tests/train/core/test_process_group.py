"""What several processes decide together, over a store that stands for that of jax's coordination service."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("jax", reason="needs tunixhack[train]")

import jax

from tunixhack.errors import UserError
from tunixhack.train.core import peers, process_group
from tunixhack.train.core.process_group import ProcessGroup
from tunixhack.train.core.saving import CannotSave, SaveBarrier


class Store:
    """The methods of jax's client that are used."""

    def __init__(self):
        self._kept, self._changed = {}, threading.Condition()

    def key_value_set(self, key, value, allow_overwrite=False):
        with self._changed:
            assert allow_overwrite or key not in self._kept
            self._kept[key] = value
            self._changed.notify_all()

    def blocking_key_value_get(self, key, timeout_in_ms):
        with self._changed:
            if not self._changed.wait_for(lambda: key in self._kept, timeout_in_ms / 1000):
                raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: GetKeyValue() timed out")
            return self._kept[key]

    def key_value_dir_get(self, key):
        with self._changed:
            return [(name, value) for name, value in self._kept.items() if name.startswith(key)]

    def key_value_delete(self, key):
        with self._changed:
            del self._kept[key]

    def __iter__(self):
        return iter(self._kept)


@pytest.fixture
def together(monkeypatch):
    """Call a function in threads that stand for so many processes; returns what each returned."""
    store = Store()
    monkeypatch.setattr(ProcessGroup, "_client", store)

    def call(function, count=3, run="test"):
        groups = [ProcessGroup(run) for _ in range(count)]
        for index, group in enumerate(groups):
            group.index, group.count = index, count
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(function, groups))

    call.store = store
    return call


def test_what_the_first_process_finds_is_what_all_do(together, monkeypatch):
    monkeypatch.setattr(process_group, "PATIENCE", 0.01)  # the others look again and again
    asked = []

    def decide(group):
        if group.writes:
            threading.Event().wait(0.1)
        return group.decide("step/1", lambda: asked.append(group.index) or [True, group.index, None])

    assert together(decide) == [[True, 0, None]] * 3
    assert asked == [0]


def test_each_learns_what_every_other_has(together):
    assert together(lambda group: group.gather("memory", group.index * 2)) == [[0, 2, 4]] * 3


def test_the_others_begin_when_the_first_has_done(together):
    order = []
    together(lambda group: group.first_alone("model", lambda: order.append(group.index)))
    assert order[0] == 0
    assert sorted(order) == [0, 1, 2]


def test_a_question_that_comes_again_has_a_name_of_its_own(together):
    def twice(group):
        return [group.decide(group.numbered("validated"), lambda answer=answer: answer) for answer in (None, 0.5)]

    assert together(twice) == [[None, 0.5]] * 3


def test_old_decisions_are_forgotten(together, monkeypatch):
    monkeypatch.setattr(process_group, "KEPT", 5)

    def many(group):
        for step in range(20):
            group.decide(f"step/{step}", lambda: None)
            group.barrier(f"all/{step}")

    together(many)
    assert len([key for key in together.store if "/decided/" in key]) == 5


def test_an_error_of_one_process_is_told_to_the_others_with_its_code(together):
    def fail(group):
        stop = type("Stop", (), {"received": False})()
        if group.index != 1:
            return None
        with pytest.raises(UserError), peers.watched(group, stop, lambda sentence: None):
            raise UserError("there is no file x")
        return None

    together(fail)
    told = together(lambda group: group.notices(peers.FAILED))
    assert told == [{1: {"sentence": "there is no file x", "code": 2}}] * 3


def test_one_that_waits_for_a_failed_one_ends_with_its_sentence_and_code_and_tells_no_other(together):
    def train(group):
        stop = type("Stop", (), {"received": False})()
        try:
            with peers.watched(group, stop, lambda sentence: None):
                if group.index == 1:
                    raise KeyboardInterrupt
                group.gather("what process 1 never tells", None)
        except UserError as error:
            return str(error).partition(": ")[0], error.exit_code
        except KeyboardInterrupt:
            return None

    told = together(train)
    assert told[0] == told[2] == ("process 1 of 3 ended, and all with it", 130)
    assert together(lambda group: list(group.notices(peers.FAILED))) == [[1]] * 3


def test_processes_that_agreed_to_end_tell_nobody_that_they_do(together):
    def end(group):
        stop = type("Stop", (), {"received": False})()
        group.part("stopped")
        with pytest.raises(KeyboardInterrupt), peers.watched(group, stop, lambda sentence: None):
            raise KeyboardInterrupt

    together(end)
    assert together(lambda group: group.notices(peers.FAILED)) == [{}] * 3


def test_an_error_that_all_have_found_is_raised_in_each_and_told_to_none(together):
    def fail(group):
        stop = type("Stop", (), {"received": False})()
        with pytest.raises(UserError, match="no number"), peers.watched(group, stop, lambda sentence: None):
            group.fail_together("not finite", UserError("the loss is no number"))

    together(fail)
    assert together(lambda group: group.notices(peers.FAILED)) == [{}] * 3


def test_a_save_that_fails_in_one_process_ends_that_of_the_others_wherever_they_are_in_it(together):
    def save(group):
        barrier = SaveBarrier(group)
        barrier(key="begun", timeout_ms=600_000)
        if group.index != 1:
            with pytest.raises(CannotSave, match=r"^No space left on device \(in process 1\)$"):
                barrier(key="written", timeout_ms=600_000)
            return "ended"
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            barrier(key="over", timeout_ms=600_000)  # as Orbax does whatever happened
        return "over"

    assert together(save) == ["ended", "over", "ended"]


def test_one_that_is_asked_to_stop_has_the_first_process_stop(together):
    said = []

    def train(group):
        stop = type("Stop", (), {"received": group.index == 2})()
        with peers.watched(group, stop, said.append):
            for step in range(100_000):
                if group.decide(f"step/{step}", lambda: stop.received):
                    return step
                threading.Event().wait(0.01)
        return None

    steps = together(train)
    assert steps[0] is not None
    assert set(steps) == {steps[0]}
    assert said == ["process 2 of 3 was asked to stop: stopping behind this step"]
