"""Faults in the order of turns, and in what stands in the place of thought and answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from tunixhack.data_files.lint.turn_table import TurnTable
from tunixhack.replies.finish_reasons import finish_kind
from tunixhack.replies.quoted import Quoted

Found = tuple[str, pl.Series]
"""The name of a kind, and the places of the rows with that fault."""

_ORDER = re.compile(r"s?(?:u(?:a?t+)*a)*u?")
"""In letters of `TurnTable.roles`; a conversation that ends with the user's turn is a kind of its own."""
_OPENINGS = r"<(?:think|thinking|thought|thoughts|reasoning|answer)>|\[THINK\]|<\|begin_of_(?:thought|solution)\|>"
_CLOSINGS = r"</(?:think|thinking|thought|thoughts|reasoning|answer)>|\[/THINK\]|<\|end_of_(?:thought|solution)\|>"
_TAG = re.compile(f"{_OPENINGS}|{_CLOSINGS}", re.IGNORECASE)
_DOUBLED = re.compile(f"({_TAG.pattern})(?:\\s*\\1)+", re.IGNORECASE)


def shape_faults(table: TurnTable) -> Iterator[Found]:
    """Find faults that are seen in the shape of a row."""
    shapes = pl.Series(table.shapes, dtype=pl.String)
    roles = pl.Series(table.roles, dtype=pl.String)
    turned = shapes.is_in(["turns", "columns", "template"])
    yield "unknown_columns", shapes.is_null().arg_true()
    yield "not_unicode", (shapes == "not_unicode").fill_null(False).arg_true()
    yield "no_turns", (turned & (roles == "")).arg_true()
    yield "unknown_role", roles.str.contains("?", literal=True).arg_true()
    known = turned & (roles != "") & ~roles.str.contains("?", literal=True)
    yield "no_reply", (known & roles.str.ends_with("u")).arg_true()
    orders = [order for order in roles.unique() if order and not _ORDER.fullmatch(order)]
    yield "roles_out_of_order", (known & roles.is_in(orders)).arg_true()
    yield "cut_off", pl.Series([at for at, row in enumerate(table.rows) if _cut_off(row.get("finish_reason"))])


def _cut_off(reason: object) -> bool:
    return isinstance(reason, str) and finish_kind(reason) == "truncated"


def turn_faults(table: TurnTable) -> Iterator[Found]:
    """Find faults of turns that lack something."""
    turns = table.turns
    ours = pl.col("speaker") == "assistant"
    blank = _blank("text")
    read = pl.col("problem").is_null()
    told = pl.col("said")
    for name, expression in (
        (
            "null_turn",
            ~told & pl.col("speaker").is_not_null() & (pl.col("speaker") != "tool") & (pl.col("thinking") == ""),
        ),
        ("empty_system", told & blank & (pl.col("speaker") == "system")),
        ("empty_question", told & blank & (pl.col("speaker") == "user")),
        ("empty_reply", told & ours & read & pl.col("thought").is_null() & pl.col("answer").is_null()),
        ("thought_without_answer", ours & read & pl.col("thought").is_not_null() & pl.col("answer").is_null()),
        ("broken_tags", ours & (pl.col("problem") == "malformed")),
    ):
        yield name, turns.filter(expression)["row"].unique()
    suspicious = turns.filter(
        ours
        & (
            (pl.col("text").str.count_matches(f"(?i){_OPENINGS}") > 1)
            | (pl.col("text").str.count_matches(f"(?i){_CLOSINGS}") > 1)
        )
    )
    twice = [row for row, text in suspicious.select("row", "text").iter_rows() if has_tag_twice(text)]
    yield "tags_twice", pl.Series(twice, dtype=pl.UInt32).unique()
    yield from _behind_rows(turns)


def _behind_rows(turns: pl.DataFrame) -> Iterator[Found]:
    """Count replies with and without a thought, which are judged when all rows are seen."""
    whole = turns.filter(
        (pl.col("speaker") == "assistant") & pl.col("problem").is_null() & pl.col("answer").is_not_null()
    )
    yield "_thoughts", whole.filter(pl.col("thought").is_not_null())["row"].unique()
    bare = whole.filter(pl.col("thought").is_null())
    yield "answer_without_thought", bare.filter(~pl.col("marked"))["row"].unique()
    yield "empty_thought", bare.filter(pl.col("marked"))["row"].unique()


def _blank(column: str) -> pl.Expr:
    short = pl.col(column).str.len_bytes() < 200
    return short & ~pl.col(column).str.contains(r"[^\s\p{C}\u{200b}\u{2060}\u{feff}\u{115f}\u{1160}\u{3164}\u{2800}]")


def has_tag_twice(text: str) -> bool:
    """Tell whether a tag is there twice outside of code.

    >>> has_tag_twice("<think><think>2 + 2</think>4"), has_tag_twice("<think>2 + 2</think>`<think>`")
    (True, False)
    """
    quoted = Quoted(text)
    seen = [tag[0].casefold() for tag in _TAG.finditer(text) if not quoted(*tag.span())]
    return len(seen) > len(set(seen))


def without_doubled_tags(text: str) -> str:
    """Leave out a tag that stands right behind itself.

    >>> without_doubled_tags("<think> <think>2 + 2</think></think>4")
    '<think>2 + 2</think>4'
    """
    return _DOUBLED.sub(r"\1", text)
