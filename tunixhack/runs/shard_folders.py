"""The progress of a build in shards: how far each of them is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from tunixhack._util.safe_text import for_terminal
from tunixhack.errors import UserError
from tunixhack.runs.answer_store import KEY, KEY_FIELDS
from tunixhack.runs.run import Run
from tunixhack.runs.shard_names import PREPARED, shard_folders
from tunixhack.runs.show import WIDTH


def shard_progress(parent: Path) -> list[dict[str, Any]]:
    """Return how far each shard is.

    Args:
        parent: the folder of the build.

    Returns:
        For each ``shard`` its ``status``, whether it is ``done``, and its ``answers``, those apart that it was given;
        of a mixture also those of each of its ``parts``.
    """
    named = [(PREPARED, parent / PREPARED)] if (parent / PREPARED).is_dir() else []
    named += [(f"{number}/{of}", folder) for (number, of), folder in shard_folders(parent).items()]
    runs = [(name, Run(folder)) for name, folder in named]
    prepared = next((_keys(run) for name, run in runs if name == PREPARED), iter(()))
    lent = pl.concat([pl.DataFrame(schema=KEY_FIELDS), *prepared])
    told = []
    for name, run in runs:
        given = pl.DataFrame(schema=KEY_FIELDS) if name == PREPARED else lent
        parts = {part.folder.name: _answers(part, given) for part in run.parts()}
        answers = sum(parts.values()) if parts else _answers(run, given)
        line = {"shard": name, "status": run.status, "done": run.done, "answers": answers}
        told.append(line | ({"parts": parts} if parts else {}))
    return told


def _answers(run: Run, lent: pl.DataFrame) -> int:
    """Count the answers that a run has received, without those that it was given."""
    own = 0 if lent.is_empty() else sum(rows.join(lent, on=KEY, how="semi").height for rows in _keys(run))
    return run.store.received().answers - own


def _keys(run: Run) -> Iterator[pl.DataFrame]:
    """Yield the keys of the stored answers of a run and its parts; none of a damaged file, which the status tells."""
    for one in run.parts() or [run]:
        with suppress(UserError):
            yield from one.store.files_of(*KEY)


def print_progress(place: str, told: Sequence[Mapping[str, Any]]) -> None:
    """Print how far each shard is as a table to standard output, with those that have not begun.

    Args:
        place: the folder or address of the build.
        told: as `shard_progress` returns it.
    """
    table = Table("shard", "answers", "status", title=for_terminal(place), title_justify="left")
    for line in told:
        table.add_row(line["shard"], f"{line['answers']:,}", for_terminal(line["status"]))
    known = {line["shard"] for line in told}
    for of in sorted({int(name.partition("/")[2]) for name in known - {PREPARED}}):
        for number in range(1, of + 1):
            if f"{number}/{of}" not in known:
                table.add_row(f"{number}/{of}", "0", "not begun")
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table)
