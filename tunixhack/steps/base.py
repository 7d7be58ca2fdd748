"""The definition of a step and of what it returns, and the one place that carries out its verdict (contract 3).

A step is called as ``step(rows, ctx)`` with a polars table. It either judges rows, and returns a `Verdict`, or
makes rows, and returns `Made`. Only `judge` here selects, writes down rejects and checks that no row went missing on
the way: a step cannot lose a row silently. A step can say of itself, as attributes or class variables:

=================  ===================================================================================
``name``           what tables, the funnel and columns call it; its class or function in snake_case when absent
``stage``          ``"questions"`` (before `Sample`) or ``"answers"`` (behind it); any place when absent
``reads``          columns that must be there, such as ``("reasoning", "answer")``
``writes``         columns that it adds, beginning with its name
``share``          the share of rows that it is asked to keep, above 0 and at most 1
``per_question``   the number of answers that it is asked to keep of each question
``searches``       whether it judges each row by itself, at a price, and cannot say which share it will keep: then it
                   is given candidates in rank order, more and more of them, until as many are kept as are wanted
``makes``          whether it returns `Made`; a return annotation says the same
``asks``           whether it asks a teacher
``teacher``        the teacher that it asks, where it is another than the run's
``teachers``       those that it asks, where there can be several
``ready``          a function without arguments that is called before anything is loaded or paid; it raises a
                   `UserError` where the step could not do its work
``by_question``    whether it judges the answers to each question without a look at those to others: then it is called
                   for some questions after others where there are too many answers for the memory. What is told of
                   several calls is that of their `Verdict.figures`, added up; without those it is the note with the
                   largest number, and details that are the same every time. A step that does not say so is given all
                   answers at once
``waits``          whether it is called only when no more answers come, since it compares answers to a question with one
                   another, or takes long
=================  ===================================================================================

What a step does not say is not checked before anything is paid. A plain function need not say anything.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tunixhack.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from tunixhack.steps.figures import Figures
    from tunixhack.steps.request import Request


class Ask(Protocol):
    """A step's way to ask a teacher: answers come from the run's store, and only missing ones are paid for."""

    def __call__(self, requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        """Return one row for each sample of each request that was received.

        Args:
            requests: what is asked; see `tunixhack.steps.request.Request`.
            teacher: who answers, as after ``--teacher``; None for the run's teacher.

        Returns:
            The columns of `tunixhack.runs.journal.FIELDS`, and ``request``, the place in ``requests``. A sample
            that was not received is no row: it is missing, and asked for by the next start.
        """
        ...


def no_teacher(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
    """Refuse to ask: what ``ctx.ask`` is outside of a recipe."""
    raise UserError("this step asks a teacher, but it was called without one: run it in a recipe")


@dataclass(frozen=True, kw_only=True)
class Context:
    """The values and functions that a step is given of the run it works for."""

    seed: int = 0
    """The run's seed."""
    domain: str = ""
    """The recipe's domain."""
    samples: int = 16
    """Answers for each question."""
    quota: int | None = None
    """For a selecting step, how many rows it has to keep; None outside of one."""
    part: bool = False
    """Whether the rows are the answers to some questions of several parts. What can be said of all parts together alone
    is then left to `Figures.failure` of the `Verdict.figures`."""
    trace: str = "written"
    """Where the reasoning comes from: native, written or guided."""
    render: Callable[[dict[str, Any]], list[dict[str, str]]] | None = None
    """A question row to the messages that the domain's teacher is sent."""
    trace_of: Callable[[dict[str, Any]], str] | None = None
    """A question row to the kind of trace it is asked for; None where ``trace`` holds for all of them."""
    wording_of: Callable[[dict[str, Any]], str | None] | None = None
    """A question row to the name of the wording that it is put in; None where the recipe has no wordings."""
    max_tokens: int | None = None
    """The limit of one answer as sent to the teacher; None where the server's own applies."""
    count_tokens: Callable[[Sequence[str]], list[int]] | None = None
    """Texts to lengths in the student's tokens; None without a student."""
    student: str | None = None
    """The student that the tokens belong to."""
    ask: Ask = no_teacher
    """Ask a teacher; see `Ask`."""
    declined: Callable[[], Mapping[str, str]] = dict
    """Questions whose content a teacher has refused, by their ids, with what it said."""
    why_missing: Callable[[], str] = str
    """The end of a sentence about missing answers: why they were not received."""

    criteria: Sequence[str] = ()
    """The recipe's criteria for a judge of answers; none where it has none."""
    say: Callable[[str], None] = field(default=lambda sentence: None, repr=False)
    """Tell the user a sentence, such as how far a long step is."""
    memo: dict[str, Any] = field(default_factory=dict, repr=False)
    """What a step keeps in memory between its calls in one build, such as a model that it has loaded."""
    cache: Path | None = None
    """A folder for what a step may keep between runs, to be made by it; None outside of a recipe. What is in it can be
    deleted at any time: answers are kept in the run's store, and not here."""

    def as_asked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return question rows with how each is asked: ``trace``, and ``wording`` where the recipe has wordings."""
        import polars as pl

        asked = list(rows.iter_rows(named=True))
        kinds = [self.trace_of(row) if self.trace_of else self.trace for row in asked]
        rows = rows.with_columns(pl.Series("trace", kinds, dtype=pl.String))
        if self.wording_of is None:
            return rows
        return rows.with_columns(pl.Series("wording", list(map(self.wording_of, asked)), dtype=pl.String))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A step's judgement of every row it was given, in the rows' order.

    >>> import polars as pl
    >>> rows = pl.DataFrame({"question": ["a limerick", "a sonnet"]})
    >>> Verdict(keep=~rows["question"].str.contains("limerick"), reason="limerick").keep.to_list()
    [False, True]
    """

    keep: pl.Series
    """Booleans, one a row."""
    reason: str | pl.Series | None = None
    """A word for each dropped row, or one word for all of them. Ignored for kept rows."""
    evidence: Sequence[Mapping[str, Any] | None] | None = None
    """For each row what led to the judgement, as JSON-able mappings. Ignored for kept rows."""
    columns: Mapping[str, pl.Series] = field(default_factory=dict)
    """New columns, named ``<step>_…``; a column is written once."""
    note: str | None = None
    """What the funnel says of the judgement as a whole, such as the limit that was applied."""
    details: Mapping[str, Any] | None = None
    """What run.json keeps in the funnel's line beside the note, as a JSON-able mapping."""
    remedy: str | None = None
    """Which option keeps the rows that were dropped; told where too many were, and not kept."""
    order: pl.Series | None = None
    """Of a step that selects a share, the place of each kept row among those that it chose, from 0: which rows it would
    keep of fewer. None where that is the rows' order."""
    figures: Figures | None = None
    """What note and details are made of, in place of these: figures that can be added to those of other rows, such as
    `tunixhack.steps.figures.Counts`. For a step that says ``by_question``, which is called several times."""

    def __post_init__(self) -> None:
        """Take note and details from the figures, where there are any."""
        if self.figures is not None:
            object.__setattr__(self, "note", self.figures.note)
            object.__setattr__(self, "details", self.figures.details)


@dataclass(frozen=True, kw_only=True)
class Made:
    """Rows that a step made, to be questions beside those that it was given.

    The runner gives them their question_ids, rejects those whose id is there already (``same_id``), ranks the others
    among the candidates, and lists them in questions.parquet with their parents. The rows that the step was given go
    on as well; a later step can drop those whose ``parents`` are null. Rows are made before `Sample`, and before the
    first step that selects by a share.

    >>> import polars as pl
    >>> rows = pl.DataFrame({"question_id": ["00ff"], "question": ["Describe rain."]})
    >>> verse = rows.select(question=pl.col("question") + " In verse.")
    >>> Made(rows=verse, parents=rows["question_id"]).rows["question"].to_list()
    ['Describe rain. In verse.']
    """

    rows: pl.DataFrame
    """With ``question``; ``context``, ``support``, ``reference``, ``category``, ``source`` and ``inputs`` are taken
    where they are there, and so are columns under the step's own name. All others are left out: what was measured of
    a parent is not known of what was made from it."""
    parents: pl.Series | Sequence[str | Sequence[str]]
    """For each row the question_ids of the rows that it was made from; of none, an empty list."""
    reasons: pl.Series | Sequence[str | None] | None = None
    """For each row why it is no question after all, and goes to the rejects under that; None for a row that is one. All
    rows are questions where this is None."""
    note: str | None = None
    """What the funnel says of the rows as a whole; see `Verdict.note`."""


Step = Callable[["pl.DataFrame", Context], "Verdict | Made | pl.DataFrame"]


def step_name(step: Step) -> str:
    """Name a step as tables and the funnel show it: its own ``name``, or its class or function in snake_case."""
    own = getattr(step, "name", None)
    if isinstance(own, str):
        return own
    plain = getattr(step, "__name__", type(step).__name__)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()


def share_kept(step: Step, rows: pl.DataFrame | None = None) -> float:
    """Return the share of rows that a step was asked to keep.

    Args:
        step: which says so by its ``share``, or for answers by ``per_question``. A ``keep`` is read as a share where
            it is a float above 0 and at most 1; anything else under that name means something else to its author.
        rows: answers that it was given, of which ``per_question`` is a share; None for questions.

    Returns:
        The share; 1 for a step that was asked to keep all.

    >>> class Best:
    ...     per_question = 1
    >>> import polars as pl
    >>> share_kept(Best(), pl.DataFrame({"question_id": ["a", "a", "a", "b"]}))
    0.5
    """
    share = getattr(step, "share", None)
    if share is None and isinstance(getattr(step, "keep", None), float):
        share = step.keep  # type: ignore[attr-defined]  # as steps said it before there was `share`
    if is_share(share):
        return float(share)  # type: ignore[arg-type]
    most = asked_per_question(step)
    if most is None or rows is None or rows.is_empty():
        return 1.0
    counts = rows["question_id"].value_counts()["count"]
    return float(counts.clip(upper_bound=most).sum()) / rows.height


def is_share(value: object) -> bool:
    """Tell whether a value is a number above 0 and at most 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


def asked_per_question(step: Step) -> int | None:
    """Return how many answers of each question a step was asked to keep; None where it was not."""
    most = getattr(step, "per_question", None)
    return most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None


def keeps_all(step: Step) -> bool:
    """Tell whether a step was asked to keep every row that is good."""
    return not selects(step) and asked_per_question(step) is None


def searches(step: Step) -> bool:
    """Tell whether a step is given more and more candidates until as many are kept as are wanted."""
    return getattr(step, "searches", False) is True


def selects(step: Step) -> bool:
    """Tell whether a step selects among good rows: a share of them, or those that it searches for."""
    return share_kept(step) < 1 or searches(step)


def makes_rows(step: Step) -> bool:
    """Tell whether a step says that it makes rows: by ``makes``, or by the annotation of what it returns."""
    said = getattr(step, "makes", None)
    if isinstance(said, bool):
        return said
    function = step if hasattr(step, "__name__") else type(step).__call__
    annotated = getattr(function, "__annotations__", {}).get("return")
    return annotated is Made or str(annotated).rpartition(".")[2] == "Made"


def asks_teacher(step: Step) -> bool:
    """Tell whether a step says that it asks a teacher."""
    return bool(getattr(step, "asks", False)) or isinstance(getattr(step, "teacher", None), str)


def waits(step: Step) -> bool:
    """Tell whether a step is called only when no more answers come."""
    return getattr(step, "waits", False) is True


def by_question(step: Step) -> bool:
    """Tell whether a step judges the answers to each question without a look at those to others."""
    return getattr(step, "by_question", False) is True


def candidates_needed(quota: int, keep: float) -> int:
    """Return how many rows a selecting step needs to keep ``quota`` of them: ceil(quota / keep), without float dust.

    >>> candidates_needed(3, 1 / 3), candidates_needed(10, 0.5)
    (9, 20)
    """
    return math.ceil(quota / Fraction(keep).limit_denominator(10_000))


@dataclass(frozen=True)
class Judged:
    """The rows of one step, as it judged them: those kept, and those rejected."""

    kept: pl.DataFrame
    rejected: pl.DataFrame
    """The dropped rows with ``step``, ``reason`` and ``evidence``."""
    remedy: str | None = None
    """See `Verdict.remedy`; None where nothing was dropped."""


def judge(step: Step, rows: pl.DataFrame, verdict: Verdict) -> Judged:
    """Carry out a verdict: add its columns, split kept from dropped, and give each dropped row its reason.

    Raises:
        UserError: the verdict does not fit the rows. Steps can be the user's own, so this names the step and what
            to change.
    """
    import polars as pl

    name = step_name(step)
    _check(name, rows, verdict)
    keep = verdict.keep.rename("keep")
    judged = rows.with_columns(series.alias(column) for column, series in verdict.columns.items())
    reason = verdict.reason if isinstance(verdict.reason, pl.Series) else pl.Series([verdict.reason or name])
    if len(reason) != rows.height:
        reason = reason.new_from_index(0, rows.height)
    evidence = verdict.evidence or [None] * rows.height
    rejected = judged.with_columns(
        pl.lit(name).alias("step"),
        reason.cast(pl.String).fill_null(name).alias("reason"),
        pl.Series("evidence", [None if e is None else _json(e) for e in evidence], dtype=pl.String),
    ).filter(~keep)
    kept = judged.filter(keep)
    if kept.height + rejected.height != rows.height:
        raise AssertionError(f"step {name}: {rows.height} rows in, {kept.height} kept + {rejected.height} rejected")
    return Judged(kept, rejected, verdict.remedy if rejected.height else None)


def _check(name: str, rows: pl.DataFrame, verdict: Verdict) -> None:
    import polars as pl

    for part, series in {"keep": verdict.keep, **verdict.columns}.items():
        if not isinstance(series, pl.Series):  # the step can be the user's own, and untyped
            kind = "a polars Series of booleans" if part == "keep" else "a polars Series"
            raise UserError(f"step {name}: {part} must be {kind}, not {type(series).__name__}")
    lengths = {"keep": len(verdict.keep)} | {column: len(series) for column, series in verdict.columns.items()}
    if isinstance(verdict.reason, pl.Series):
        lengths["reason"] = len(verdict.reason)
    if verdict.evidence is not None:
        lengths["evidence"] = len(verdict.evidence)
    for part, length in lengths.items():
        if length != rows.height:
            raise UserError(f"step {name} got {rows.height} rows, but its verdict has {length} values of {part}")
    if verdict.keep.dtype != pl.Boolean or verdict.keep.null_count():
        raise UserError(f"step {name}: keep must be true or false for every row, not {verdict.keep.dtype} with nulls")
    again = sorted(set(verdict.columns) & set(rows.columns))
    if again:
        raise UserError(f"step {name} writes the column {again[0]}, which exists already: a column is written once")


def _json(evidence: Mapping[str, Any]) -> str:
    return json.dumps(evidence, ensure_ascii=False, sort_keys=True, default=str)
