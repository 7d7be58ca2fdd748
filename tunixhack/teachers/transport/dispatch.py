"""Which request is sent next: one for the server that has room, the samples of one question to one server.

A server keeps what it has computed of a prompt, and answers the next request with the same prompt for less. Where a
question's samples are several requests, they go to the server that has the first of them as long as it can be reached,
while the other servers go on with other questions.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from tunixhack.teachers.transport.servers import Server, Servers

Row = Mapping[str, Any]
REMEMBERED = 10_000
"""Prompts of which it is known who has them. A question's requests stand behind one another, so that far fewer do."""


class Dispatch:
    """The requests of a call on their way to the servers.

    Args:
        rows: the requests, those with one prompt behind one another; read as far as servers have room.
        servers: that share them.
    """

    def __init__(self, rows: Iterable[Row], servers: Servers) -> None:
        self._rows, self._servers = iter(rows), servers
        self._home: OrderedDict[str, Server] = OrderedDict()
        self._waiting: dict[Server, deque[Row]] = {}

    async def following(self) -> tuple[Row, Server] | None:
        """Wait for a server with room, and return a request for it; None when there are no more."""
        while True:
            for server in self._servers.with_room():
                row = self._row_for(server)
                if row is not None:
                    return row, server
            if not any(self._waiting.values()) and self._servers.with_room():
                self._servers.wake_all()  # they wait for a request, and there is none
                return None
            await self._servers.wait_for_room()

    def _row_for(self, server: Server) -> Row | None:
        """Return the next request for a server: of a prompt that it has, of one whose server is gone, or a new one."""
        own = self._waiting.setdefault(server, deque())
        if not own:
            for other, left in self._waiting.items():
                if left and not other.lives:
                    own.extend(left)
                    left.clear()
                    break
        if own:
            return own.popleft()
        for row in self._rows:
            prompt = row.get("request_key")
            home = self._home.get(prompt) if prompt is not None else None
            if home is None or home is server or not home.lives:
                self._remember(prompt, server)
                return row
            self._waiting[home].append(row)
        return None

    def _remember(self, prompt: str | None, server: Server) -> None:
        if prompt is not None:
            self._home[prompt] = server
            if len(self._home) > REMEMBERED:
                self._home.popitem(last=False)
