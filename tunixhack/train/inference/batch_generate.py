"""A file of questions, and a student's replies to them in another. Nothing here imports jax."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tunixhack._util.files import write_text
from tunixhack.errors import UserError
from tunixhack.formats import user_message
from tunixhack.sources.files import file_rows
from tunixhack.train.inference.format_compliance import StudentReply

COLUMNS = ("question", "prompt")
"""What a question may be called; with ``question``, a ``context`` is put before it as in training."""


class ReplyGenerator(Protocol):
    """An object that generates replies, such as a student."""

    def generate_all(self, questions: Sequence[str], **options: Any) -> Sequence[StudentReply]:
        """Reply to all of them."""
        ...


def generate_replies(student: ReplyGenerator, questions: Sequence[str], **options: Any) -> Iterator[dict[str, Any]]:
    """Generate the replies to questions, and return each question with its own.

    Args:
        student: a `tunixhack.train.student.Student`.
        questions: as texts.
        options: of `tunixhack.train.inference.generate.generate`.
    """
    for question, reply in zip(questions, student.generate_all(questions, **options), strict=True):
        yield {"question": question, "reply": reply.text, "tokens": reply.tokens, "finished": reply.finished}


def read_questions(file: Path) -> list[str]:
    """Read the questions of a .jsonl, .csv or .parquet file, as a student is asked them.

    Raises:
        UserError: the file cannot be read, is empty, or a row has no question.
    """
    questions = [_question(row, file, number) for number, row in enumerate(file_rows(file), 1)]
    if not questions:
        raise UserError(f"{file} is empty: it has no questions")
    return questions


def write_replies(out: Path, replies: Sequence[Mapping[str, Any]]) -> None:
    """Replace a file by one JSON object a line.

    Raises:
        UserError: the file cannot be written.
    """
    write_text(out, "".join(json.dumps(reply, ensure_ascii=False) + "\n" for reply in replies))


def _question(row: Mapping[str, Any], file: Path, number: int) -> str:
    name = next((name for name in COLUMNS if isinstance(row.get(name), str) and row[name].strip()), None)
    if name is None:
        raise UserError(
            f"{file}, row {number}: there is no text in a column named {' or '.join(COLUMNS)}; the columns are "
            f"{', '.join(map(str, row))}"
        )
    context = row.get("context") if name == "question" else None
    return user_message(row[name], context if isinstance(context, str) else None)
