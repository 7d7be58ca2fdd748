"""How answers are written down the moment they arrive, and kept by the disk soon after.

Every answer is appended to a journal at once, which a kill of the process does not harm. What a machine loses that
loses its power is what its disk had not been told to keep: it is told here, in a thread, so that nobody waits for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tunixhack.files import sync

PAUSE = 0.5
"""Seconds from an answer to the moment when the disk is told to keep it; with the time that the disk takes for it and
for the answers before, a power cut loses those of about the last second."""


class JournalWriter:
    """Appends lines to journals, and sees to it that the disk keeps them.

    Args:
        lose: called with the error where a line could not be written or kept, in any thread.
    """

    def __init__(self, lose: Callable[[OSError], None]) -> None:
        """Open nothing yet."""
        self._lose = lose
        self._lock = threading.Lock()
        self._waiting: set[Path] = set()
        self._grown, self._ending = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def append(self, path: Path, line: bytes) -> None:
        """Write a line in one call: a kill leaves it whole, or torn at the end of the file where it is recognised.

        A full disk takes a part of it; that part goes again, or the next answer would be written behind it and lost
        too.

        Args:
            path: the journal; made if it is not there.
            line: with its newline.
        """
        try:
            with path.open("ab", buffering=0) as journal:
                whole = journal.tell()
                try:
                    written = journal.write(line)
                    while written < len(line):
                        written += journal.write(line[written:])
                except OSError:
                    journal.truncate(whole)
                    raise
        except OSError as error:
            self._lose(error)
            return
        with self._lock:
            self._waiting.add(path)
            if not self._grown.is_set():  # else the thread knows, and is not to be woken for each line
                self._grown.set()
            if self._thread is None:
                self._ending.clear()
                self._thread = threading.Thread(target=self._keep, name="journal", daemon=True)
                self._thread.start()

    def close(self, *, keep: bool) -> None:
        """Let go of the journals; more can be appended afterwards.

        Args:
            keep: whether to wait until the disk keeps all lines. That is for nothing where they go into the answer
                store now, which waits for the disk itself.
        """
        with self._lock:
            if not keep:
                self._waiting.clear()
            self._ending.set()
            self._grown.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _keep(self) -> None:
        """Tell the disk to keep the journals that have grown, until told to end and none has."""
        journals: dict[Path, int] = {}
        try:
            while waiting := self._next():
                for path in waiting:
                    if path not in journals:
                        # held open from here on, or the system could forget that a write failed
                        journals[path] = os.open(path, os.O_RDONLY)
                        for folder in path.parents[:2]:  # both may be as new as the file
                            sync(folder)
                    os.fsync(journals[path])
        except FileNotFoundError:
            pass  # it was taken over into the store meanwhile, which is on the disk
        except OSError as error:
            self._lose(error)
        finally:
            for descriptor in journals.values():
                with suppress(OSError):
                    os.close(descriptor)

    def _next(self) -> set[Path]:
        """Wait for journals that have grown; empty at the end."""
        self._grown.wait()
        self._ending.wait(PAUSE)  # what comes meanwhile goes along
        with self._lock:
            waiting, self._waiting = self._waiting, set()
            self._grown.clear()
            if self._ending.is_set():
                self._grown.set()
            return waiting
