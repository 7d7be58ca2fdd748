"""The source of one part of a mixture: another source's rows, without those of other categories and other parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tunixhack.errors import TunixHackError, UserError, nearest
from tunixhack.runs.schema import QUESTION, REJECTION, conform
from tunixhack.sources.chosen_rows import ChosenRows
from tunixhack.sources.question_source import QuestionSource
from tunixhack.sources.source import Loaded
from tunixhack.steps.exact_dedup import normalise

Value = str | int | float
Where = Mapping[str, Value | Sequence[Value]] | Callable[[dict[str, Any]], bool]
"""Which rows of a source a part takes: the values that columns of ours may have, or a function of a question's row."""
MOST_KEPT = 256.0
"""Megabytes of questions that are kept to be read again; larger sources are read anew."""
STEP, REASON = "other_parts", "in_earlier_part"
"""What rejected.parquet says of a question that an earlier part has as well."""


MOST_KNOWN = 20
"""A column with more values than this is not one of categories, and they are not listed."""


class TakenQuestions:
    """The first part that has a question, by the question's normalised text and context.

    >>> taken = TakenQuestions()
    >>> rows = pl.DataFrame({"question_id": ["a"], "question": ["What is rain?"], "context": [None]})
    >>> taken.add("weather", rows)
    >>> taken.find(rows.with_columns(question=pl.lit("what is  rain?")), parts=["weather"])
    [('weather', 'a')]
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._by_text: dict[bytes, tuple[str, str]] = {}

    def add(self, part: str, rows: pl.DataFrame) -> None:
        """Add the questions that a part can take, whether or not it will."""
        for text, question in zip(_texts(rows), rows["question_id"], strict=True):
            self._by_text.setdefault(text, (part, question))

    def find(self, rows: pl.DataFrame, parts: Collection[str]) -> list[tuple[str, str] | None]:
        """Return for each row which of some parts has its question, and that question's id; None where none has."""
        found = (self._by_text.get(text) for text in _texts(rows))
        return [one if one is not None and one[0] in parts else None for one in found]


class SourceReader:
    """Reads each source once for all parts of one build, as long as what is kept is small."""

    def __init__(self) -> None:
        """Have read none."""
        self._read: list[tuple[QuestionSource, str, Loaded]] = []
        self._megabytes = 0.0

    def load(self, source: QuestionSource, domain: str) -> Loaded:
        """Return all questions of a source."""
        for there, of, loaded in self._read:
            if of == domain and there == source:
                return loaded
        loaded = source.load(domain)
        size = loaded.rows.estimated_size("mb")
        if self._megabytes + size <= MOST_KEPT:
            self._megabytes += size
            self._read.append((source, domain, loaded))
        return loaded


@dataclass(frozen=True, kw_only=True)
class PartSource(ChosenRows):
    """A source's rows that belong to one part of a mixture.

    Rows that ``where`` does not want are none of the part's candidates. A question that an earlier part can take, by
    its normalised text (`tunixhack.steps.exact_dedup.normalise`) and context, is rejected as ``in_earlier_part``.
    """

    where: Where | None = None
    taken: TakenQuestions | None = field(default=None, repr=False, compare=False)
    """Which part has which question; those of later parts may be in it, too."""
    earlier: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """The parts before this one."""
    reader: SourceReader = field(default_factory=SourceReader, repr=False, compare=False)
    """Of all parts' sources: a part is decided before it is built, and several can be of one source."""

    @classmethod
    def of(
        cls,
        whole: QuestionSource,
        where: Where | None,
        taken: TakenQuestions | None = None,
        earlier: Sequence[str] = (),
    ) -> PartSource:
        """Make a part's source out of another one.

        Raises:
            UserError: ``where`` names a column that questions do not have.
        """
        if isinstance(where, Mapping):
            unknown = sorted(set(where) - set(QUESTION))
            if unknown:
                raise UserError(
                    f"where={dict(where)!r}: {unknown[0]!r} is no column of a question: {', '.join(QUESTION)}"
                )
            for column, given in where.items():
                values: Sequence[object] = _values(given)
                if not values or not all(isinstance(one, str | int | float) for one in values):
                    raise UserError(
                        f"where={{{column!r}: {given!r}}}: give the values that {column} may have, each a text or a "
                        "number"
                    )
        elif where is not None and not callable(where):
            raise UserError(f"where={where!r} is a mapping of columns to values, or a function of a question's row")
        return cls(whole=whole, where=where, taken=taken, earlier=tuple(earlier))

    def load(self, domain: str) -> Loaded:
        """Read the part's questions; see `tunixhack.sources.question_source.QuestionSource`."""
        loaded = self.reader.load(self.whole, domain)
        rows = loaded.rows
        if self.where is not None:
            rows = rows.filter(wanted(rows, self.where))
        if rows.is_empty():
            hint = "; ".join(values_without_rows(loaded.rows, self.where)) or "see `where=` of the part"
            raise UserError(f"{self.whole.path} has no question where {describe(self.where)}: {hint}")
        aside = loaded.rows.height - rows.height
        twins = [None] * rows.height if self.taken is None else self.taken.find(rows, self.earlier)
        is_twin = pl.Series([twin is not None for twin in twins], dtype=pl.Boolean)
        evidence = [json.dumps({"part": twin[0], "question_id": twin[1]}) for twin in twins if twin is not None]
        rejected = rows.filter(is_twin).with_columns(
            step=pl.lit(STEP), reason=pl.lit(REASON), evidence=pl.Series(evidence, dtype=pl.String)
        )
        both = pl.concat([loaded.rejected, conform(rejected, QUESTION | REJECTION)])
        resolved = loaded.resolved | {"where_without_rows": values_without_rows(loaded.rows, self.where)}
        return Loaded(rows.filter(~is_twin), both, resolved, set_aside=loaded.set_aside + aside)

    def describe(self) -> dict[str, Any]:
        """Say which rows of which source these are."""
        return self.whole.describe() | ({} if self.where is None else {"where": describe(self.where)})


def wanted(rows: pl.DataFrame, where: Where) -> pl.Series:
    """Tell which rows a part wants.

    >>> rows = pl.DataFrame({"category": ["open_qa", "closed_qa", None]})
    >>> wanted(rows, {"category": ("open_qa", "general_qa")}).to_list()
    [True, False, False]
    """
    if isinstance(where, Mapping):
        keep = pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True)
        for column, values in where.items():
            allowed = set(_values(values))
            keep &= pl.Series([value in allowed for value in rows[column]], dtype=pl.Boolean)
        return keep
    return pl.Series([_says(where, row) for row in rows.iter_rows(named=True)], dtype=pl.Boolean)


def values_without_rows(rows: pl.DataFrame, where: Where | None) -> list[str]:
    """Say of each value that a part wants and no row has which one may have been meant.

    >>> rows = pl.DataFrame({"category": ["open_qa", "closed_qa", None]})
    >>> values_without_rows(rows, {"category": ("open_qa", "closedqa")})
    ["no row's category is 'closedqa': did you mean closed_qa? Known: closed_qa, open_qa"]
    """
    if not isinstance(where, Mapping):
        return []
    told = []
    for column, values in where.items():
        there = rows[column].drop_nulls().unique().to_list()
        for value in _values(values):
            if value not in there:
                known = nearest(str(value), sorted(map(str, there))) if 0 < len(there) <= MOST_KNOWN else ""
                told.append(f"no row's {column} is {value!r}" + (f": {known}" if known else ""))
    return told


def describe(where: Where | None) -> str:
    """Say which rows a part wants.

    >>> describe({"category": ("open_qa", "closed_qa")})
    'category is open_qa or closed_qa'
    """
    if isinstance(where, Mapping):
        return " and ".join(f"{name} is {' or '.join(map(str, _values(values)))}" for name, values in where.items())
    return getattr(where, "__name__", "a function says so")


def _values(given: Value | Sequence[Value]) -> list[Value]:
    return list(given) if isinstance(given, Sequence | set | frozenset) and not isinstance(given, str) else [given]


def _says(where: Callable[[dict[str, Any]], bool], row: dict[str, Any]) -> bool:
    try:
        return bool(where(row))
    except TunixHackError:
        raise
    except Exception as error:  # the user's own function can raise anything
        raise UserError(
            f"where={describe(where)} failed with {type(error).__name__}: {error}, for the question of source_row "
            f"{row['source_row']}; a row has the columns {', '.join(row)}, and what is not known in it is None"
        ) from error


def _texts(rows: pl.DataFrame) -> list[bytes]:
    """Hash each question's normalised text and context: of a large source, the texts would fill the memory."""
    question = normalise(rows["question"].fill_null(""))
    context = normalise(rows["context"].cast(pl.String).fill_null(""), ())
    return [
        hashlib.blake2b(f"{one}\0{other}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for one, other in zip(question, context, strict=True)
    ]
