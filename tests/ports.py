"""A port that nobody listens on, and that no other process is given meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Hold a port on 127.0.0.1: connections are refused until a server of this test listens on it.

    A port that was merely free a moment ago can be another process's by now, even that of a connection to itself.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so that a server of the test may have it, too
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
