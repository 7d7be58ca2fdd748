"""The writer of the journal: appends each answer the moment it arrives, and has the disk keep it soon after.

A kill of the process loses nothing that was appended. A power cut loses what was not synced to the disk. The sync runs
in a thread, so that no answer waits for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from tunixhack._util.files import sync

PAUSE = 0.5
"""Seconds from an answer to its sync; with the time that a sync takes, a power cut loses about the last second."""


class JournalWriter:
    """Appends lines to journals and syncs them to the disk.

    Args:
        on_error: called with the error where a line could not be written or kept, in any thread.
    """

    def __init__(self, on_error: Callable[[OSError], None]) -> None:
        """Prepare the writer; no file is opened yet."""
        self._on_error = on_error
        self._lock = threading.Lock()
        self._waiting: set[Path] = set()
        self._journals: dict[Path, FileIO] = {}  # held open: opening one takes longer than writing a line
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
            journal = self._journals.get(path) or self._journals.setdefault(path, path.open("ab", buffering=0))
            size = journal.tell()
            try:
                written = journal.write(line)
                while written < len(line):
                    written += journal.write(line[written:])
            except OSError:
                journal.truncate(size)
                raise
        except OSError as error:
            self._on_error(error)
            return
        with self._lock:
            self._waiting.add(path)
            if not self._grown.is_set():  # else the thread knows, and is not to be woken for each line
                self._grown.set()
            if self._thread is None:
                self._ending.clear()
                self._thread = threading.Thread(target=self._flush, name="journal", daemon=True)
                self._thread.start()

    def close(self, *, flush: bool) -> None:
        """Close the journals; more can be appended afterwards.

        Args:
            flush: whether to wait until the disk keeps all lines. That is for nothing where they go into the answer
                store now, which waits for the disk itself.
        """
        with self._lock:
            if not flush:
                self._waiting.clear()
            self._ending.set()
            self._grown.set()
            while self._journals:
                self._journals.popitem()[1].close()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _flush(self) -> None:
        """Sync the journals that have grown, until `close` is called and none has."""
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
            self._on_error(error)
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
