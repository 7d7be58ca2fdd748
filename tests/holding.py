"""A scripted teacher that keeps its clients waiting until a test lets it go on, however fast the machine is."""

from __future__ import annotations

import threading
from typing import Any

from tests.waiting import PATIENCE

QUESTIONS = 10**6
"""The smallest seed of a build's own: smaller ones are a preflight's."""


class Gate:
    """What a scripted teacher in a thread says: ``ScriptedTeacher(answer=gate)``. It holds what comes behind the first.

    A teacher that holds an answer does nothing else meanwhile, and tells no statistics either: see `given`.

    Args:
        free: choices that are given at once.
        seeds_from: smaller seeds are those of a preflight, which is neither held nor counted.
    """

    def __init__(self, free: int = 0, seeds_from: int = QUESTIONS) -> None:
        self.given = 0
        """Choices so far, with one that is held."""
        self.reached = threading.Event()
        """Set as soon as a choice is held."""
        self._free, self._seeds_from, self._open = free, seeds_from, threading.Event()

    def __call__(self, messages: list[dict[str, Any]], seed: int) -> str:
        """Say something, which is another text for each seed."""
        if seed >= self._seeds_from:
            self.given += 1
            if self.given > self._free:
                self.reached.set()
                assert self._open.wait(PATIENCE), "nobody opened it"
        return f"<reasoning>I draw {seed}.</reasoning>\n<answer>It is {seed}.</answer>"

    def open(self) -> None:
        """Give what is held, and from now on everything at once."""
        self._open.set()
