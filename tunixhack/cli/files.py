"""The verbs on files of training rows that somebody already has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.train import Json

if TYPE_CHECKING:
    from tunixhack.data_files.filtering import Filtered

File = Annotated[Path, typer.Argument(help="A .jsonl, .json, .csv or .parquet file of questions or training rows.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; beside FILE if left out, and never over another.")]
Column = Annotated[str | None, typer.Option(help="The column with the questions; found by the rows' shape if not.")]


def decontaminate(
    file: File,
    against: Annotated[
        str, typer.Option(help="Benchmarks with commas between: names, files, ORG/NAME:config:split:column.")
    ],
    out: Out = None,
    column: Column = None,
    as_json: Json = False,
) -> None:
    """Leave out of a file the rows whose question a benchmark has."""
    from tunixhack._util.progress import Reporter
    from tunixhack.data_files.decontaminate import decontaminate_file

    _print(decontaminate_file(file, against, out=out, column=column, report=Reporter()), as_json)


def dedup(
    file: File,
    fuzzy: Annotated[bool, typer.Option("--fuzzy", help="Leave out nearly equal questions as well.")] = False,
    out: Out = None,
    column: Column = None,
    as_json: Json = False,
) -> None:
    """Leave out of a file the rows whose question is there before."""
    from tunixhack._util.progress import Reporter
    from tunixhack.data_files.dedup import dedup_file

    _print(dedup_file(file, out=out, fuzzy=fuzzy, column=column, report=Reporter()), as_json)


def convert(
    file: File,
    to: Annotated[str, typer.Option(help="messages, think, sharegpt, openthoughts or hackathon.")],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Write a file's rows in another format; what it cannot hold goes to a second file, with the reason."""
    from tunixhack._util.progress import Reporter
    from tunixhack.data_files.convert import convert_file

    _print(convert_file(file, to, out=out, report=Reporter()), as_json)


def _print(found: Filtered, as_json: bool) -> None:
    print_result("\n".join(found.lines()), found.as_dict() if as_json else None)
