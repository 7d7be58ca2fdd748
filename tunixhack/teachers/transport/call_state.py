"""The state of one call to a teacher, shared by the thread that sends requests and the thread that reports progress.

It does not depend on Curator, so that the engine, the progress bar and the tests do not either.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunixhack._util.wording import counted
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.proxies import proxy_for
from tunixhack.teachers.transport.servers import Server, Servers
from tunixhack.teachers.transport.throughput import AnsweredRequest

WINDOW = 50
"""Number of attempts over which failures are counted."""
REFUSALS = 5
"""Number of refusals, without an answer to a request sent after the first of them, from which on the teacher counts as
refusing every request."""
REPORT_AFTER = 5.0
"""Seconds without an answer after which the user is told that the teacher is being waited for."""


@dataclass
class CallState:
    """The state of one call, written by the transport's thread and read by others."""

    endpoint: Endpoint
    on_completion: Callable[[Mapping[str, Any], Mapping[str, Any]], object] | None = None
    """Called with (row, completion) for each answered request, in the transport's thread."""
    counts_one_choice: bool = False
    """True if the server reports the tokens of one choice only."""
    tokenizer: str | None = None
    """Address at which the tokens of all choices can be counted then; None where they cannot."""
    context: int | None = None
    """Tokens that one request can use; None where unknown."""
    admits: Callable[[Mapping[str, Any]], bool] = lambda row: True
    """True if a row is to be sent at all; called just before it is sent first."""
    failures: Counter[str] = field(default_factory=Counter)
    """Reasons why requests were not answered in the end, counted by sentence."""
    slowed_by: str | None = None
    """The first refusal, since which fewer requests are sent at once; None while there was none."""
    gave_up: str | None = None
    """The reason why the call was stopped before its end; None while all is well."""
    write_error: OSError | None = None
    """The error by which an answer could not be written, which stops the call: the next ones would be lost too."""
    unanswered: set[str] = field(default_factory=set)
    """Requests, by their keys, that were sent as often as they may be and got replies that were no answers, each of
    which may have been paid for."""
    declined: dict[str, str] = field(default_factory=dict)
    """Questions whose content the server refuses, by their ids, with what it said."""

    def proxy(self, address: str) -> str | None:
        """Return the proxy of one of the servers; None for a direct connection."""
        if address not in self._proxies:
            self._proxies[address] = proxy_for(address)
        return self._proxies[address]

    def __post_init__(self) -> None:
        """Start the clock of the endpoint's patience, with as many requests at once as it allows."""
        self.servers = Servers.of(self.endpoint.addresses, self.endpoint.concurrency)
        """The servers that share the requests."""
        self._proxies = {address: proxy_for(address) for address in self.endpoint.addresses}
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._last_success = time.monotonic()
        self._successes = self._refusals = 0
        self._refused_at = 0.0
        self._stop = threading.Event()
        self.answered: list[AnsweredRequest] = []
        self.trouble: str | None = None
        """A sentence for the user about a teacher that has not answered for a while; None while it answers."""

    @property
    def successes(self) -> int:
        """Requests answered so far."""
        return self._successes

    def succeeded(
        self, server: Server | None = None, sent: float | None = None, choices: int = 1, *, complete: bool = True
    ) -> None:
        """Note an answered request, when it was sent, and how many choices came.

        Args:
            server: that answered; the only one when None.
            sent: by `time.monotonic`.
            choices: how many came.
            complete: whether they came without an error beside them.
        """
        self._outcomes.append(True)
        (server or self.servers.listed[0]).succeeded(choices)
        if complete and (sent is None or sent > self._refused_at):
            self._refusals = 0  # one that was sent before the first refusal says nothing of what happened then
        self._successes += 1
        self._last_success = time.monotonic()
        began = self._last_success if sent is None else sent
        self.answered.append(AnsweredRequest(began, self._last_success, choices))

    def failed(self, why: str, remedy: str | None = None) -> None:
        """Note a failed attempt, and give the teacher up when it has failed for too long.

        Given up is a server that died, one that failed most of the last `WINDOW` attempts and answered none for the
        endpoint's patience, and one that refused `REFUSALS` requests for reasons of its own.

        Args:
            why: it failed, in a sentence.
            remedy: what the user can do, where the teacher would refuse every other request as well.
        """
        self._outcomes.append(False)
        if remedy:
            self._refused_at = self._refused_at if self._refusals else time.monotonic()
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self.give_up(f"the teacher at {self.endpoint.url} refuses every request ({why}): {remedy}")
        if not self.endpoint.alive():
            self.give_up(f"the embedded teacher stopped working ({why})")
        silent = time.monotonic() - self._last_success
        failing = self._outcomes.count(False) * 2 > len(self._outcomes)
        if failing and silent > REPORT_AFTER:
            self.trouble = f"the teacher at {self.endpoint.url} does not answer ({why})"
        if failing and silent > self.endpoint.patience:
            self.give_up(f"the teacher at {self.endpoint.url} has not answered for {silent:.0f} s ({why})")

    def refused(self, why: str, wait: float | None = None, server: Server | None = None) -> None:
        """Note that a server had too much to do, and send it fewer requests at once; call `failed` as well."""
        if (server or self.servers.listed[0]).concurrency.refused(wait) and self.slowed_by is None:
            self.slowed_by = self.endpoint.redact(why)

    def give_up(self, why: str) -> None:
        """Stop the call for a reason that is reported to the user."""
        self.gave_up = self.gave_up or self.endpoint.redact(why)
        self._stop.set()

    def record_write_error(self, error: OSError) -> None:
        """Stop the call because an answer could not be kept."""
        self.write_error = self.write_error or error
        self._stop.set()

    def cancel(self) -> None:
        """Stop the call because the user wants it."""
        self._stop.set()

    def reasons(self) -> str:
        """List why requests went unanswered, the most frequent first."""
        return "; ".join(f"{counted(count, 'time')}: {why}" for why, count in self.failures.most_common(3))

    @property
    def stopping(self) -> bool:
        """Return whether the call is to end now."""
        return self._stop.is_set()
