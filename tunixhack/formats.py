"""The shapes that other tools train on, out of a dataset and back.

========================== ==========================================================================================
``messages``               OpenAI messages; the trace apart, in the assistant's ``reasoning_content``
``think``                  OpenAI messages; ``<think>`` tags in the assistant's content
``sharegpt``               ``conversations`` of human and gpt with the same text, as OpenThoughts2 and 3 have it
``openthoughts``           ``system`` and ``conversations`` of user and assistant with OpenThoughts-114k's tags
``hackathon``              OpenAI messages; ``<reasoning>…</reasoning>`` newline ``<answer>…</answer>`` in the content
========================== ==========================================================================================

What is written can be read back, character for character. A text that holds one of its format's own tags could be
taken apart in two ways by one reader or another, so that `export` rejects it (``tag_in_text``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tunixhack._util.wording import counted
from tunixhack.errors import UserError, nearest

if TYPE_CHECKING:
    import polars as pl

Row = dict[str, Any]
"""One row of an exported dataset, JSON-able."""


class Example(NamedTuple):
    """One example that a student learns from."""

    user: str
    """The question with its context; see `user_message`."""
    reasoning: str
    answer: str


def user_message(question: str, context: str | None = None) -> str:
    r"""Join a question and its context to what the student sees, in training and afterwards.

    The question comes first, then an empty line, then the context, as instruction datasets ask "Summarize the
    following." and then give the text. A blank context leaves the question alone.

    >>> user_message("Shorten this.", "It rained and it rained.")
    'Shorten this.\n\nIt rained and it rained.'
    """
    return f"{question}\n\n{context}" if context and context.strip() else question


@dataclass(frozen=True, kw_only=True)
class Layout:
    r"""Trace and answer in one text, told apart by tags.

    >>> HACKATHON.text("2 + 2", "4")
    '<reasoning>2 + 2</reasoning>\n<answer>4</answer>'
    """

    tags: tuple[str, ...]
    """The tags around the trace, and then those around the answer if it has any."""
    trace_pad: str = ""
    """Whitespace on both inner sides of the trace's tags."""
    gap: str = ""
    """Whitespace between the trace's tags and the answer's."""
    answer_pad: tuple[str, str] = ("", "")
    """Whitespace before and after the answer."""

    def text(self, reasoning: str, answer: str) -> str:
        """Render a trace and an answer."""
        opening, closing, *around = self.tags
        trace = f"{opening}{self.trace_pad}{reasoning}{self.trace_pad}{closing}"
        left, right = self.answer_pad
        before, after = around or ("", "")
        return f"{trace}{self.gap}{before}{left}{answer}{right}{after}"

    def read(self, text: str) -> tuple[str, str] | None:
        """Take a rendered text apart; None where the tags are not all there, once each and in order.

        Exactly the layout's own whitespace is taken off. Others' texts may have less between the tags.
        """
        pieces = []
        rest = text
        for tag in self.tags:
            piece, found, rest = rest.partition(tag)
            if not found:
                return None
            pieces.append(piece)
        outside, reasoning, *after = [*pieces, rest]
        gap, answer, tail = after if len(after) == 3 else ("", after[0], "")
        if f"{outside}{gap}{tail}".strip() or any(tag in reasoning or tag in answer for tag in self.tags):
            return None
        left, right = self.answer_pad
        return (
            reasoning.removeprefix(self.trace_pad).removesuffix(self.trace_pad),
            answer.removeprefix(left).removesuffix(right),
        )


THINK = Layout(tags=("<think>", "</think>"), trace_pad="\n", answer_pad=("\n\n", ""))
"""What reasoning models write themselves, spaced as in OpenThoughts2 and 3."""

OPENTHOUGHTS = Layout(
    tags=("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    trace_pad="\n\n",
    gap="\n\n",
    answer_pad=("\n\n", "\n\n"),
)
"""OpenThoughts-114k's layout."""

HACKATHON = Layout(tags=("<reasoning>", "</reasoning>", "<answer>", "</answer>"), gap="\n")
"""What the Tunix hackathon asks of a student's output."""

OPENTHOUGHTS_SYSTEM = (
    "Work in two parts. First think the task through between <|begin_of_thought|> and <|end_of_thought|>, checking "
    "and correcting yourself as you go. Then give the finished answer alone between <|begin_of_solution|> and "
    "<|end_of_solution|>."
)
"""The ``system`` column of the openthoughts format: the same for every row, in our words, not OpenThoughts-114k's."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """The two ways between an example and a row of a dataset.

    >>> think = FORMATS["think"]
    >>> think.read(think.write(Example("2 + 2?", "Count on.", "4")))
    Example(user='2 + 2?', reasoning='Count on.', answer='4')
    """

    write: Callable[[Example], Row]
    read: Callable[[Mapping[str, Any]], Example]
    """Raises UserError for a row that is not of this format."""
    tags: tuple[str, ...] = ()
    """Strings that neither trace nor answer may hold."""


def _messages() -> Format:
    def write(example: Example) -> Row:
        assistant = {"role": "assistant", "reasoning_content": example.reasoning, "content": example.answer}
        return {"messages": [{"role": "user", "content": example.user}, assistant]}

    def read(row: Mapping[str, Any]) -> Example:
        user, assistant = _turns(row, "messages", "role", ("user", "assistant"))
        return Example(_field(user, "content"), _field(assistant, "reasoning_content"), _field(assistant, "content"))

    return Format(write=write, read=read)


def _tagged(
    layout: Layout, column: str, role: str, roles: tuple[str, str], text: str, constant: Mapping[str, str] | None = None
) -> Format:
    """Make a format of two turns in a column, whose second holds a layout's text; constants are further columns."""

    def write(example: Example) -> Row:
        said = layout.text(example.reasoning, example.answer)
        turns = [{role: roles[0], text: example.user}, {role: roles[1], text: said}]
        return {**(constant or {}), column: turns}

    def read(row: Mapping[str, Any]) -> Example:
        user, assistant = _turns(row, column, role, roles)
        pair = layout.read(_field(assistant, text))
        if pair is None:
            raise UserError(
                f"the {roles[1]} turn in {column} does not hold {' '.join(layout.tags)} once each and in this order: "
                "choose the format that the rows are in"
            )
        return Example(_field(user, text), *pair)

    return Format(write=write, read=read, tags=layout.tags)


FORMATS: dict[str, Format] = {
    "messages": _messages(),
    "think": _tagged(THINK, "messages", "role", ("user", "assistant"), "content"),
    "sharegpt": _tagged(THINK, "conversations", "from", ("human", "gpt"), "value"),
    "openthoughts": _tagged(
        OPENTHOUGHTS, "conversations", "from", ("user", "assistant"), "value", {"system": OPENTHOUGHTS_SYSTEM}
    ),
    "hackathon": _tagged(HACKATHON, "messages", "role", ("user", "assistant"), "content"),
}
"""Every format by its name."""


class ExportedRows(NamedTuple):
    """A dataset in a format, and what could not be written in it."""

    rows: Sequence[Row]
    """In the order of the table."""
    rejected: pl.DataFrame
    """The table's other rows with ``step``, ``reason`` and ``evidence``."""

    def __repr__(self) -> str:
        """Count both, and repeat neither: a notebook shows whatever its cell ends with."""
        return f"ExportedRows({counted(len(self.rows), 'row')}, {self.rejected.height:,} rejected)"


def export(rows: pl.DataFrame, format: str) -> ExportedRows:
    """Write a dataset in a format.

    Args:
        rows: a table with the columns ``question``, ``context``, ``reasoning`` and ``answer``.
        format: a name in `FORMATS`.

    Returns:
        The rows, and the rejected ones: reason ``tag_in_text``, with the tag and the column it is in as evidence.

    Raises:
        UserError: the format is unknown, or a column is missing or, context apart, null somewhere.
    """
    import polars as pl

    from tunixhack.runs.schema import REJECTION  # which brings polars

    if format not in FORMATS:
        raise UserError(f"format {format!r} is unknown: {nearest(format, FORMATS)}")
    require(rows, "question", "reasoning", "answer")
    require(rows, "context", null=True)
    chosen = FORMATS[format]
    held = [
        pl.when(pl.col(column).str.contains(tag, literal=True)).then(
            pl.struct(pl.lit(tag).alias("tag"), pl.lit(column).alias("column")).struct.json_encode()
        )
        for column in ("reasoning", "answer")
        for tag in chosen.tags
    ]
    told = (pl.lit("export"), pl.lit("tag_in_text"), pl.coalesce([*held, pl.lit(None, pl.String)]))
    found = rows.with_columns(value.alias(name) for name, value in zip(REJECTION, told, strict=True))
    kept = found.filter(pl.col("evidence").is_null()).select("question", "context", "reasoning", "answer")
    written = [
        chosen.write(Example(user_message(question, context), reasoning, answer))
        for question, context, reasoning, answer in kept.iter_rows()
    ]
    return ExportedRows(written, found.filter(pl.col("evidence").is_not_null()))


def require(rows: pl.DataFrame, *columns: str, null: bool = False) -> None:
    """Make sure that a table has what is needed of it.

    Raises:
        UserError: a column is missing, or has a null although ``null`` is False.
    """
    for column in columns:
        if column not in rows.columns:
            raise UserError(f"the rows have no column {column}; they have: {', '.join(rows.columns)}")
        if not null and rows[column].null_count():
            row = rows[column].is_null().arg_true()[0]
            raise UserError(f"row {row} (counted from 0) has no {column}: parse first, and use the kept rows")


def _turns(
    row: Mapping[str, Any], column: str, role: str, roles: tuple[str, str]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the two turns of a row."""
    turns = row.get(column)
    if not isinstance(turns, Sequence) or not all(isinstance(turn, Mapping) for turn in turns):
        raise UserError(f"the row has no list of turns in {column}; it has: {', '.join(map(str, row))}")
    said_by = tuple(turn.get(role) for turn in turns)
    if said_by != roles:
        raise UserError(f"{column} must be one {roles[0]} turn and one {roles[1]} turn, not {said_by}")
    return turns[0], turns[1]


def _field(turn: Mapping[str, Any], name: str) -> str:
    value = turn.get(name)
    if not isinstance(value, str):
        raise UserError(f"a turn has no text in {name}; it has: {', '.join(map(str, turn))}")
    return value
