"""The address of a teacher's server, with its credentials, timeouts and limits."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from tunixhack._util.api_keys import KEY_VARIABLE
from tunixhack._util.credentials import hide

PATIENCE = 300.0
LOCAL_PATIENCE = 600.0
"""Seconds without any answer before a provider, or a server of the user's own, is given up: the latter may have to be
started again by hand, and then loads its model."""


def is_local(url: str) -> bool:
    """Return whether a server is this machine or stands in the same private network.

    >>> is_local("http://127.0.0.1:1234/v1"), is_local("http://192.168.1.7/v1"), is_local("https://api.openai.com/v1")
    (True, True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:  # a name; one without a dot is known in the user's own network only
        return "." not in host or host.endswith((".local", ".localhost", ".lan", ".home.arpa"))


def redact(text: str, headers: Mapping[str, str], secret: str | None = None) -> str:
    """Take out of a text what a request's headers carry, as they were sent and as a server reads them; see `hide`.

    >>> redact("you are me:pw, or bWU6cHc=", {"Authorization": "Basic bWU6cHc="})
    'you are me:***, or ***'
    """
    secrets = {secret or ""}
    for value in headers.values():
        kind, _, sent = value.rpartition(" ")
        secrets.add(sent)
        if kind == "Basic":
            user, _, password = base64.b64decode(sent).decode().partition(":")
            secrets.add(password or user)
    return hide(text, secrets)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The server of a teacher, with the limits and timeouts for it. Nothing here is part of a request_key."""

    url: str
    """Base address, ending before ``/chat/completions``; without credentials."""
    copies: tuple[str, ...] = ()
    """Base addresses of servers that are equal to the one at ``url``, and share its requests."""
    own_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Authorisation by base address, where the servers' differ."""
    addresses_now: Callable[[], Mapping[str, Mapping[str, str]]] | None = field(default=None, repr=False)
    """Looks which servers there are by now, with their headers; blocks meanwhile. None where they stay the same."""
    model: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Authorisation; never printed, logged or stored."""
    secret: str | None = field(default=None, repr=False)
    """The secret that must not appear in any message, should the server echo it."""
    key_variable: str = KEY_VARIABLE
    """Environment variable of the key that this server takes."""
    concurrency: int = 8
    """Requests in flight at once."""
    timeout: float = 1800.0
    """Seconds for one request; a thinking model on a desk takes minutes."""
    attempts: int = 5
    """Tries for one request that fails while others succeed."""
    patience: float = PATIENCE
    """Seconds without any success, most attempts failing, after which the teacher counts as gone."""
    alive: Callable[[], bool] = lambda: True
    """False once an embedded server has died, so that no request waits for it."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Base addresses of all servers that answer."""
        return self.url, *self.copies

    def redact(self, text: str) -> str:
        """Take the secret out of a text that may reach a screen or a file."""
        for headers in list(self.own_headers.values()):
            text = redact(text, headers)
        return redact(text, self.headers, self.secret)

    def with_servers_now(self) -> Endpoint:
        """Look which servers there are by now; each may have as many requests in flight as before."""
        now = list(self.addresses_now()) if self.addresses_now else []
        if not now:
            return self
        each = max(1, self.concurrency // len(self.addresses))
        return replace(self, url=now[0], copies=tuple(now[1:]), concurrency=each * len(now))

    def headers_of(self, address: str) -> Mapping[str, str]:
        """Return the authorisation for one of the servers."""
        return self.own_headers.get(address, self.headers)
