"""The stored replies of students and bases, in an evaluation's own folder and in others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from tunixhack.evaluate.arms import Arm
from tunixhack.runs.answer_store import ANSWERS, KEY, WORK, AnswerStore


def store_of(folder: Path, task: str, arm: Arm) -> AnswerStore:
    """Return the store of an arm."""
    place = folder / task / arm.folder
    return AnswerStore(place / ANSWERS, place / WORK)


def stores_in(folders: Sequence[Path], task: str) -> Iterator[AnswerStore]:
    """Yield the stores of all arms: a reply's key names who gave it, whatever its folder is called."""
    for folder in folders:
        for place in sorted((folder / task).glob(f"*/{ANSWERS}")):
            yield AnswerStore(place, place.parent / WORK)


def borrow(store: AnswerStore, keys: pl.DataFrame, folders: Sequence[Path], task: str) -> None:
    """Take over the replies to some keys from other evaluations; those stay as they are."""
    for lender in stores_in(folders, task):
        store.add(lender.answers(lambda rows: rows.join(keys, on=KEY, how="semi", maintain_order="left")))


def known_keys(folders: Sequence[Path], task: str) -> set[tuple[str, int]]:
    """Return the keys and samples of all replies that are stored."""
    return {(key, sample) for store in stores_in(folders, task) for key, sample in store.keys().iter_rows()}
