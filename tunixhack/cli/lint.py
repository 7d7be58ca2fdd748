"""The command line's verb for a file of training rows; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.train import Json
from tunixhack.errors import UserError

FAULTS_LEFT = 2
"""The exit code where errors are left: something the user can mend, as of contract 12."""


def lint(
    file: Annotated[Path, typer.Argument(help="A .jsonl, .json, .csv or .parquet file of training rows.")],
    fix: Annotated[
        Path | None, typer.Option(help="Write a .jsonl or .parquet file without the faults that can be mended.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let --fix replace a file that is there.")] = False,
    student: Annotated[
        str | None, typer.Option(help="A tokenizer's folder or Hub id, to find rows that are over-long.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="The most tokens of a row; with --student.")] = 4096,
    against: Annotated[
        str | None,
        typer.Option(help="Benchmarks, with commas between: FILE, FILE:column or ORG/NAME:config:split:column."),
    ] = None,
    language: Annotated[str | None, typer.Option(help="The answers' language, as en, de, fr or zh.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 where there are warnings, too.")] = False,
    as_json: Json = False,
) -> None:
    """Look over a file of training rows; exits with 2 where a fault of severity error is left, else with 0."""
    from tunixhack.data_files.lint import asked_checks
    from tunixhack.data_files.lint.lint import lint

    if max_tokens < 1:
        raise UserError(f"--max-tokens {max_tokens}: a row has at least one token")
    checks = []
    if student is not None:
        checks.append(asked_checks.over_long(student, max_tokens))
    if against is not None:
        checks.append(asked_checks.contamination(tuple(one for one in against.split(",") if one)))
    if language is not None:
        checks.append(asked_checks.wrong_language(language))
    report = lint(file, fix=fix, replace=replace, checks=checks)
    print_result("\n".join(report.lines()), report.as_dict() if as_json else None)
    raise typer.Exit(FAULTS_LEFT if report.failed(strict) else 0)
