"""Rows as a table of their turns, one line each, so that whole columns can be searched at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tunixhack._util.texts import is_unicode
from tunixhack.data_files.shapes import Turn, read_conversation
from tunixhack.replies.reply import read_message

MARK = r"[\x00-\x08\x0e-\x1f]|<[|/a-zA-Z:\uff5c]|\[[/|A-Za-z]|\]~|\u25c1|```|~~~|(?i:here(?: is|'s| are) my )"
"""What every mark of a trace, control token and fence begins with: a text without it needs no reader of marks. So does
one of letters, in which nothing is invisible that Python and polars differ about."""
_LETTER = r"[\p{L}\p{N}&&[^\x{115f}\x{1160}\x{3164}\x{ffa0}]]"
_BLANK = r"\s\u200b\u2060\ufeff"
_OPENING, _CLOSING = "<think>", "</think>"
_ROLE = {"system": "s", "user": "u", "assistant": "a", "tool": "t", None: "?"}
_SCHEMA = {"row": pl.UInt32, "at": pl.UInt32, "speaker": pl.String, "text": pl.String, "thinking": pl.String,
           "said": pl.Boolean}  # fmt: skip


@dataclass(frozen=True)
class TurnTable:
    """Some rows and their turns."""

    rows: Sequence[Mapping[str, Any]]
    shapes: list[str | None]
    """Of each row: `Conversation.kind`, ``not_unicode``, or None for a row that is no conversation."""
    roles: list[str]
    """A letter for each turn: s, u, a, t for a tool's, ? for an unknown role."""
    turns: pl.DataFrame
    """``row`` (its place among `rows`), ``at`` (of the turn), ``speaker``, ``text``, ``thinking`` and ``said`` of a
    `Turn`; and of an assistant's: ``thought``, ``answer`` (null where there is none), ``problem`` and ``marked``
    (whether there are marks of a trace)."""


def turn_table(rows: Sequence[Mapping[str, Any]]) -> TurnTable:
    """Read rows."""
    shapes: list[str | None] = []
    roles: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA}
    add = [columns[name].append for name in _SCHEMA]
    for number, row in enumerate(rows):
        found = read_conversation(row)
        if found is None or not all(turn.text.isascii() or is_unicode(turn.text) for turn in found.turns):
            shapes.append(None if found is None else "not_unicode")
            roles.append("")
            continue
        turns = _with_traces(found.turns)
        if not all(turn.thinking.isascii() or is_unicode(turn.thinking) for turn in turns if turn.thinking):
            shapes.append("not_unicode")
            roles.append("")
            continue
        shapes.append(found.kind)
        roles.append("".join(_ROLE.get(turn.speaker, "?") for turn in turns) if found.kind != "text" else "")
        for at, turn in enumerate(turns):
            for put, value in zip(add, (number, at, turn.speaker, turn.text, turn.thinking, turn.said), strict=True):
                put(value)
    table = pl.DataFrame({name: pl.Series(columns[name], dtype=kind) for name, kind in _SCHEMA.items()})
    return TurnTable(rows, shapes, roles, _with_replies(table))


def _with_traces(turns: list[Turn]) -> list[Turn]:
    """Give a trace that is a turn of its own to the assistant's turn behind it."""
    if all(turn.speaker != "trace" for turn in turns):
        return turns
    joined: list[Turn] = []
    trace = ""
    for turn in turns:
        if turn.speaker == "trace":
            trace = f"{trace}\n\n{turn.text}".strip()
        elif turn.speaker == "assistant" and trace:
            joined.append(turn._replace(thinking=turn.thinking or trace))
            trace = ""
        else:
            joined.append(turn)
    return [*joined, Turn("assistant", "", trace)] if trace else joined


def _with_replies(turns: pl.DataFrame) -> pl.DataFrame:
    """Tell thought and answer of assistants' turns apart; the plain ones at once, others by the one reader."""
    opened = pl.when(pl.col("text").str.starts_with(_OPENING)).then(pl.col("text").str.slice(len(_OPENING)))
    parts = opened.str.splitn(_CLOSING, 2).struct
    turns = turns.with_columns(_t=parts.field("field_0"), _a=parts.field("field_1"))
    ours = pl.col("speaker") == "assistant"
    apart = pl.col("thinking") != ""
    tagged = pl.col("_a").is_not_null()
    clear = [_is_plain(pl.col(name)) for name in ("text", "thinking", "_t", "_a")]
    alone = ours & clear[0] & ~apart
    both = ours & clear[0] & clear[1] & apart & ~pl.col("text").str.starts_with(pl.col("thinking"))
    think = ours & tagged & clear[2] & clear[3] & ~apart
    turns = turns.with_columns(
        thought=pl.when(think).then(_trimmed("_t")).when(both).then(_trimmed("thinking")),
        answer=pl.when(think).then(_trimmed("_a")).when(alone | both).then(_trimmed("text")),
        problem=pl.lit(None, pl.String),
        marked=think,
        _read=(ours & ~(alone | both | think)).fill_null(False),
    ).drop("_t", "_a")
    places = turns["_read"].arg_true()
    if len(places):
        turns = _read(turns, places)
    return turns.drop("_read").with_columns(_filled("thought"), _filled("answer"))


def _is_plain(text: pl.Expr) -> pl.Expr:
    return ~text.str.contains(MARK).fill_null(False) & (text.str.contains(_LETTER) | (text == "")).fill_null(False)


def _trimmed(column: str) -> pl.Expr:
    return pl.col(column).str.replace(rf"\A[{_BLANK}]+", "").str.replace(rf"[{_BLANK}]+\z", "")


def _filled(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column)).alias(column)


def _read(turns: pl.DataFrame, places: pl.Series) -> pl.DataFrame:
    said = turns[places].select("text", "thinking").iter_rows()
    replies = [
        read_message({"content": text, "reasoning_content": thinking} if thinking else {"content": text})
        for text, thinking in said
    ]
    for column, values in {
        "thought": [one.reasoning for one in replies],
        "answer": [one.answer for one in replies],
        "problem": [None if one.problem in ("empty", "no_trace") else one.problem for one in replies],
    }.items():
        turns = turns.with_columns(turns[column].scatter(places, pl.Series(values, dtype=pl.String)))
    marked = pl.Series([one.form is not None for one in replies], dtype=pl.Boolean)
    return turns.with_columns(turns["marked"].scatter(places, marked))
