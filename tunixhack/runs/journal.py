"""The journal that a running call leaves: a line for each completion, read into rows of the answer store.

The last line can be torn by a kill. It is left out, and what it answered is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.ids import SEED_MODULUS
from tunixhack._util.wire_json import read_json
from tunixhack.replies.choices import choices_of, match_choices, usage_of
from tunixhack.replies.token_usage import BY_CHOICE, token_count, token_counts

FIELDS: dict[str, pl.DataType] = {
    "request_key": pl.String(),
    "sample": pl.Int64(),
    "question_id": pl.String(),
    "step": pl.String(),
    "teacher": pl.String(),
    "seed": pl.Int64(),
    "count": pl.Int64(),
    "choice": pl.String(),
    "finish_reason": pl.String(),
    "prompt_tokens": pl.Int64(),
    "completion_tokens": pl.Int64(),
    "usage": pl.String(),
    "when": pl.String(),
    "model": pl.String(),
}
"""A stored answer. ``choice`` is the raw element of ``choices`` as JSON. ``usage`` is the whole request's, as JSON, and
stands on the first choice of a request only, so that adding up counts nothing twice; ``count`` is how many choices
that request asked for. ``completion_tokens`` is known where a request had one choice, or each was counted; see
`tunixhack.replies.token_usage` for what is added to ``usage``. ``model`` is the one that the reply names; answers that
were stored before it was kept have none."""
LATER = ("model",)
"""The fields that files of version 0.1.0 lack."""
OF_REQUEST = ("step", "usage", "count", "when", "model")
"""The fields of a stored answer that no row of a dataset has."""


PART = 64_000_000
"""Characters of answers that are taken over from a journal at once."""


def read_journal(folder: Path) -> pl.DataFrame:
    """Read every complete line below a folder into rows of `FIELDS`."""
    rows = [row for line in _lines(folder) for row in rows_of(line)]
    return pl.DataFrame(rows, schema=FIELDS, orient="row")


def read_journal_in_parts(folder: Path) -> Iterator[pl.DataFrame]:
    """Yield what `read_journal` returns, at most about `PART` characters of answers at a time."""
    rows: list[dict[str, Any]] = []
    size = 0
    for line in _lines(folder):
        for row in rows_of(line):
            rows.append(row)
            size += len(row["choice"])
        if size >= PART:
            yield pl.DataFrame(rows, schema=FIELDS, orient="row")
            rows, size = [], 0
    yield pl.DataFrame(rows, schema=FIELDS, orient="row")


def with_all_fields(answers: pl.DataFrame) -> pl.DataFrame:
    """Return stored answers in the order of `FIELDS`; columns that an earlier version did not know are null."""
    lacking = [name for name in LATER if name not in answers.columns]
    filled = answers.with_columns(pl.lit(None, FIELDS[name]).alias(name) for name in lacking)
    return filled.select([name for name in FIELDS if name in filled.columns])


def journals(folder: Path) -> list[Path]:
    """Return the files of a journal, in the order in which they are read."""
    return sorted(folder.glob("**/responses_*.jsonl"))


def count_choices(folder: Path) -> int:
    """Count the choices in the journal, while a run is in progress."""
    return sum(1 for line in _lines(folder) for _ in rows_of(line))


def rows_of(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Split a journal line into one row for each choice that answers a sample that was asked for."""
    sent = line["generic_request"]["original_row"]
    completion = line["response_message"]
    choices, usage = choices_of(completion), usage_of(completion)
    tokens = token_counts(usage)
    of_one = tokens.completion if sent["count"] == 1 else None
    for number, (offset, place) in enumerate(match_choices(choices, sent["count"])):
        choice = choices[place]
        yield {
            "request_key": sent["request_key"],
            "sample": sent["first"] + offset,
            "question_id": sent["question_id"],
            "step": sent["step"],
            "teacher": sent["teacher"],
            "seed": None if sent["seed"] is None else (sent["seed"] + offset) % SEED_MODULUS,
            "count": sent["count"],
            "choice": json.dumps(choice, ensure_ascii=False),
            "finish_reason": _text(choice.get("finish_reason")) if isinstance(choice, dict) else None,
            "prompt_tokens": tokens.prompt,
            "completion_tokens": _of_choice(usage, place, of_one),
            "usage": json.dumps(usage) if usage and not number else None,
            "when": line["finished_at"],
            "model": _text(completion.get("model")),
        }


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    for path in journals(folder):
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    continue  # torn by a kill
                try:
                    read = read_json(line)
                except ValueError:
                    continue  # a torn line that a later writer went on behind
                if isinstance(read, dict) and isinstance(read.get("response_message"), dict):
                    yield read


def _of_choice(usage: Mapping[str, Any], place: int, of_one: int | None) -> int | None:
    each = usage.get(BY_CHOICE)
    if isinstance(each, list):
        return token_count(each[place]) if place < len(each) else None
    return of_one


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
