"""Answers that are stored under another identity of the same teacher, such as that of one server of several.

Of each request a server's key is held as two numbers, and the teacher's own key once: with four servers 160 bytes a
request, in place of the keys of every server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunixhack._util.ids import request_key
from tunixhack.runs.answer_index import Hashes, request_hashes
from tunixhack.steps.request import Request
from tunixhack.teachers.base import Teacher

_OTHER = np.dtype([("first", "<u8"), ("second", "<u8"), ("own", "<u4")])
"""Another key, as two hashes of it, and the place of the teacher's own one."""
_ORDER = ["first", "second"]


@dataclass(frozen=True)
class Aliases:
    """The keys that some requests to a teacher have under its other identities."""

    own: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    """The teacher's own keys."""
    others: NDArray[Any] = field(default_factory=lambda: np.array([], dtype=_OTHER))
    """The others, sorted."""

    @classmethod
    def of(cls, requests: Sequence[Request], teacher: Teacher, stored: Collection[str]) -> Aliases:
        """Find the other keys of requests.

        Args:
            requests: that are asked.
            teacher: that is asked.
            stored: names of the teachers that anything is stored of: those of other identities alone are looked at,
                since a key takes a hash.
        """
        places = {_place(name) for name in stored}
        found = [identity for identity in teacher.aliases.values() if identity.get("url") in places]
        own, others, of = list[str](), list[str](), list[int]()
        for request in requests if found else []:
            sampling, grammar = request.sampling_of(teacher), request.grammar_of(teacher)
            for identity in found:
                others.append(request_key(identity, teacher.model, request.messages, sampling, grammar))
                of.append(len(own))
            own.append(request_key(teacher.identity, teacher.model, request.messages, sampling, grammar))
        return cls(pl.Series(own, dtype=pl.String), _sorted(pl.Series(others, dtype=pl.String), of))

    @classmethod
    def together(cls, parts: Sequence[Aliases]) -> Aliases:
        """Return the keys of all parts."""
        own, others = [cls().own], [cls().others]
        for part in parts:
            moved = part.others.copy()
            moved["own"] += sum(map(len, own))
            own.append(part.own)
            others.append(moved)
        return cls(pl.concat(own), np.sort(np.concatenate(others), order=_ORDER))

    @property
    def hashes(self) -> Hashes:
        """What answers under the other keys are found by in a store; see `tunixhack.runs.answer_index`."""
        return np.ascontiguousarray(self.others["first"])

    def as_own(self, stored: pl.DataFrame, teacher: Teacher) -> pl.DataFrame:
        """Return stored answers under the teacher's own keys and name, where they are known under others."""
        if not len(self.others):
            return stored
        first, second = _hashes(stored["request_key"])
        there = self.others[np.minimum(np.searchsorted(self.others["first"], first), len(self.others) - 1)]
        mine = pl.Series((there["first"] == first) & (there["second"] == second))
        own = self.own.gather(pl.Series(there["own"]))
        renamed = [pl.when(mine).then(pl.lit(teacher.name)).otherwise("teacher").alias("teacher")]
        key = pl.when(mine).then(own).otherwise("request_key").alias("request_key")
        return stored.with_columns(key, *(renamed if "teacher" in stored.columns else []))


def named_as_own(stored: pl.DataFrame, teacher: Teacher) -> pl.DataFrame:
    """Return stored answers, those of the teacher's other identities under its own name, whatever was asked."""
    urls = [identity["url"] for identity in teacher.aliases.values() if identity.get("url")]
    if not urls:
        return stored
    mine = pl.col("teacher").str.split("#").list.first().str.strip_chars_end("/").is_in(urls)
    return stored.with_columns(pl.when(mine).then(pl.lit(teacher.name)).otherwise("teacher").alias("teacher"))


def _hashes(keys: pl.Series) -> tuple[Hashes, Hashes]:
    return request_hashes(keys), keys.hash(2).to_numpy()


def _sorted(keys: pl.Series, of: Sequence[int]) -> NDArray[Any]:
    found = np.empty(len(keys), dtype=_OTHER)
    found["first"], found["second"] = _hashes(keys)
    found["own"] = of
    return np.sort(found, order=_ORDER)


def _place(name: str) -> str:
    return name.partition("#")[0].rstrip("/")
