"""The owner of what one process at a time may have, as the file or object that says so tells of it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from tunixhack._util.process import Process

_TOKENS: set[str] = set()
"""Of the owners that this process is."""


@dataclass(frozen=True)
class Owner:
    """A process that has something, or is about to take it."""

    token: str
    """One of all owners that there ever were: a process that lets go and takes anew is another owner."""
    host: str
    pid: int
    start: int
    """When the process started; see `Process`."""
    system: str
    """Where these two numbers mean something; see `Process`."""

    @classmethod
    @contextmanager
    def this_process(cls) -> Iterator[Self]:
        """Give an owner that is this process, and runs for as long as the body does."""
        process = Process.current()
        mine = cls(uuid.uuid4().hex, socket.gethostname(), process.pid, process.start, process.system)
        _TOKENS.add(mine.token)
        try:
            yield mine
        finally:
            _TOKENS.discard(mine.token)

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"process {self.pid} on {self.host}"

    @property
    def plausible(self) -> bool:
        """False if a damaged file, or somebody else's, has values that no owner has, or that no terminal may show."""
        texts, numbers = (self.token, self.host, self.system), (self.pid, self.start)
        return (
            all(type(text) is str and text.isprintable() for text in texts)
            and all(type(number) is int for number in numbers)
            and 0 < self.pid < 2**31
        )

    @property
    def process(self) -> Process:
        """The process, whether or not it runs."""
        return Process(self.pid, self.start, self.system)

    def running(self) -> bool | None:
        """Tell whether it is alive; None where that cannot be seen from here."""
        if self.process == Process.current():
            return self.token in _TOKENS  # one that was interrupted while it took hold has nothing
        return self.process.running()
