"""Rows out of JSON, in the shapes that people save them in under the one ending ``.json``.

A list of objects; JSON lines; objects one behind the other that span several lines; and one object that holds a list of
rows, as ``{"data": […]}`` and as the Hub's viewer has them, ``{"rows": [{"row": {…}}]}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError

LISTS = ("data", "rows", "examples", "train", "items", "records", "instances", "questions", "samples", "results")
"""Where an object keeps a list of rows."""


_VISIBLE = re.compile(r"\S")


def json_lines(path: Path, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield the object of each line that is not blank.

    Raises:
        UserError: a line is not JSON, or no object.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield json_line(line, path, number)


def json_line(line: str, path: Path, number: int) -> dict[str, Any]:
    """Read the object of one line that is not blank.

    Args:
        line: its text.
        path: of the file, for an error.
        number: of the line, from 1.

    Raises:
        UserError: it is not JSON, or no object.
    """
    return _object(_parse(line.rstrip("\r\n"), path, number), f"{path}, line {number}", "on each line")


def json_rows(path: Path, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a ``.json`` file, line by line where it is JSON lines.

    Raises:
        UserError: it is not JSON, or holds no list of objects.
    """
    begun: list[str] = []
    for line in lines:
        begun.append(line)
        said = [one for one in begun if one.strip()]
        if len(said) == 2 and _is_object(said[0]):
            yield from json_lines(path, chain(begun, lines))
            return
        if len(said) == 2:
            break
    values = list(_values("".join([*begun, *lines]), path))
    for value in values:
        yield from _rows(value, path, alone=len(values) == 1)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _values(text: str, path: Path) -> Iterator[Any]:
    """Read one JSON value behind the other."""
    decoder, at = json.JSONDecoder(), 0
    while (visible := _VISIBLE.search(text, at)) is not None:
        at = visible.start()
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise UserError(_sentence(path, 1, text, error)) from error
        yield value


def _parse(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(_sentence(path, number, line, error)) from error


def _sentence(path: Path, number: int, text: str, error: Exception) -> str:
    """Say in which line JSON is broken, and the slips that are common."""
    hint = ""
    if isinstance(error, json.JSONDecodeError):
        number += error.lineno - 1
        before, behind = text[: error.pos].rstrip(), text[error.pos :].lstrip()
        # newer Pythons point at the comma, older ones behind it
        if (before.endswith(",") or behind.startswith(",")) and behind.lstrip(", \t\r\n")[:1] in ("]", "}"):
            hint = ": JSON has no comma before a closing bracket"
        elif behind.startswith("'"):
            hint = ": JSON has double quotes"
        elif not behind:
            hint = ": it ends in the middle"
    return f"{path}, line {number}: not JSON ({error}){hint}"


def _rows(value: Any, path: Path, alone: bool) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and alone:
        lists = [name for name in LISTS if _are_objects(value.get(name))]
        if len(lists) > 1:
            raise UserError(f"{path} holds several lists of rows, {' and '.join(lists)}: save one of them alone")
        if lists:
            for row in value[lists[0]]:
                yield row["row"] if isinstance(row.get("row"), dict) else row
            return
        if value and all(isinstance(column, dict) and "0" in column for column in value.values()):
            raise UserError(f"{path} is saved by columns: save it by rows, with pandas as to_json(orient='records')")
    if isinstance(value, list):
        for at, row in enumerate(value):
            yield _object(row, f"{path}, item {at} (from 0)", "for each row")
    else:
        yield _object(value, str(path), "for each row")


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _object(value: Any, where: str, each: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: a JSON object is needed {each}, not a {type(value).__name__}")
    return value
