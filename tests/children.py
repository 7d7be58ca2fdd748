"""The processes below this one, some of which end while they are looked at."""

from __future__ import annotations

import psutil


def children_with(word: str, without: str | None = None, deep: bool = True) -> list[psutil.Process]:
    """Return the processes below this one whose commands have a word.

    Args:
        word: of the command.
        without: a word that it must not have.
        deep: whether the children of children are looked at, too.
    """
    found = []
    for child in psutil.Process().children(recursive=deep):
        try:
            command = child.cmdline()
        except psutil.NoSuchProcess:  # one that has ended and is not cleared away among them
            continue
        if word in command and without not in command:
            found.append(child)
    return found


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process has ended, cleared away or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def parent_of(process: psutil.Process) -> int | None:
    """Return the number of a process's parent; None where the process has ended and is cleared away."""
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None
