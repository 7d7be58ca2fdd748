"""Answers of other runs to the requests of a build, taken over: its own alone, since others are no part of it.

Those of a large build are found in one pass through the others' stores, those of a step or a block by looking them up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from tunixhack.runs.answer_store import KEY, MOST_IN_FILE, AnswerStore
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.seeds import one_per_key

AsOwn = Callable[[pl.DataFrame], pl.DataFrame]
"""From stored answers to those of them that are asked for, under the keys of the teacher that is asked."""


def take_over(store: AnswerStore, lent: Sequence[AnswerStore], choose: AsOwn, seed: int) -> None:
    """Store the answers that others lend and that are asked for, of each request and sample the first that is found.

    Of the keys a number each is held: two of 20 million are alike once in 100,000 stores, and one of them is then
    asked for.

    Args:
        store: takes them.
        lent: the others, in their order.
        choose: see `AsOwn`.
        seed: of the run; an answer that has its seed goes before one to the same request that has another.
    """
    if not lent:
        return
    there = _sorted([choose(rows) for rows in store.files_of(*KEY, "teacher")])
    for one in lent:
        keys = _sorted([choose(rows) for rows in one.lent_files(*KEY, "teacher")])
        several = keys.filter(keys == keys.shift(1)).unique().sort()
        new, held = list[pl.DataFrame](), list[pl.DataFrame]()
        for rows in one.lent_files():
            rows = choose(rows)
            hashes = _hashes(rows)
            known, doubled = _is_among(hashes, there), _is_among(hashes, several)
            held.append(rows.filter(~known & doubled))
            new.append(rows.filter(~known & ~doubled))
            if sum(part.height for part in new) >= MOST_IN_FILE:
                store.add_new(pl.concat(new))
                new = []
        new.append(one_per_key(pl.concat(held), seed) if held else rows.clear())
        store.add_new(pl.concat(new))
        there = pl.concat([there, keys]).sort()


def look_up(store: AnswerStore, lent: Sequence[AnswerStore], engine: Engine, wanted: pl.DataFrame) -> None:
    """Store the answers that others lend and that are asked for and not there yet.

    Args:
        store: takes them.
        lent: the others, in their order.
        engine: of the teacher that is asked.
        wanted: what `Engine.wanted` listed last.
    """
    if not lent:
        return
    lacking = engine.lacking(wanted)
    if lacking.is_empty():
        return
    choose, sought = engine.chooser(lacking), engine.sought(lacking)
    for one in lent:
        store.add(one_per_key(one.lent(choose, sought), engine.seed))


def _hashes(rows: pl.DataFrame) -> pl.Series:
    return rows.select(KEY).hash_rows()


def _sorted(parts: Sequence[pl.DataFrame]) -> pl.Series:
    return pl.concat([pl.Series(dtype=pl.UInt64), *map(_hashes, parts)]).sort()


def _is_among(values: pl.Series, ordered: pl.Series) -> pl.Series:
    """Tell which values are in a sorted series."""
    if not len(ordered):
        return pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
    return ordered.gather(ordered.search_sorted(values).clip(upper_bound=len(ordered) - 1)) == values
