"""One pass over a file, which finds the faults of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tunixhack.data_files.lint.kinds import BY_NAME, KINDS, Kind
from tunixhack.data_files.lint.text_checks import text_faults
from tunixhack.data_files.lint.turn_checks import Found, shape_faults, turn_faults
from tunixhack.data_files.lint.turn_table import TurnTable, turn_table
from tunixhack.steps.exact_dedup import normalise

FIRST = 1000
"""Row numbers of each kind that are kept."""
_LATER = ("answer_without_thought", "empty_thought")

Check = Callable[[TurnTable], Iterator[Found]]


@dataclass
class Fault:
    """How often a kind of fault was found, and where."""

    kind: Kind
    rows: int = 0
    first: list[int] = field(default_factory=list)
    """Numbers of the first rows, from 0."""

    def add(self, numbers: Sequence[int]) -> None:
        """Count rows."""
        self.rows += len(numbers)
        self.first += numbers[: max(FIRST - len(self.first), 0)]


@dataclass
class Pass:
    """What was seen of a file so far."""

    checks: tuple[Check, ...] = ()
    """Those that were asked for besides the ones that need nothing."""
    rows: int = 0
    faults: dict[str, Fault] = field(default_factory=lambda: {kind.name: Fault(kind) for kind in KINDS})
    thoughts: int = 0
    shapes: dict[str, Fault] = field(default_factory=dict)
    seen: _Seen = field(default_factory=lambda: _Seen())

    def look(self, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> dict[str, list[int]]:
        """Look at rows, and count what is found.

        Returns:
            By the name of each kind the places among the rows; what is judged when all rows are seen is left out.
        """
        table = turn_table(rows)
        found = {name: places for name, places in faults_of(table, self.checks).items() if places}
        repeated = self.seen.repeated(table)
        if repeated:
            found["duplicate_row"] = repeated
        self.rows += len(rows)
        self.thoughts += len(found.pop("_thoughts", ()))
        for at, shape in enumerate(table.shapes):
            if shape not in (None, "not_unicode"):
                kind = self.shapes.setdefault(str(shape), Fault(BY_NAME["mixed_shapes"]))
                kind.rows += 1
                if len(kind.first) < FIRST:
                    kind.first.append(numbers[at])
        for name, places in found.items():
            self.faults[name].add([numbers[at] for at in places])
        return {name: places for name, places in found.items() if name not in _LATER}

    def end(self, unreadable: Sequence[int], unreadable_rows: int) -> list[Fault]:
        """Judge what needs all rows, and return the faults that were found, in the order of `KINDS`."""
        broken = self.faults["unreadable"]
        broken.rows, broken.first = unreadable_rows, list(unreadable)
        self.rows += unreadable_rows
        for name in _LATER:
            if self.thoughts <= self.faults[name].rows:
                self.faults[name] = Fault(BY_NAME[name])
        if len(self.shapes) > 1:
            most = max(self.shapes, key=lambda shape: self.shapes[shape].rows)
            mixed = self.faults["mixed_shapes"]
            others = [one for shape, one in self.shapes.items() if shape != most]
            mixed.rows = sum(one.rows for one in others)
            mixed.first = sorted(number for one in others for number in one.first)[:FIRST]
        return [fault for fault in self.faults.values() if fault.rows]


def faults_of(table: TurnTable, checks: Sequence[Check] = ()) -> dict[str, list[int]]:
    """Find the faults of rows that are seen in a row alone; returns the rows' places by the name of each kind."""
    found: dict[str, list[int]] = {}
    for check in (shape_faults, turn_faults, lambda table: text_faults(table.turns), *checks):
        for name, places in check(table):
            found[name] = places.sort().to_list()
    return found


class _Seen:
    """The rows that were seen, by two hashes of 64 bits each: a pair of different rows with both equal is not met."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def repeated(self, table: TurnTable) -> list[int]:
        """Return the places of rows that have the same turns as an earlier one, and remember the others."""
        turns = table.turns
        if turns.is_empty():
            return []
        texts = (
            normalise(turns["text"], ())
            .to_frame("text")
            .with_columns(normalise(turns["thinking"], ()).alias("thinking"), turns["row"], turns["speaker"])
        )
        said = pl.struct("speaker", "text", "thinking")
        hashed = texts.select("row", one=said.hash(1), other=said.hash(2))
        whole = hashed.group_by("row", maintain_order=True).agg(pl.col("one", "other").implode())
        keys = whole.select("row", one=_mixed("one"), other=_mixed("other"))
        found = []
        for row, one, other in keys.iter_rows():
            key = one << 64 | other
            if key in self._hashes:
                found.append(row)
            else:
                self._hashes.add(key)
        return found


def _mixed(column: str) -> pl.Expr:
    return pl.col(column).list.eval(pl.element()).hash(3)
