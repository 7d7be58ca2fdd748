"""Files of training rows in another format: one question, its trace and its answer, as `tunixhack.formats` writes them.

What the format cannot hold is written to a second file with the reason, and counted:

================== ============================================================================
``unknown_shape``  no conversation is found in it
``turns``          it is not one question and one reply
``system``         it has a system text, for which the formats have no place
``turn_fields``    a turn has fields beside who says what, such as a weight or calls of tools
``no_question``    and ``no_trace``, ``no_answer``, ``broken_tags``, …: as `replies.reply` says
``tag_in_text``    a text has one of the format's own tags
``not_read_back``  what would be written does not say the same when it is read again
================== ============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunixhack._util.progress import Reporter
from tunixhack._util.texts import is_blank
from tunixhack.data_files.filtering import Filtered, Outputs, write_both
from tunixhack.data_files.reading import RowFile
from tunixhack.data_files.shapes import Conversation, read_conversation
from tunixhack.data_files.writing import write_rows
from tunixhack.errors import UserError, nearest
from tunixhack.formats import FORMATS, OPENTHOUGHTS_SYSTEM, Example, Format

_PLAIN = frozenset({"role", "content", "from", "value", "reasoning_content", "reasoning", "thinking"})
_OWN = ("openthoughts", "messages", "think", "sharegpt", "hackathon")
"""Formats in which a row is looked for first, character for character."""


class CannotSayError(Exception):
    """A row has something that the formats have no place for; the reason, and what."""

    def __init__(self, reason: str, **evidence: Any) -> None:
        """Keep both."""
        super().__init__(reason)
        self.reason, self.evidence = reason, evidence


def read_example(row: Mapping[str, Any]) -> tuple[Example, dict[str, Any]]:
    """Read a row of any shape.

    Returns:
        Question, trace and answer; and the columns that are no part of them.

    Raises:
        CannotSayError: it has more than these, or less.
    """
    conversation = read_conversation(row)
    if conversation is None:
        raise CannotSayError("unknown_shape", columns=list(row)[:8])
    turns = conversation.turns
    if turns and turns[0].speaker == "system":
        if turns[0].text.strip() not in ("", OPENTHOUGHTS_SYSTEM):
            raise CannotSayError("system", text=turns[0].text[:200])
        turns = turns[1:]
    for column, turn in _said(row):
        if not set(turn) <= _PLAIN:
            raise CannotSayError("turn_fields", column=column, fields=sorted(set(turn) - _PLAIN)[:8])
    if [turn.speaker for turn in turns] != ["user", "assistant"]:
        raise CannotSayError("turns", speakers=[turn.speaker for turn in turns][:20])
    others = _others(row, conversation)
    for name in _OWN:
        try:
            return FORMATS[name].read({column: row[column] for column in row if column not in others}), others
        except UserError:
            continue
    reply = turns[1].reply()
    if reply.problem is not None or not reply.reasoning or not reply.answer:
        raise CannotSayError(reply.problem or ("no_trace" if not reply.reasoning else "no_answer"))
    return Example(turns[0].text, reply.reasoning, reply.answer), others


def convert_row(row: Mapping[str, Any], chosen: Format) -> dict[str, Any]:
    """Write a row in a format; its other columns stay.

    Raises:
        CannotSayError: the format cannot hold all of it.
    """
    example, others = read_example(row)
    if is_blank(example.user):
        raise CannotSayError("no_question")
    for part in ("reasoning", "answer"):
        if is_blank(getattr(example, part)):
            raise CannotSayError("no_trace" if part == "reasoning" else "no_answer")
        tag = next((tag for tag in chosen.tags if tag in getattr(example, part)), None)
        if tag is not None:
            raise CannotSayError("tag_in_text", tag=tag, part=part)
    written = chosen.write(example)
    if chosen.read(written) != example:
        raise CannotSayError("not_read_back")
    taken = sorted(set(written) & set(others))
    if taken:
        raise CannotSayError("column_taken", columns=taken)
    return others | written


def convert_file(path: Path, to: str, *, out: Path | None = None, report: Reporter) -> Filtered:
    """Write a file's rows in another format, batch by batch.

    Args:
        path: the file, of a kind that `tunixhack.data_files.reading` reads, its rows of any shape.
        to: a name in `tunixhack.formats.FORMATS`.
        out: the file to write; beside the other one if None.
        report: where progress goes.

    Returns:
        How many rows went where.

    Raises:
        UserError: the format is unknown, the file cannot be read, or a file that would be written is there.
    """
    if to not in FORMATS:
        raise UserError(f"--to {to!r} is unknown: {nearest(to, FORMATS)}")
    found = Filtered(Outputs.beside(path, to, out))
    file = RowFile(path)
    removed: dict[int, tuple[str, Mapping[str, Any]]] = {}
    with report.bar(file):
        write_rows(found.outputs.kept, _converted(file, FORMATS[to], removed, report), path)
    write_both(found, removed, file, report, kept=False)
    return found


def _converted(
    file: RowFile, chosen: Format, removed: dict[int, tuple[str, Mapping[str, Any]]], report: Reporter
) -> Iterator[list[dict[str, Any]]]:
    for batch in file.batches():
        rows = []
        for number, row in zip(batch.numbers, batch.rows, strict=True):
            try:
                rows.append(convert_row(row, chosen))
            except CannotSayError as error:
                removed[number] = (error.reason, error.evidence)
        yield rows
        report.update()


def _said(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield all turns of a row, with the column that they are in; a field of a table that is null is not there."""
    for column, value in row.items():
        if isinstance(value, list):
            for turn in value:
                if isinstance(turn, Mapping) and {"role", "from"} & set(turn):
                    yield column, {name: one for name, one in turn.items() if one is not None}


def _others(row: Mapping[str, Any], conversation: Conversation) -> dict[str, Any]:
    """Return the columns that no part of the conversation was read from."""
    if conversation.kind == "turns":
        taken = {column for column, _ in _said(row)} | {"system"}
    else:
        said = [part.strip() for turn in conversation.turns for part in (turn.text, turn.thinking) if part.strip()]
        texts = {name: value.strip() for name, value in row.items() if isinstance(value, str) and value.strip()}
        taken = {name for name, text in texts.items() if any(text == one or text in said[0] for one in said)}
        taken |= {"text"} if conversation.kind in ("template", "text") else set()
    return {name: value for name, value in row.items() if name not in taken}
