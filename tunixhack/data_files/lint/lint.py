"""A file of training rows looked over, and written anew without what can be mended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.data_files.lint.kinds import MENDED
from tunixhack.data_files.lint.mending import MENDABLE, mended
from tunixhack.data_files.lint.passing import Check, Fault, Pass, faults_of
from tunixhack.data_files.lint.turn_table import turn_table
from tunixhack.data_files.reading import Batch, RowFile, Unreadable
from tunixhack.data_files.shapes import known_columns_sentence
from tunixhack.data_files.writing import Piece, check_output, json_bytes, write_rows
from tunixhack.errors import UserError

_SHOWN = 5
"""Row numbers of each kind in the table."""


@dataclass(frozen=True)
class Fixed:
    """What was written instead of a file."""

    path: Path
    left: int
    """Rows that are there as they were."""
    changed: int
    dropped: int


@dataclass(frozen=True)
class Report:
    """What was found in a file."""

    path: Path
    rows: int
    """All of them, those that cannot be read too."""
    shapes: dict[str, int]
    """Rows of each shape; see `tunixhack.data_files.shapes`."""
    faults: list[Fault]
    unreadable: list[Unreadable]
    cut: bool
    """Whether the file was not read to its end."""
    fixed: Fixed | None = None

    def failed(self, strict: bool = False) -> bool:
        """Tell whether faults are left: errors, and with ``strict`` warnings too; with --fix, those not mended."""
        left = [one for one in self.faults if self.fixed is None or one.kind.name not in MENDED]
        return self.cut or any(strict or one.kind.severity == "error" for one in left)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-able."""
        faults = [
            {
                "kind": one.kind.name,
                "severity": one.kind.severity,
                "rows": one.rows,
                "share": one.rows / max(self.rows, 1),
                "first_rows": one.first,
                "meaning": one.kind.sentence,
                "fix": one.kind.mending or None,
            }
            for one in self.faults
        ]
        unreadable = [one._asdict() for one in self.unreadable]
        fixed = None if self.fixed is None else {**vars(self.fixed), "path": str(self.fixed.path)}
        return {
            "file": str(self.path), "rows": self.rows, "shapes": self.shapes, "faults": faults,
            "unreadable": unreadable, "read_to_its_end": not self.cut, "fixed": fixed,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return the table and the sentences around it."""
        shapes = ", ".join(f"{rows:,} as {shape}" for shape, rows in self.shapes.items())
        lines = [f"{self.path}: {counted(self.rows, 'row')}{f' ({shapes})' if shapes else ''}"]
        cells = [("fault", "", "rows", "share", "first rows (from 0)", "--fix")]
        for one in self.faults:
            first = ", ".join(f"{number}" for number in one.first[:_SHOWN]) + (", …" if one.rows > _SHOWN else "")
            does = {"": "leaves it", "t": "drops the row"}.get(one.kind.mending[:1], "mends it")
            does = "mends it" if one.kind.name in MENDABLE else does
            share = f"{one.rows / max(self.rows, 1):.2%}"
            cells.append((one.kind.name, one.kind.severity, f"{one.rows:,}", share, first, does))
        if self.faults:
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            right = (2, 3)
            lines += [
                "  ".join(
                    c.rjust(w) if n in right else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
                ).rstrip()
                for row in cells
            ]
            lines += [f"{one.kind.name}: {one.kind.sentence}" for one in self.faults]
            if any(one.kind.name == "unknown_columns" for one in self.faults):
                lines.append(f"columns that are read: {known_columns_sentence()}")
        elif self.rows:
            lines.append("no fault was found")
        else:
            lines.append("the file is empty")
        lines += [one.why for one in self.unreadable[:_SHOWN]]
        if self.cut:
            lines.append("what stands behind the last of these rows was not read")
        if self.fixed is not None:
            done = self.fixed
            lines.append(
                f"written to {done.path}: {done.left:,} rows left as they were, {done.changed:,} changed, "
                f"{done.dropped:,} dropped"
            )
        return lines


def lint(
    path: Path, *, fix: Path | None = None, replace: bool = False, checks: Sequence[Check] = (), quiet: bool = False
) -> Report:
    """Look a file over.

    Args:
        path: a file that `tunixhack.sources.files` reads.
        fix: a file to write without what can be mended; nothing is written if None.
        replace: whether ``fix`` may be there already.
        checks: those of `tunixhack.data_files.lint.asked_checks` that are wanted besides.
        quiet: show no bar.

    Raises:
        UserError: the file is not there or of no kind that is read, or the other one cannot be written.
    """
    file = RowFile(path)
    seen = Pass(tuple(checks))
    reporter = Reporter(quiet=quiet)
    if fix is not None:
        check_output(fix, path, replace=replace)
    mender = _Mender(tuple(checks), lines=fix is None or fix.suffix.lower() != ".parquet")
    with reporter.bar(file):
        if fix is None:
            for batch in file.batches():
                seen.look(batch.rows, batch.numbers)
                reporter.update()
        else:
            write_rows(fix, _mended_pieces(file, seen, mender, reporter), path, replace=replace)
    faults = seen.end([one.number for one in file.unreadable], file.unreadable_rows)
    shapes = {name: one.rows for name, one in sorted(seen.shapes.items())}
    fixed = None
    if fix is not None:
        fixed = Fixed(fix, mender.left, mender.changed, mender.dropped + file.unreadable_rows)
    return Report(path, seen.rows, shapes, faults, file.unreadable, file.cut, fixed)


def _mended_pieces(file: RowFile, seen: Pass, mender: _Mender, reporter: Reporter) -> Iterator[Piece]:
    for batch in file.batches():
        found = seen.look(batch.rows, batch.numbers)
        piece = mender.mend(batch, found)
        if len(piece):
            yield piece
        reporter.update()
    if file.cut:
        raise UserError(f"{file.unreadable[-1].why}; nothing is written, since the rows behind it would be missing")


@dataclass
class _Mender:
    """Mends batches of rows, and counts."""

    checks: tuple[Check, ...]
    lines: bool
    """Whether lines of JSON are wanted, so that those which are left can be written as they stand."""
    left: int = 0
    changed: int = 0
    dropped: int = 0
    written: Pass = field(default_factory=Pass)
    """Of the rows that are written: a mended row can be equal to an earlier one."""

    def mend(self, batch: Batch, found: dict[str, list[int]]) -> Piece:
        """Return the rows of a batch that stay, mended where it was needed."""
        kinds: dict[int, set[str]] = {}
        for name, places in found.items():
            for at in places if name in MENDED and name != "duplicate_row" else ():
                kinds.setdefault(at, set()).add(name)
        changed = {at: mended(batch.rows[at], names) for at, names in kinds.items() if names <= MENDABLE}
        changed = self._whole(changed)
        kept = [at for at in range(len(batch.rows)) if at not in kinds or at in changed]
        rows = [changed.get(at, batch.rows[at]) for at in kept]
        again = set(self.written.seen.repeated(turn_table(rows)))
        kept = [at for place, at in enumerate(kept) if place not in again]
        changed = {at: row for at, row in changed.items() if at in set(kept)}
        self.changed += len(changed)
        self.left += len(kept) - len(changed)
        self.dropped += len(batch.rows) - len(kept)
        return self._piece(batch, kept, changed)

    def _whole(self, changed: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Leave out rows that still have, or now have, a fault of those that nothing is left of."""
        places, rows = list(changed), list(changed.values())
        found = faults_of(turn_table(rows), self.checks)
        bad = {places[at] for name, faulty in found.items() if name in MENDED for at in faulty}
        return {at: row for at, row in changed.items() if at not in bad}

    def _piece(self, batch: Batch, kept: Sequence[int], changed: dict[int, dict[str, Any]]) -> Piece:
        if batch.table is not None and not self.lines:
            return _table(batch, kept, changed)
        if batch.lines is not None and self.lines:
            return [json_bytes(changed[at]) if at in changed else batch.lines[at] for at in kept]
        return [changed.get(at, batch.rows[at]) for at in kept]


def _table(batch: Batch, kept: Sequence[int], changed: dict[int, dict[str, Any]]) -> Any:
    """Return a table of the rows that stay, of which only columns that were changed are made anew."""
    import pyarrow as pa

    table = batch.table
    assert table is not None
    names = _changed_columns(batch, changed)
    for name in names:
        values = [changed.get(at, row)[name] for at, row in enumerate(batch.rows)]
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    return table.take(list(kept))


def _changed_columns(batch: Batch, changed: dict[int, dict[str, Any]]) -> Collection[str]:
    return {name for at, row in changed.items() for name in row if row[name] != batch.rows[at][name]}
