"""The processes of one training on several hosts: what one of them decides for all, and what they tell one another.

Every process runs the same training, and all must take part in each computation: one that takes another step, saves, or
stops alone leaves the others waiting for ever. So whatever depends on a clock, a signal or a file is decided by process
0 and told to the others, by the key-value store of jax's coordination service: a call over the network, of a
millisecond or two, that neither uses the accelerators nor waits for a step that they work at.

jax has no public name for that store; Orbax and MaxText use it under the same private one.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import jax

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds of one wait for another process, between which signals are heard. The waiting itself has no end of its own:
process 0 may compile or ask questions for an hour. Where it dies, jax ends the others."""
KEPT = 1000
"""Decisions that the store keeps; no process is so many behind another."""


class ProcessGroup:
    """The processes of one training, which all call the same methods in the same order.

    Args:
        run: one text of this training alone, the same in all processes.

    >>> group = ProcessGroup("doctest")  # one process, which decides for itself
    >>> group.index, group.count, group.writes
    (0, 1, True)
    >>> group.decide("step/3", lambda: "go on")
    'go on'
    """

    def __init__(self, run: str) -> None:
        # jax.process_index() would start the devices first, and one whose devices do not start could tell nobody
        self.index: int = _state().process_id
        """Of this process, from 0."""
        self.count: int = _state().num_processes
        """How many there are."""
        self._prefix = f"tunixhack/{run}"
        self.parted = False
        """Whether all have agreed to end; see `part`."""
        self.failure: Exception | None = None
        """Raised where this process waits for another: one of them has failed, as another thread was told."""
        self.left = False
        """Whether another thread has left jax's service to end this process; nothing more is asked of it then."""
        self._told: deque[str] = deque()
        self._calls: Counter[str] = Counter()

    @property
    def writes(self) -> bool:
        """True in the one process that writes all files but checkpoints, which all write."""
        return self.index == 0

    def described(self) -> str:
        """Say in words which of how many processes this is, to end a sentence with; nothing for one alone."""
        return f", of {self.count} processes; this is process {self.index}" if self.count > 1 else ""

    def decide(self, name: str, make: Callable[[], T]) -> T:
        """Return what process 0 finds, in every process.

        Args:
            name: of this decision alone: another process may not have read the one before it under the same name.
            make: called by process 0 only; what it returns must survive JSON.
        """
        if self.count == 1:
            return make()
        key = f"{self._prefix}/decided/{name}"
        if not self.writes:
            found: T = json.loads(self._wait_for(key))
            return found
        value = make()
        self._set(key, json.dumps(value))
        self._told.append(key)
        if len(self._told) > KEPT:
            self._client.key_value_delete(self._told.popleft())
        return value

    def numbered(self, name: str) -> str:
        """Return a name with its number among those of this method's calls with it: the same in all processes."""
        self._calls[name] += 1
        return f"{name}/{self._calls[name]}"

    def gather(self, name: str, value: T, within: float = math.inf, look: Callable[[], None] = lambda: None) -> list[T]:
        """Return every process's value, in the order of the processes.

        Args:
            name: of this exchange alone.
            value: this process's; it must survive JSON.
            within: seconds to wait for the others.
            look: called about once a second while this process waits; an error that it raises ends the waiting.

        Raises:
            TimeoutError: one of them did not give its value in that time.
        """
        if self.count == 1:
            return [value]
        self._set(f"{self._prefix}/gathered/{name}/{self.index}", json.dumps(value))
        end, told = time.monotonic() + within, []
        for one in range(self.count):
            try:
                told.append(json.loads(self._wait_for(f"{self._prefix}/gathered/{name}/{one}", end, look)))
            except TimeoutError:
                raise TimeoutError(f"process {one} of {self.count} did not come within {within:.0f} seconds") from None
        return told

    def barrier(self, name: str, within: float = math.inf, look: Callable[[], None] = lambda: None) -> None:
        """Wait until all processes have come here; see `gather`."""
        self.gather(f"barrier/{name}", None, within, look)

    def part(self, name: str) -> None:
        """Wait for all processes, which end by themselves from here on, and need not tell one another that they do."""
        self.barrier(name)
        self.parted = True

    def fail_together(self, name: str, error: Exception) -> NoReturn:
        """Raise an error that all processes have found; each ends in its own order, and none by another's word."""
        self.part(name)
        raise error

    def first_alone(self, name: str, make: Callable[[], T]) -> T:
        """Call a function in process 0, and then in the others: what it downloads or makes is there for them."""
        if not self.writes:
            self.decide(name, lambda: None)
            return make()
        found = make()
        self.decide(name, lambda: None)
        return found

    def tell(self, name: str, notice: Any) -> None:
        """Leave a notice of this process, which `notices` finds."""
        self._set(f"{self._prefix}/{name}/{self.index}", json.dumps(notice))

    def notices(self, name: str) -> dict[int, Any]:
        """Return the notices of this name by the processes that left them."""
        found = self._client.key_value_dir_get(f"{self._prefix}/{name}/")
        return {int(key.rpartition("/")[2]): json.loads(value) for key, value in found}

    def _wait_for(self, key: str, end: float = math.inf, look: Callable[[], None] = lambda: None) -> str:
        """Wait for a value, until a time of the clock `time.monotonic` at most, which is a TimeoutError."""
        while True:
            try:
                return str(self._client.blocking_key_value_get(key, round(PATIENCE * 1000)))
            except jax.errors.JaxRuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error) and not self.left:
                    raise
            if self.failure is not None:
                raise self.failure
            look()
            if time.monotonic() > end:
                raise TimeoutError(key)

    def _set(self, key: str, value: str) -> None:
        self._client.key_value_set(key, value, allow_overwrite=True)

    @property
    def _client(self) -> Any:
        while self.left:
            time.sleep(PATIENCE)
        return _state().client


def _state() -> Any:
    """Return what jax knows of the processes that have met."""
    from jax._src import distributed

    return distributed.global_state
