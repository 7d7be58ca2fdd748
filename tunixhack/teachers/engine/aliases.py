"""Answers that are stored under another identity of the same teacher, such as that of one server of several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import polars as pl

from tunixhack._util.ids import request_key
from tunixhack.steps.request import Request
from tunixhack.teachers.base import Teacher


@dataclass
class Aliases:
    """The keys that requests to a teacher have under its other identities."""

    _own: dict[str, str] = field(default_factory=dict)
    """From another key to the teacher's own one."""

    def learn(self, requests: Sequence[Request], teacher: Teacher, stored: Collection[str]) -> None:
        """Learn the other keys of requests.

        Args:
            requests: that are asked.
            teacher: that is asked.
            stored: names of the teachers that anything is stored of: those of other identities alone are looked at,
                since a key takes a hash.
        """
        places = {_place(name) for name in stored}
        others = [identity for identity in teacher.aliases.values() if identity.get("url") in places]
        for request in requests if others else []:
            sampling, grammar = request.sampling_of(teacher), request.grammar_of(teacher)
            own = request_key(teacher.identity, teacher.model, request.messages, sampling, grammar)
            for identity in others:
                self._own[request_key(identity, teacher.model, request.messages, sampling, grammar)] = own

    def as_own(self, stored: pl.DataFrame, teacher: Teacher) -> pl.DataFrame:
        """Return stored answers under the teacher's own keys and name, where they are known under others."""
        if not self._own:
            return stored
        mine = pl.col("request_key").is_in(list(self._own))
        renamed = [pl.when(mine).then(pl.lit(teacher.name)).otherwise("teacher").alias("teacher")]
        key = pl.col("request_key").replace(list(self._own), list(self._own.values()))
        return stored.with_columns(key, *(renamed if "teacher" in stored.columns else []))


def _place(name: str) -> str:
    return name.partition("#")[0].rstrip("/")
