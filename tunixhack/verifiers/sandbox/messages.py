"""Messages over pipes: a length of four bytes, and so many bytes. Nothing is read ahead of what is asked for."""

from __future__ import annotations

import os
import select
import struct
import time

LONGEST = 4 * 2**20
"""Bytes of a message between processes that trust one another."""


class Broken(Exception):
    """What came is no message, or none came in time; the text says which."""


def send(pipe: int, message: bytes, deadline: float | None = None) -> None:
    """Write a message whole.

    Args:
        pipe: to write to; one that does not block where there is a deadline.
        message: at most `LONGEST` bytes.
        deadline: by `time.monotonic`; None waits for ever.

    Raises:
        OSError: nobody reads.
        Broken: the deadline passed.
    """
    rest = memoryview(struct.pack(">I", len(message)) + message)
    while rest:
        _, writable, _ = select.select([], [pipe], [], _left(deadline))
        if not writable:
            raise Broken("late")
        rest = rest[os.write(pipe, rest) :]


def receive(pipe: int, longest: int = LONGEST, deadline: float | None = None, gone: int | None = None) -> bytes:
    """Read a message whole.

    Args:
        pipe: to read from.
        longest: bytes that it may have.
        deadline: by `time.monotonic`; None waits for ever.
        gone: another pipe; when it can be read, whoever asked is gone.

    Raises:
        Broken: the pipe ended, the message is too long, the deadline passed, or the one who asked is gone.
    """
    (length,) = struct.unpack(">I", _exactly(pipe, 4, deadline, gone))
    if length > longest:
        raise Broken("too much")
    return _exactly(pipe, length, deadline, gone)


def _exactly(pipe: int, count: int, deadline: float | None, gone: int | None) -> bytes:
    parts, missing = [], count
    while missing:
        readable, _, _ = select.select([pipe] if gone is None else [pipe, gone], [], [], _left(deadline))
        if gone in readable:
            raise Broken("gone")
        if not readable:
            raise Broken("late")
        part = os.read(pipe, min(missing, 2**16))
        if not part:
            raise Broken("ended")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
