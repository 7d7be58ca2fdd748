"""Sources of questions: the domain's Hub dataset, any other, a local file, or the package's own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.files import file_digest
from tunixhack.errors import UserError
from tunixhack.runs.schema import QUESTION, REJECTION, conform
from tunixhack.sources.files import check_file, file_rows
from tunixhack.sources.hub import hub_rows
from tunixhack.sources.mapping import PLAIN, Column, questions

SHIPPED = "shipped"
"""The source that every machine has: the questions in the package."""

_SPEC = re.compile(
    r"(?P<path>\w[\w.-]*(/\w[\w.-]*)?)(:((?P<name>[^/@]+)/)?(?P<split>[^/@]+))?(@(?P<revision>\S+))?",
    re.ASCII,
)
_FILE_SUFFIXES = (
    ".jsonl",
    ".csv",
    ".parquet",
    ".json",
    ".ndjson",
    ".txt",
    ".tsv",
    ".md",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".xlsx",
    ".arrow",
)
"""Endings by which a name is taken for a file that is not there, rather than for a Hub dataset."""


@dataclass(frozen=True)
class Loaded:
    """The rows that a source gave."""

    rows: pl.DataFrame
    """The questions, in the QUESTION schema, in the source's order. Ids can be equal: see `collapse_equal_ids`."""
    rejected: pl.DataFrame
    """Rows that hold no question, in QUESTION + REJECTION: their row number is ``source_row``."""
    resolved: dict[str, Any]
    """What run.json keeps: path, name, split and revision as asked; the commit (Hub) or sha256 (file) that was
    read, the other null; ``columns``, ``own`` or ``plain``; and the number of rows read."""
    set_aside: int = 0
    """Questions that were not wanted at all, and are no candidates."""


@dataclass(frozen=True)
class Source:
    """A place that questions come from, and which of its columns are what.

    >>> Source("openai/gsm8k", name="main").override("openai/gsm8k:test@v1").split
    'test'
    """

    path: str
    """A Hub dataset (``user/name``), a file (see `tunixhack.sources.files`), or ``shipped``."""
    name: str | None = None
    """The Hub dataset's config."""
    split: str = "train"
    """The Hub dataset's split."""
    revision: str | None = None
    """The Hub dataset's branch, tag or commit; None for the newest."""
    columns: Mapping[str, Column] = field(default_factory=lambda: dict(PLAIN))
    """Our columns (question, context, support, reference, category, inputs) to the source's column, by name or as a
    function of the row. A column named as ours may be absent, except ``question``."""
    shipped: str | None = None
    """The file in the package's ``questions/shipped`` that ``shipped`` means, in the same columns."""
    license: str | None = None
    """The source's licence, as the Hub spells it; None where it is not known."""
    given: Mapping[str, str] | None = None
    """What `with_columns` was given, in place of the domain's ``columns``."""
    or_plain: bool = False
    """Take a source that lacks ``columns`` but has our own names (`override` sets it)."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(PLAIN))
        if unknown or "question" not in self.columns:
            wrong = f"{unknown[0]!r} is none of them" if unknown else "'question' is missing"
            raise UserError(f"Source({self.path!r}): columns can be {', '.join(PLAIN)}, and {wrong}")

    def override(self, spec: str) -> Source:
        """Return this domain's source at another place, as ``--source`` names it.

        * ``shipped``: the questions in the package
        * ``questions.jsonl``, ``data/questions.csv``, ``questions.parquet``, …: a local file
        * ``user/name``: a Hub dataset; ``user/name:split``, ``user/name:config/split`` and ``…@revision`` say which
          part of it and which branch, tag or commit

        The place may have this domain's columns, or ours by name (``question``, ``context``, …). The domain's own
        dataset keeps config, split, revision and licence where the spec leaves them open; of another one the
        licence is not known.

        Raises:
            UserError: a file that is not there or of another kind, or no spelling of a dataset.
        """
        away = dataclasses.replace(
            self, path=spec, name=None, split="train", revision=None, license=None, or_plain=True
        )
        if spec == SHIPPED:
            self._shipped_file()
            return dataclasses.replace(away, license="apache-2.0")
        if is_file(spec) and "://" not in spec:
            check_file(Path(spec).expanduser())
            return away
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise UserError(
                f"{spec!r} is no source: name a .jsonl, .json, .csv or .parquet file, {SHIPPED}, or a Hub dataset as "
                "user/name:config/split@revision, of which all but user/name may be left out"
            )
        base = self if match["path"] == self.path else away
        return dataclasses.replace(
            base,
            path=match["path"],
            name=match["name"] or base.name,
            split=match["split"] or base.split,
            revision=match["revision"] or base.revision,
        )

    def with_columns(self, columns: str | Mapping[str, str]) -> Source:
        """Return this source with columns of your own names, as ``--columns`` gives them.

        Args:
            columns: ours to the source's: ``"question=problem,reference=result"``, or a mapping of the same. Others of
                ours are taken where the source has them by their own name.

        Raises:
            UserError: it is not spelt so, or names a column that is none of ours.

        >>> Source("mine.jsonl").with_columns("question=problem").columns["question"]
        'problem'
        """
        given = _read_columns(columns) if isinstance(columns, str) else dict(columns)
        return dataclasses.replace(self, columns=dict(PLAIN) | given, given=given, or_plain=False)

    def columns_spelling(self) -> str | None:
        """Return what `with_columns` takes to name the same columns; None where they are the domain's."""
        return None if self.given is None else ",".join(f"{ours}={theirs}" for ours, theirs in self.given.items())

    def spelling(self) -> str:
        """Return what `override` takes to name this place.

        >>> Source("openai/gsm8k", name="main", revision="v1").spelling()
        'openai/gsm8k:main/train@v1'
        """
        if self._is_local:
            return self.path
        part = f"{self.name}/{self.split}" if self.name else self.split
        return f"{self.path}:{part}" + (f"@{self.revision}" if self.revision else "")

    def describe(self) -> dict[str, Any]:
        """Say which source this is: what a run's folder belongs to (contract 10). Its revision may change."""
        return {"path": self.path, "name": self.name, "split": None if self._is_local else self.split}

    def load(self, domain: str) -> Loaded:
        """Read all questions.

        Args:
            domain: the recipe's domain; part of every question_id.

        Raises:
            UserError: the source cannot be reached, found or read, has no rows, or lacks the columns; see
                `tunixhack.sources.hub`, `tunixhack.sources.files` and `tunixhack.sources.mapping`.
        """
        commit = sha256 = None
        if self._is_local:
            file = self._shipped_file() if self.path == SHIPPED else Path(self.path).expanduser()
            # the name alone: rows are published, and a folder's name can tell of its user
            rows, source = file_rows(file), self.path if self.path == SHIPPED else file.name
            sha256 = _sha256(file)
        else:
            opened = hub_rows(self.path, self.name, self.split, self.revision)
            rows, commit, source = opened.rows, opened.commit, self.path
        kept, rejected, plain = questions(rows, self.columns, or_plain=self.or_plain, domain=domain, source=source)
        resolved = self.describe() | {
            "revision": self.revision,
            "commit": commit,
            "sha256": sha256,
            "columns": "plain" if plain else "own",
            "rows": kept.height + rejected.height,
        }
        return Loaded(kept, rejected, resolved)

    @property
    def _is_local(self) -> bool:
        return self.path == SHIPPED or is_file(self.path)

    def _shipped_file(self) -> Path:
        if self.shipped is None:
            raise UserError(f"the package ships no questions for this domain: leave --source out for {self.path}")
        return Path(str(resources.files("tunixhack.sources").joinpath("shipped", self.shipped)))


def _read_columns(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in text.split(","):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not equals or not theirs or ours not in PLAIN or ours in given:
            raise UserError(
                f"--columns {text!r} is not understood at {part.strip()!r}: write OURS=YOURS with commas between, as "
                f"in question=problem,reference=result, where OURS is one of {', '.join(PLAIN)}, each once"
            )
        given[ours] = theirs
    return given


def is_file(path: str) -> bool:
    """Tell a local path from a Hub dataset's id, which has at most one slash and no ending of a file."""
    looks = path.startswith((".", "/", "~")) or "\\" in path or re.split("[:@]", path)[0].count("/") > 1
    return looks or Path(path).suffix.lower() in _FILE_SUFFIXES or Path(path).is_file()


def collapse_equal_ids(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one row of each question_id (contract 1).

    Rows with equal ids ask the same, but may differ in reference, support, category or inputs. The one with the
    smallest sha256 over all of these stays, so that shuffled input gives the same rows; of rows equal in all of them,
    the one with the smallest source_row.

    Args:
        rows: questions in the QUESTION schema.

    Returns:
        The kept rows, in their order; and the others with step ``equal_ids``, reason ``same_id`` and, as evidence,
        the content hash of the row that stays.
    """
    twice = rows["question_id"].is_duplicated()
    if not twice.any():
        return rows, conform(rows.clear(), QUESTION | REJECTION)
    same = rows.filter(twice).with_columns(
        pl.Series("_content", [_content(row) for row in rows.filter(twice).select(list(PLAIN)).iter_rows()])
    )
    smallest = pl.col("_content", "source_row").sort_by("_content", "source_row").first().over("question_id")
    same = same.with_columns(smallest.name.suffix("_kept"))
    stays = (pl.col("_content") == pl.col("_content_kept")) & (pl.col("source_row") == pl.col("source_row_kept"))
    dropped = same.filter(~stays)
    evidence = [json.dumps({"kept_content": kept}) for kept in dropped["_content_kept"]]
    rejected = dropped.with_columns(
        step=pl.lit("equal_ids"), reason=pl.lit("same_id"), evidence=pl.Series(evidence, dtype=pl.String)
    ).drop("_content", "_content_kept", "source_row_kept")
    kept = rows.join(
        dropped.select("question_id", "source_row"), on=["question_id", "source_row"], how="anti", maintain_order="left"
    )
    return kept, conform(rejected, QUESTION | REJECTION)


def _sha256(file: Path) -> str:
    check_file(file)
    return file_digest(file)


def _content(values: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()
