"""Several servers of one model as one teacher: ``--teacher URL1,URL2#MODEL``, or ``@servers.txt`` with a URL a line.

A group has an identity of its own, fixed at its first start, so that servers may come, go and move while everything
that was answered stays paid for. It is the model's name, quantisation and context, where all servers tell these; else
the name that the user gives them with ``--same-model``. What a member answered under its own address counts too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tunixhack.errors import UserError
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.registry.address import GROUP, addresses_in, is_group, public_name
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.http import Say, Unreachable

Find = Callable[[str], Teacher]
"""From an address with its model to the teacher that it is by itself."""
COMPARED = ("served", "quantisation")
"""What of the identities of two servers has to be the same."""


@dataclass(kw_only=True)
class ServerGroup:
    """The servers of one group.

    Args:
        spec: as after ``--teacher``.
        find: finds a lone server; raises `Unreachable` for one that is away.
        same_model: the name under which the user declares them the same model.
        remembered: what a run kept of the group.
        say: takes sentences for the user.
    """

    spec: str
    find: Find
    same_model: str | None
    remembered: Mapping[str, Any] | None
    say: Say

    def __post_init__(self) -> None:
        """Find nothing yet."""
        self._found: dict[str, Teacher] = {}
        self._away: dict[str, Unreachable] = {}
        self._refused: set[str] = set()
        self._looking = threading.Lock()
        self._headers: dict[str, Mapping[str, str]] = {}

    def teacher(self) -> Teacher:
        """Find the servers, and return them as one teacher.

        Raises:
            Unreachable: none of them answers.
            UserError: they do not serve the same model, or do not tell what they serve.
        """
        for address in self._listed():
            try:
                self._found[address] = self.find(self._member(address))
            except Unreachable as error:
                self._away[address] = error
                self.say(f"{public_name(address)} does not answer, and is asked as soon as it does")
        if not self._found:
            raise next(iter(self._away.values()))
        first, *others = self._found.values()
        for other in others:
            self._compare(first, other)
        members = list(self._found.values())
        slots = [one.slots for one in members if one.slots is not None]
        return replace(
            first,
            name=f"{GROUP}#{first.model}",
            identity=self._identity(),
            aliases=self._aliases(),
            slots=min(slots) * len(members) if len(slots) == len(members) else None,
            most_choices=min(one.most_choices for one in members),
            context=min((one.context for one in members if one.context), default=None),
            batches=False,
            connect=self._connect,
        )

    def addresses_now(self) -> Mapping[str, Mapping[str, str]]:
        """Look again who is listed and answers; blocks for as long as servers take to say what they serve.

        Returns:
            Base addresses, with the headers of requests to them. One that serves another model is left out, and said
            so of once. Where the list cannot be read, the servers stay as they were.
        """
        with self._looking:
            try:
                listed = self._listed()
            except UserError as error:
                self.say(f"{error}; the servers stay as they were")
                listed = list(self._found)
            first = next(iter(self._found.values()))
            for address in listed:
                if address in self._found or address in self._refused:
                    continue
                try:
                    new = self.find(self._member(address))
                    self._compare(first, new)
                except Unreachable:
                    continue
                except UserError as error:
                    self._refused.add(address)
                    self.say(f"{error}: {public_name(address)} is not asked")
                    continue
                self._found[address] = new
                self.say(f"{public_name(address)} has come, and is asked too")
            now = dict(self._reached(address) for address in listed if address in self._found)
            self._headers.update(now)
            return now

    def _listed(self) -> list[str]:
        return list(dict.fromkeys(addresses_in(self.spec) or []))

    def _member(self, address: str) -> str:
        """Return how a server is named by itself."""
        _, sign, model = self.spec.rpartition("#")
        return f"{address}#{model}" if sign else address

    def _reached(self, address: str) -> tuple[str, Mapping[str, str]]:
        with self._found[address].connect() as endpoint:
            return endpoint.url, endpoint.headers

    def _compare(self, one: Teacher, other: Teacher) -> None:
        """See that two servers serve the same.

        Raises:
            UserError: they do not.
        """
        names = [*COMPARED, "context"]
        ours = {**{name: one.identity.get(name) for name in COMPARED}, "context": one.context}
        theirs = {**{name: other.identity.get(name) for name in COMPARED}, "context": other.context}
        if self.same_model is not None:
            names = ["served"]
        for name in names:
            if ours[name] != theirs[name]:
                shown = "model" if name == "served" else name
                raise UserError(
                    f"{other.name} serves another {shown} than {one.name} ({theirs[name]}, and not {ours[name]}): list "
                    "servers of the same model only"
                )

    def _identity(self) -> Mapping[str, Any]:
        """Return who the group is: as it was at its first start, where that is known.

        Raises:
            UserError: the servers do not tell enough to know that they serve the same.
        """
        first = next(iter(self._found.values()))
        kept: Any = (self.remembered or {}).get("identity")
        if isinstance(kept, Mapping) and isinstance(kept.get("group"), Mapping):
            group = kept["group"]
            told = {"model": first.model, "quantisation": first.identity.get("quantisation"), "context": first.context}
            if all(group.get(name, value) == value for name, value in told.items()):
                return kept
        if self.same_model is not None:
            return {"group": {"same_model": self.same_model}}
        all_told = [(one.identity.get("quantisation"), one.context) for one in self._found.values()]
        if any(value is None for one in all_told for value in one):
            raise UserError(
                "the servers do not all tell the quantisation and context of what they serve, so that nobody sees "
                "whether it is the same: give their model a name of your own, --same-model NAME"
            )
        quantisation, context = all_told[0]
        return {"group": {"model": first.model, "quantisation": quantisation, "context": context}}

    def _aliases(self) -> dict[str, Mapping[str, Any]]:
        """Return the members' own identities, those of earlier starts included, by their own names."""
        kept: Any = (self.remembered or {}).get("members") or {}
        return {**kept, **{one.name: one.identity for one in self._found.values()}}

    @contextmanager
    def _connect(self) -> Iterator[Endpoint]:
        with next(iter(self._found.values())).connect() as endpoint:
            reached = self.addresses_now()
            url, *others = reached
            yield replace(
                endpoint,
                url=url,
                copies=tuple(others),
                own_headers=self._headers,
                concurrency=endpoint.concurrency * len(reached),
                addresses_now=self.addresses_now,
            )


def group_name(spec: str, known: Mapping[str, Any]) -> str:
    """Return under which name a run keeps what it knows of a teacher.

    Args:
        spec: as after ``--teacher``.
        known: what it keeps, by such names.

    >>> group_name("http://a/v1,http://b/v1#m", {}), group_name("@servers.txt", {"servers#m": {}})
    ('servers#m', 'servers#m')
    """
    if not is_group(spec):
        return public_name(spec)
    _, sign, model = spec.rpartition("#")
    if sign:
        return f"{GROUP}#{model}"
    groups = [name for name in known if name.startswith(f"{GROUP}#")]
    return groups[0] if len(groups) == 1 else public_name(spec)
