"""The rows of a run as the report shows them: in entries, each of one question, or of one that others repeat."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from tunixhack.errors import UserError
from tunixhack.report.public_words import PublicWords
from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE, REJECTION, conform, others
from tunixhack.runs.tables import REMEDY, height, table_files

ANSWERS, REPEATS, MATCH, QUESTION = range(4)
"""Kinds of entries: a question's answers; a question with those that repeat it; a question that a benchmark has; a
question that was left out for another reason."""

MOST_ROWS = 500_000
"""Rows of a report; of more, answers come first."""
MOST_CHARACTERS = 2**28
"""Of all texts together: longer ones are cut to what lets this much be enough."""
MOST_OF_ONE = 2**20
_TEXTS = ("question", "context", "reference", "support", "reasoning", "answer", "evidence")
_OF_QUESTION = ("context", "reference", "support", "category", "source")
_UNSEEN = ("domain", "inputs", "trace", "request_key", "seed", "prompt_tokens")
"""Columns of a run's tables that are not shown; some of them are large."""


@dataclass(frozen=True)
class ReportRows:
    """What the report shows of a run's tables."""

    answers: pl.DataFrame
    """Kept and rejected answers, by question and sample; the kept have no step."""
    questions: pl.DataFrame
    """Questions that were dropped before anybody answered them."""
    others: Mapping[str, str]
    """The texts of questions that others repeat, by their ids."""
    longest: int
    """Characters of a text that are in the report."""
    left_out: int
    """Rows that are not in it."""

    @cached_property
    def added(self) -> list[str]:
        """The columns that steps added, and those of a recipe's own."""
        return others(self.answers, (*CORE, *REJECTION, "part", "repeat"))

    @cached_property
    def measured(self) -> list[str]:
        """Those of them whose values are numbers, or true and false."""
        kinds = {name: self.answers[name] for name in self.added}
        return [
            name
            for name, values in kinds.items()
            if (values.dtype.is_numeric() or values.dtype == pl.Boolean) and values.count()
        ]


@dataclass
class Entry:
    """What is shown together: a question and rows of it."""

    kind: int
    content: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Characters of all of its texts."""
        return sum(len(text) for one in (self.content, *self.rows) for text in one.values() if isinstance(text, str))


def report_rows(run: Run) -> ReportRows:
    """Read what there is of a run's tables; those of the pilot where the last start ended with it.

    Raises:
        UserError: a table is damaged, or is not what a run writes.
    """
    try:
        kept, dropped = (_table(run, name) for name in ("train", "rejected"))
        unread = sum(_unread(run, name) for name in ("train", "rejected"))
        rows = PublicWords(run.state()).evidence(pl.concat([kept, dropped], how="diagonal_relaxed"))
        del kept, dropped  # as large as the rows
        asked = pl.col("sample").is_not_null()
        answers = rows.filter(asked).sort("question_id", "part", "sample", maintain_order=True)
        questions = rows.filter(~asked).sort("step", "reason", "question_id", maintain_order=True)
        left_out = max(0, rows.height + unread - MOST_ROWS)
        answers = answers.head(MOST_ROWS)
        questions = questions.head(MOST_ROWS - answers.height)
        found = _repeated(run, questions)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"the tables of {run.place} are not what a run writes ({error}): {REMEDY}") from error
    return ReportRows(answers, questions, found, _longest(answers, questions), left_out)


def _table(run: Run, name: str) -> pl.DataFrame:
    # both tables are in the order of the questions, so that what is shown is within these rows
    table = run.latest_table(name, most=MOST_ROWS)
    wanted = {name: kind for name, kind in (CORE | REJECTION).items() if name not in _UNSEEN} | {"part": pl.String()}
    if table is not None:
        table = table.drop(_UNSEEN, strict=False)
    table = conform(pl.DataFrame(schema=wanted) if table is None or not table.width else table, wanted)
    # a question that a mixture repeats has the same rows again
    return table.filter(pl.col("repeat").fill_null(0) == 0) if "repeat" in table.columns else table


def _unread(run: Run, name: str) -> int:
    """Count the rows of a table that are beyond those of the report."""
    return max(0, height(run.folder, name) - MOST_ROWS) if table_files(run.folder, name) else 0


def _repeated(run: Run, questions: pl.DataFrame) -> dict[str, str]:
    """Find the texts of the questions that others repeat."""
    ids = {one for text in questions["evidence"] if (one := repeated_by(evidence_of(text))) is not None}
    if not ids:
        return {}
    found: dict[str, str] = {}
    for name in ("questions", "train", "rejected"):
        table = run.latest_table(name)
        if table is not None and {"question_id", "question"} <= set(table.columns):
            named = table.filter(pl.col("question_id").is_in(ids)).select("question_id", "question")
            found = dict(named.drop_nulls().iter_rows()) | found
    return found


def evidence_of(text: str | None) -> dict[str, Any]:
    """Read the evidence of a row; nothing where it is none."""
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def repeated_by(evidence: Mapping[str, Any]) -> str | None:
    """Return the id of the question that a row repeats, by its evidence; None where it repeats none.

    >>> repeated_by({"kept": "q1", "similarity": 93.1}), repeated_by({"question_id": "q2", "part": "facts"})
    ('q1', 'q2')
    """
    found = evidence.get("kept", evidence.get("question_id"))
    return found if isinstance(found, str) else None


def _longest(*tables: pl.DataFrame) -> int:
    """Return how much of a text can be shown so that all texts together are not too much for a browser."""
    lengths = pl.concat([table[name].str.len_chars().drop_nulls() for table in tables for name in _TEXTS])
    low, high = 0, MOST_OF_ONE
    while low < high:
        middle = (low + high + 1) // 2
        if int(lengths.clip(upper_bound=middle).cast(pl.Int64).sum()) <= MOST_CHARACTERS:
            low = middle
        else:
            high = middle - 1
    return low


def entries(rows: ReportRows) -> Iterator[Entry]:
    """Yield the entries of a report: answers first, then questions that were dropped."""
    yield from _of_answers(rows)
    repeats: dict[str, Entry] = {}
    rest: list[Entry] = []
    for row in rows.questions.iter_rows(named=True):
        told = evidence_of(row["evidence"])
        kept = repeated_by(told)
        if kept is not None:
            if kept not in repeats:
                content = {"id": kept, "question": _cut(rows.others.get(kept), rows.longest)}
                repeats[kept] = Entry(REPEATS, content | _named(row, "part", "category"))
            repeats[kept].rows.append(_row(row, rows) | {"question": _cut(row["question"], rows.longest)})
        else:
            kind = MATCH if "benchmark" in told else QUESTION
            rest.append(Entry(kind, _question(row, rows), [_row(row, rows)]))
    yield from sorted(repeats.values(), key=lambda entry: -len(entry.rows))
    yield from rest


def _of_answers(rows: ReportRows) -> Iterator[Entry]:
    entry: Entry | None = None
    for row in rows.answers.iter_rows(named=True):
        if entry is None or (entry.content["id"], entry.content.get("part")) != (row["question_id"], row["part"]):
            if entry is not None:
                yield entry
            entry = Entry(ANSWERS, _question(row, rows))
        entry.rows.append(_row(row, rows))
    if entry is not None:
        yield entry


def _question(row: Mapping[str, Any], rows: ReportRows) -> dict[str, Any]:
    texts = {name: _cut(row[name], rows.longest) for name in ("question", *_OF_QUESTION)}
    return {"id": row["question_id"]} | _named(row, "part") | {name: text for name, text in texts.items() if text}


def _named(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names if row[name] is not None}


def _row(row: Mapping[str, Any], rows: ReportRows) -> dict[str, Any]:
    """Return a row as the page shows it; what is null is left out."""
    texts = {name: _cut(row[name], rows.longest) for name in ("reasoning", "answer", "evidence")}
    numbers = _named(row, "sample", "step", "reason", "teacher", "finish_reason", "completion_tokens", "source_row")
    more = {name: plain(row[name], rows.longest) for name in rows.added if row.get(name) is not None}
    cut = [name for name, text in texts.items() if text is not None and len(text) < len(row[name])]
    shown = {name: text for name, text in texts.items() if text is not None} | numbers | {"id": row["question_id"]}
    lengths = {"lengths": [len(row[name] or "") for name in ("reasoning", "answer")]}
    return shown | lengths | ({"more": more} if more else {}) | ({"cut": cut} if cut else {})


def _cut(text: str | None, most: int) -> str | None:
    return text if text is None else text[:most]


def plain(value: Any, most: int) -> Any:
    """Return a value of a column that a step added as a browser's JSON has it: what it has not becomes text."""
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)[:most]
