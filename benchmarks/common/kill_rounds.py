"""Rounds of kills at random moments: each folder is killed a few times, finished, and compared with an unkilled one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kills import MOST_KILLS, ended


class Killed(Protocol):
    """Work that goes on in a folder where it was killed."""

    folder: Path

    def start(self, out: Path) -> int:
        """Begin in a process of its own, or go on; returns its number."""

    def finish(self, out: Path) -> float:
        """Go on to the end."""

    def equal(self, out: Path, whole: Path) -> bool:
        """Compare with what was never killed."""


def kill_rounds(
    bench: Killed, whole: Path, usual: float, place: Callable[[Path], str], kills: int, seed: int
) -> tuple[int, int, int]:
    """Kill until the number is reached, and print how it goes and where the kills hit.

    Args:
        bench: what is killed.
        whole: the folder that was never killed.
        usual: seconds that it takes, within which a kill comes.
        place: says how far a killed folder had come.
        kills: how many; none of a process that had ended before.
        seed: of the moments.

    Returns:
        The kills, those of folders that are equal, and the folders.
    """
    moments, places = random.Random(seed), Counter[str]()
    hits = good = folders = 0
    while hits < kills:
        out, here = bench.folder / f"run{folders}", 0
        folders += 1
        for _ in range(min(moments.randint(1, MOST_KILLS), kills - hits)):
            if ended(bench.start(out), moments.uniform(0.0, usual)) is None:
                here += 1
                places[place(out)] += 1
        bench.finish(out)
        hits += here
        good += here * bench.equal(out, whole)
        print(f"  {hits} kills, {good} equal", flush=True)
    for where, count in places.most_common():
        print(f"  {count} hit: {where}")
    return hits, good, folders
