"""The servers of one teacher: which of them a request is sent to, and which are left alone for a while.

Each server has a number of requests in flight of its own, which falls when it refuses one. A request goes to the server
with the largest free share of it, so that a fast server, whose requests end sooner, gets more of them. A server that
cannot be reached is set aside, and tried again after a pause that doubles each time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tunixhack.teachers.transport.concurrency import Concurrency

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds for which a server is set aside at first, and at most."""


@dataclass(eq=False)
class Server:
    """One server of a teacher.

    Args:
        address: base address, without credentials.
        concurrency: how many requests it may have in flight.
    """

    address: str
    concurrency: Concurrency
    requests: int = 0
    """Requests in flight."""
    choices: int = 0
    """Choices in flight."""
    answered: int = 0
    """Choices that it has answered."""
    away_until: float = -float("inf")
    """Until when it is set aside, by `time.monotonic`."""
    failures: int = 0
    """How often in a row it could not be reached."""
    leaving: bool = False
    """Whether it gets no request any more."""

    @property
    def lives(self) -> bool:
        """Whether it is listed and not set aside."""
        return not self.leaving and time.monotonic() >= self.away_until

    @property
    def room(self) -> float:
        """The free share of the requests that it may have in flight; 0 where it takes none now."""
        if self.requests >= self.concurrency.current or not self.lives:
            return 0.0
        return 1 - self.requests / self.concurrency.current

    def succeeded(self, choices: int) -> None:
        """Note an answered request."""
        self.answered += choices
        self.failures, self.away_until = 0, -float("inf")
        self.concurrency.answered()

    def set_aside(self) -> None:
        """Send nothing to it for a while."""
        moment = time.monotonic()
        if moment < self.away_until:
            return  # requests that were sent at the same time fail at the same time
        self.away_until = moment + min(LONGEST_PAUSE, FIRST_PAUSE * 2**self.failures)
        self.failures += 1


@dataclass(eq=False)
class Servers:
    """The servers that share a teacher's requests.

    Args:
        listed: the servers; at least one.
    """

    listed: list[Server]
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque, repr=False)

    @classmethod
    def of(cls, addresses: Sequence[str], concurrency: int) -> Servers:
        """Share out a number of requests in flight among the servers at some addresses.

        >>> [server.concurrency.maximum for server in Servers.of(["http://a/v1", "http://b/v1"], 5).listed]
        [3, 2]
        """
        each, over = divmod(concurrency, len(addresses))
        shares = [each + (place < over) for place in range(len(addresses))]
        return cls([Server(address, Concurrency(share)) for address, share in zip(addresses, shares, strict=True)])

    @property
    def maximum(self) -> int:
        """The most requests that are in flight at once, over all servers."""
        return sum(server.concurrency.maximum for server in self.listed if not server.leaving)

    @asynccontextmanager
    async def taken(self, choices: int, first: Server | None = None) -> AsyncIterator[Server]:
        """Wait until a server has room, and count a request of so many choices on it meanwhile.

        Args:
            choices: that are asked for.
            first: the server that is taken if it has room; whichever has most if left out.
        """
        while (server := first if first is not None and first.room else next(iter(self.with_room()), None)) is None:
            await self.wait_for_room()
        server.requests += 1
        server.choices += choices
        try:
            yield server
        finally:
            server.requests -= 1
            server.choices -= choices
            self.wake(2)  # one for this one's place, and one where an answer has just allowed another

    def update(self, addresses: Collection[str]) -> None:
        """Take in servers that have come, and send no more requests to those that have gone.

        A new one may have as many requests in flight as the others on average.
        """
        share = max(1, sum(one.concurrency.maximum for one in self.listed) // len(self.listed))
        for server in self.listed:
            server.leaving = server.address not in addresses
        known = {server.address for server in self.listed}
        self.listed += [Server(one, Concurrency(share)) for one in addresses if one not in known]
        self.wake_all()

    def could_not_reach(self, server: Server) -> bool:
        """Set a server aside that could not be reached, unless it is the only one.

        Returns:
            Whether another server can be asked instead.
        """
        if sum(not other.leaving for other in self.listed) < 2:
            return False
        server.set_aside()
        return any(other.away_until <= time.monotonic() for other in self.listed if not other.leaving)

    def wake(self, requests: int) -> None:
        """Let some of the waiting requests look for room again."""
        while requests and self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                requests -= 1

    def wake_all(self) -> None:
        """Let all of the waiting requests look again."""
        self.wake(len(self._waiting))

    def with_room(self) -> list[Server]:
        """Return the servers with room, by their free shares, and of equal ones that with the fewest choices first."""
        found = [(server.room, server) for server in self.listed]
        found.sort(key=lambda one: (-one[0], one[1].choices))
        return [server for room, server in found if room]

    async def wait_for_room(self) -> None:
        """Wait until a request has ended, the servers are others, or one that was set aside can be tried again."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        back = [server.away_until for server in self.listed if server.away_until > time.monotonic()]
        try:
            await asyncio.wait_for(waiting, max(0.01, min(back) - time.monotonic()) if back else None)
        except TimeoutError:
            return
