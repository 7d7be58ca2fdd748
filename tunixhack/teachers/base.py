"""A teacher: its identity, its limits, and the way to reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tunixhack.teachers.prices import Price
from tunixhack.teachers.transport.endpoint import Endpoint


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Facts that the preflight found out about a server; none of them is part of a request_key."""

    block: int
    """The most samples that one request may ask for; 1 where seeds are sent and not consecutive over choices."""
    seeded: bool = True
    """True if requests carry a seed."""
    counts_one_choice: bool = False
    """True if ``usage`` reports the tokens of one choice, however many were given."""
    tokenizer: str | None = None
    """Address at which such a server counts the tokens of texts; None where it does not."""
    context: int | None = field(default=None, compare=False)
    """Tokens that one request can use, as known after the first reply; None where the server does not report it."""
    model: str | None = field(default=None, compare=False)
    """The model that the reply named; None where it named none."""


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Everything that is known of a teacher before it is asked anything.

    ``identity``, ``model``, ``sampling`` and ``grammar`` are part of every request_key (contract 5), the rest is not.
    """

    name: str
    """The name that the user wrote; stands in the ``teacher`` column."""
    model: str
    """The model name that is sent."""
    identity: Mapping[str, Any]
    """URL without credentials, or the model file's sha256; the served model and quantisation where reported."""
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other identities under which its answers may be stored, by the names of the teachers that they are of."""
    sampling: Mapping[str, Any]
    """Sampling parameters of every request, without seed and n."""
    grammar: str | None = None
    """Grammar for written traces, where the server takes one."""
    limit_name: str = "max_tokens"
    """The name of the sampling parameter that limits an answer."""
    seeded: bool = True
    """True if requests carry a seed; a server that knows none may refuse them for it."""
    takes_schema: bool = True
    """False once the server has refused a request for its JSON schema; requests are then sent without one."""
    thinking_off: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters that switch thinking off, for requests that want none."""
    hidden_trace: bool = False
    """True if the server keeps a model's thinking to itself, and yet counts it against the limit."""
    most_choices: int = 16
    """The most choices that may be asked for in one request."""
    slots: int | None = None
    """Choices that the server works on at once; requests in flight are kept below it. None where unknown."""
    context: int | None = None
    """Context length in tokens that one request can use; None where the server does not report it."""
    context_setting: str = "the server's context length"
    """The setting by which the user gets more of it."""
    context_now: Callable[[], int | None] = field(default=lambda: None, repr=False)
    """Asks the server for its context again, in tokens, which some know only once the model is loaded; None where the
    server does not report it."""
    batches: bool = False
    """True if it answers whole batches at half the price."""
    price: Price | None = None
    """The price of its tokens; None where that is unknown."""
    connect: Callable[[], AbstractContextManager[Endpoint]] = field(repr=False)
    """Open the way to the server; starts it when it is embedded."""

    @property
    def limit(self) -> int | None:
        """The most tokens of one answer, thinking included; None where it has no limit."""
        limit: int | None = self.sampling.get(self.limit_name)
        return limit

    def requests_in_flight(self, endpoint: Endpoint, choices: int) -> int:
        """Return how many requests of so many choices each are in flight at once."""
        slots = self.slots
        if slots is None and not self.seeded:  # as many choices in flight as there would be one by one
            slots = endpoint.concurrency
        return endpoint.concurrency if slots is None else min(max(1, slots // choices), endpoint.concurrency)
