"""A file of rows, of which some are left out: the questions in it, and the two files that come of it.

The file is read several times from its beginning, so that a file of any size needs the memory of one batch, besides
what is known of each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack._util.addresses import path_to_read
from tunixhack._util.progress import Reporter
from tunixhack._util.texts import is_blank
from tunixhack._util.wording import counted
from tunixhack.data_files.reading import Batch, RowFile
from tunixhack.data_files.shapes import known_columns_sentence, read_conversation
from tunixhack.data_files.writing import check_output, json_bytes, write_rows
from tunixhack.errors import UserError
from tunixhack.sources.files import kind
from tunixhack.train.data.rows import QUESTIONS

WRITTEN = (".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class Outputs:
    """The files that come of one."""

    source: Path
    kept: Path
    removed: Path

    @classmethod
    def beside(cls, source: Path, verb: str, out: Path | None = None) -> Outputs:
        """Name the files, and see that neither is there.

        Args:
            source: the file that is read.
            verb: what is done, as part of the name that is used without ``out``.
            out: the file for what is kept.

        Raises:
            UserError: one of them is there already, or is of a kind that is not written; or the source is at an
                address.

        >>> Outputs.beside(Path("train.csv"), "dedup").kept.name
        'train.dedup.jsonl'
        """
        path_to_read(source)
        name = source.name.removesuffix(source.suffix) if source.suffix in (".gz", ".bz2", ".xz") else source.name
        ending = kind(source) if kind(source) in WRITTEN else ".jsonl"
        compressed = source.suffix if name != source.name and ending != ".parquet" else ""
        kept = out or source.with_name(f"{Path(name).stem}.{verb}{ending}{compressed}")
        removed = kept.with_name(f"{kept.name.split('.')[0]}.{verb}-removed.jsonl")
        for path in (kept, removed):
            check_output(path, source)
        return cls(source, kept, removed)


@dataclass
class Filtered:
    """What became of a file's rows."""

    outputs: Outputs
    rows: int = 0
    """Rows that were read."""
    removed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    without_question: int = 0
    """Rows that are kept since there is nothing to judge them by."""
    unreadable: int = 0
    """Lines that hold no row, which stand in neither file."""
    unreadable_why: list[str] = field(default_factory=list)
    """Of the first of them."""
    note: str | None = None

    @property
    def kept(self) -> int:
        """Return how many rows stand in the file of those kept."""
        return self.rows - self.removed

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        told = {"file": str(self.outputs.source), "kept_file": str(self.outputs.kept)}
        told["removed_file"] = str(self.outputs.removed)
        counts = {"rows": self.rows, "kept": self.kept, "removed": self.removed, "reasons": self.reasons}
        without = {"without_question": self.without_question, "unreadable": self.unreadable}
        return told | counts | without | {"unreadable_why": self.unreadable_why, "note": self.note}

    def lines(self) -> list[str]:
        """Return the short table that is printed."""
        table = [("rows", self.rows, ""), ("kept", self.kept, str(self.outputs.kept))]
        table.append(("removed", self.removed, str(self.outputs.removed)))
        table += [(f"  {reason}", count, "") for reason, count in self.reasons.items()]
        if self.without_question:
            table.append(("no question", self.without_question, "kept, with nothing to judge them by"))
        if self.unreadable:
            table.append(("unreadable", self.unreadable, f"in neither file; {self.unreadable_why[0]}"))
        width = max(len(f"{count:,}") for _, count, _ in table)
        told = [f"{name:<20} {count:>{width},}  {what}".rstrip() for name, count, what in table]
        return told + ([self.note] if self.note else [])


@dataclass
class Questions:
    """The questions of a file.

    Args:
        file: read once.
        column: the one that holds them; None to find them by the row's shape.
    """

    file: RowFile
    column: str | None = None
    without: int = 0
    """Rows without a question so far."""
    found: int = 0

    def batches(self) -> Iterator[tuple[Batch, list[str | None]]]:
        """Yield the rows of the file with their questions.

        Raises:
            UserError: no row of the first batch has any, which says that they stand elsewhere.
        """
        for batch in self.file.batches():
            texts = [self._question(row) for row in batch.rows]
            self.without += sum(text is None for text in texts)
            self.found += sum(text is not None for text in texts)
            if batch.rows and not self.found:
                raise self._none_found(batch.rows[0])
            yield batch, texts

    def _question(self, row: Mapping[str, Any]) -> str | None:
        if self.column is None:
            conversation = read_conversation(row)
            text: Any = _alone(row) if conversation is None else conversation.question()
            if conversation is not None and conversation.kind == "text":
                text = conversation.turns[0].text
        else:
            text = row.get(self.column)
        return text if isinstance(text, str) and not is_blank(text) else None

    def _none_found(self, row: Mapping[str, Any]) -> UserError:
        there = ", ".join(map(str, list(row)[:8])) or "none"
        if self.column is not None:
            return UserError(f"{self.file.path} has no text in a column {self.column}: its columns are {there}")
        return UserError(
            f"{self.file.path} has no question that is found: its columns are {there}, and those that are read are "
            f"{known_columns_sentence()}; name the one with the questions by --column"
        )


def _alone(row: Mapping[str, Any]) -> Any:
    """Return the question of a row that has no answer."""
    names = {str(name).casefold(): name for name in reversed(list(row))}
    return next((row[names[name]] for name in QUESTIONS if name in names), None)


def write_both(
    found: Filtered,
    removed: Mapping[int, tuple[str, Mapping[str, Any]]],
    file: RowFile,
    report: Reporter,
    *,
    kept: bool = True,
) -> None:
    """Write the rows that are kept, as they stand in the file, and those removed, with the reason and the evidence.

    Args:
        found: whose counts are filled in.
        removed: of each row that is left out, by its number, the reason and the evidence.
        file: that has been read to its end.
        report: where the bar goes.
        kept: whether those kept are still to be written.
    """
    found.rows = file.read - file.unreadable_rows
    found.removed = len(removed)
    found.unreadable = file.unreadable_rows
    found.unreadable_why = [one.why for one in file.unreadable]
    for reason, _ in removed.values():
        found.reasons[reason] = found.reasons.get(reason, 0) + 1
    if kept:
        again = RowFile(found.outputs.source)
        with report.bar(again):
            write_rows(found.outputs.kept, _kept(again, removed, report), found.outputs.source)
    again = RowFile(found.outputs.source)
    with report.bar(again):
        write_rows(found.outputs.removed, _removed(again, removed, report), found.outputs.source)
    if found.removed or found.unreadable:
        report.say(f"{counted(found.removed, 'row')} left out, and listed in {found.outputs.removed}")


def _kept(file: RowFile, removed: Mapping[int, Any], report: Reporter) -> Iterator[Any]:
    for batch in file.batches():
        places = [at for at, number in enumerate(batch.numbers) if number not in removed]
        if batch.table is not None:
            yield batch.table.take(places) if len(places) < len(batch.rows) else batch.table
        else:
            rows: Sequence[Any] = batch.rows if batch.lines is None else batch.lines
            yield [rows[at] for at in places]
        report.update()


def _removed(
    file: RowFile, removed: Mapping[int, tuple[str, Mapping[str, Any]]], report: Reporter
) -> Iterator[list[bytes]]:
    for batch in file.batches():
        lines = []
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            if number in removed:
                reason, evidence = removed[number]
                lines.append(
                    json_bytes({"row": number, "reason": reason, "evidence": evidence, "content": _plain(row)})
                )
        yield lines
        report.update()


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what JSON has no value for, such as images."""
    kept = {}
    for name, value in row.items():
        try:
            json_bytes({name: value})
        except UserError:
            continue
        kept[name] = value
    return kept
