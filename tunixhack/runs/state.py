"""``run.json`` as it is read: whoever has the folder can have written it, and what reads it relies on its shape.

Of what a run needs to go on, to be shown and to be published, each part that is there has the type that this version
writes. What earlier versions did not write is filled in or left out; what is not read is kept as it is.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from tunixhack.errors import UserError
from tunixhack.runs.funnel import FunnelLine

STATE, REPORT = "run.json", "report.html"
"""The names in a run's folder of the record that is read here, and of the page for a browser."""
RUNNING, STOPPED, DONE = "running", "stopped", "done"
"""What ``state`` says in it."""
SCHEMA = 2
"""Version of run.json's shape. Files of version 0.1.0 of the package have none, and are of the first."""
LARGEST = 64 * 2**20
"""Bytes; a run of a thousand starts has less than one of them."""
DEEPEST = 50
"""Levels of lists and objects within one another."""

_REMEDY = "restore it, or choose another --out"


class RunRecord(TypedDict, total=False):
    """The content of run.json; what is not known yet, or was not kept by an earlier version, is not in it."""

    schema: int
    """`SCHEMA` of the version that wrote it."""
    tunixhack: str
    """The package's version."""
    domain: str
    source: dict[str, Any]
    """The source as the recipe names it."""
    resolved: dict[str, Any]
    """What the source turned out to be: its commit or hash, its columns."""
    recipe: dict[str, Any]
    order: dict[str, Any]
    """The options of the last start: questions, rows, accepted, ceiling, seed."""
    versions: dict[str, Any]
    """Of Python and of the libraries that were used."""
    starts: list[dict[str, Any]]
    """When each start began and ended, in which state, and the seconds of its steps."""
    teachers: dict[str, dict[str, Any]]
    """What is known of each, by its public name."""
    funnel: list[dict[str, Any]]
    """A line a step; see `tunixhack.runs.funnel.FunnelLine`."""
    pilot: dict[str, Any] | None
    estimate: dict[str, Any] | None
    """What the pilot estimated, over what came."""
    right: dict[str, Any] | None
    """The share of answers that reach their reference."""
    accepted: dict[str, Any] | None
    """Answers wanted and kept, questions asked, and the ceiling."""
    wordings: list[dict[str, Any]] | None
    """Of a recipe with several wordings, how each fares; see `tunixhack.pipeline.wording_figures`."""
    parts: list[dict[str, Any]]
    """Of a mixture, what became of each part; its run is in the folder of its name."""
    command: str
    """The command that goes on."""
    signature: str | None
    """Of the command, by which a build of this user is told from others; None where none can be made."""
    state: str
    """running, stopped or done."""
    why: str | None
    """Why it is not done."""


_Leaf = Callable[[Any], bool]


@dataclass(frozen=True)
class _Each:
    """A list, each element of a kind."""

    kind: _Kind


@dataclass(frozen=True)
class _Values:
    """An object with any names, each value of a kind."""

    kind: _Kind


@dataclass(frozen=True)
class _Record:
    """An object with some known names, which may be absent unless they are required."""

    kinds: dict[str, _Kind]
    required: tuple[str, ...] = ()


_Kind = _Leaf | _Each | _Values | _Record


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    """Tell whether it is the name of a folder in this one, and of none elsewhere."""
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value) is not None


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return _count(value) or (isinstance(value, float) and math.isfinite(value))


def _amount(value: Any) -> bool:
    """Tell whether it is a number that stands in no table: what a server claims of its tokens can be of any size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


def _or_none(kind: _Leaf) -> _Leaf:
    return lambda value: value is None or kind(value)


_BENCHMARK = _Record(
    {"benchmark": _text, "commit": _or_none(_text), "sha256": _or_none(_text), "questions": _count},
    required=("benchmark", "questions"),
)
_DETAILS = _Record({"benchmarks": _Each(_BENCHMARK)})
_LINE = _Record(
    {
        "step": _text,
        **dict.fromkeys(("rows_in", "kept", "rejected", "set_aside", "missing"), _count),
        **dict.fromkeys(("made", "distinct", "prompt_tokens", "completion_tokens"), _or_none(_count)),
        "reasons": _Values(_count),
        "note": _or_none(_text),
        "details": lambda value: value is None or _fault(value, _DETAILS, "") is None,
        "seconds": _number,
        "at_least": _flag,
        "cost": _or_none(_number),
    },
    required=("step", "rows_in"),
)
_TEACHER = _Record(
    {
        "model": _text,
        "identity": _Record({"url": _text}),
        "context": _or_none(_count),
        "pace": _Values(_pair),
        "price": _or_none(_pair),
    }
)
_MEASURED = ("tokens", "seconds", "dollars")
_PILOT = _Record(
    {
        "ended_here": _flag,
        "to_come": _Each(_Record(dict.fromkeys(_MEASURED, _or_none(_amount)), required=_MEASURED)),
        "spent": _Record(dict.fromkeys(_MEASURED, _or_none(_amount))),
    },
    required=("to_come",),
)
_SHARE = _Record(
    {"count": _count, "of": _count, "low": _number, "high": _number}, required=("count", "of", "low", "high")
)
_RIGHT_PARTS: dict[str, _Kind] = {
    "received": _SHARE,
    "kept": _SHARE,
    "disputed": _count,
    "read_by": _Values(_count),
}
_RIGHT = _Record(_RIGHT_PARTS, required=("received", "kept", "disputed"))
_COUNTS = ("wanted", "ceiling", "kept", "questions")
_ACCEPTED = _Record(dict.fromkeys(_COUNTS, _count), required=_COUNTS)
_WORDING_COUNTS = ("questions", "received", "kept", "verified")
_WORDING = _Record(
    {
        "wording": _text,
        **dict.fromkeys(_WORDING_COUNTS, _count),
        "right": _or_none(_count),
        "tokens": _or_none(_number),
    },
    required=("wording", *_WORDING_COUNTS),
)
_PART = _Record({"name": _name, "wanted": _count, "questions": _count, "kept": _count}, required=("name",))
_STATE = _Record(
    {
        **dict.fromkeys(("domain", "state", "tunixhack"), _text),
        "schema": _count,
        "source": _object,
        "funnel": _Each(_LINE),
        "order": _Record({"seed": _or_none(_count)}),
        "pilot": lambda value: value is None or _fault(value, _PILOT, "") is None,
        "right": lambda value: value is None or _fault(value, _RIGHT, "") is None,
        "accepted": lambda value: value is None or _fault(value, _ACCEPTED, "") is None,
        "wordings": lambda value: value is None or _fault(value, _Each(_WORDING), "") is None,
        "teachers": _Values(_TEACHER),
        "starts": _Each(_Record({"state": _text, "seconds": _Values(_number)}, required=("state", "seconds"))),
        **dict.fromkeys(("command", "why", "signature"), _or_none(_text)),
        "parts": _Each(_PART),
    },
    required=("domain", "source", "state", "funnel"),
)


def read_state(path: Path) -> RunRecord:
    """Read run.json.

    Returns:
        Its content; the lines of the funnel have all fields of `tunixhack.runs.funnel.FunnelLine`.

    Raises:
        UserError: it cannot be read, is no JSON, is not what a run writes, or is a newer version's; says what is wrong
            where.
    """
    return parse_state(_content(path), str(path))


def parse_state(content: bytes, path: str) -> RunRecord:
    """Read the content of a run.json.

    Args:
        content: its bytes.
        path: where it stands, for sentences.

    Returns:
        What `read_state` does.

    Raises:
        UserError: as there.
    """
    state = _parsed(content, path)
    if isinstance(state, dict) and isinstance(state.get("schema"), int) and state["schema"] > SCHEMA:
        written_by = state.get("tunixhack") if isinstance(state.get("tunixhack"), str) else "a newer version"
        raise UserError(f"{path} was written by tunixhack {written_by}, and this is an older one: install that version")
    wrong = _fault(state, _STATE, "")
    if wrong is not None:
        raise UserError(f"{path} is not the state of a run ({wrong}): {_REMEDY}")
    usual = {field.name: _default(field) for field in dataclasses.fields(FunnelLine)}
    state["funnel"] = [usual | line for line in state["funnel"]]
    return cast(RunRecord, dict(state))


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise UserError(f"{path} is no file: {_REMEDY}")
        size = path.stat().st_size
        if size > LARGEST:
            raise UserError(f"{path} is not the state of a run (it has {size:,} bytes): {_REMEDY}")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): {_REMEDY}") from error


def _parsed(content: bytes, path: str) -> Any:
    try:
        state = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON ({error}): {_REMEDY}") from error
    if _deeper(state, DEEPEST):
        raise UserError(f"{path} is not the state of a run (it is nested too deeply): {_REMEDY}")
    return state


def _fault(value: Any, kind: _Kind, where: str) -> str | None:
    """Say where a value is not of a kind; None where it is."""
    if isinstance(kind, _Each):
        if not isinstance(value, list):
            return f"{where} is no list"
        return _first(_fault(one, kind.kind, f"{where}[{at}]") for at, one in enumerate(value))
    if not isinstance(kind, _Values | _Record):
        return None if kind(value) else f"{where} is not what it should be"
    if not isinstance(value, dict):
        return f"{where or 'it'} is no object"
    if isinstance(kind, _Values):
        return _first(_fault(one, kind.kind, f"{where}.{name}") for name, one in value.items())
    missing = next((name for name in kind.required if name not in value), None)
    if missing is not None:
        return f"{where or 'it'} has no {missing}"
    known = ((name, one) for name, one in kind.kinds.items() if name in value)
    return _first(_fault(value[name], one, f"{where}.{name}".lstrip(".")) for name, one in known)


def _first(faults: Any) -> str | None:
    return next((fault for fault in faults if fault is not None), None)


def _deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
