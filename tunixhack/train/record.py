"""``student.json``: what a training is of, how far it is, and what came of it."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tunixhack
from tunixhack._util.addresses import path_to_read
from tunixhack._util.files import write_json
from tunixhack._util.installation import installed_version
from tunixhack.errors import UserError
from tunixhack.train.data.token_set import Domain
from tunixhack.train.old_names import renamed_record
from tunixhack.train.settings import Settings, differences

FILE = "student.json"
SCHEMA = 2
"""The version of the file's layout. Version 1, of tunixhack 0.1, had no such number and other names."""

_PACKAGES = ("google-tunix", "jax", "flax", "qwix", "grain", "optax", "orbax-checkpoint", "numpy")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """The model that a student was made of."""

    name: str
    """As the user gave it; of a folder its absolute path."""
    fingerprint: str
    """64 hex digits of its files."""
    family: str | None = None
    parameters: int | None = None
    hub: str | None = None
    """Its id on the Hub, where it has one."""
    license: dict[str, str | None] | None = None
    """``id``, and ``name`` and ``link`` where they are known."""


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """A dataset that was trained on."""

    name: str
    weight: float
    hub: str | None = None
    rows: int | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows by the reason of their leaving out."""


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The data that were trained on."""

    key: str
    """64 hex digits of everything that the tokens depend on."""
    datasets: list[DatasetSummary]
    domains: list[Domain] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """The number of steps that are planned."""

    steps: int
    """As many as the time allows of those that are wanted."""
    wanted: int
    all_epochs: int | None = None
    """The steps of all epochs."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """How fast a training was, and what it took; None stands for what is not known."""

    tokens_per_second: float | None = None
    """Without padding."""
    mfu: float | None = None
    """The share of the devices' peak that was of use; see `tunixhack.train.core.mfu`."""
    step_seconds: float | None = None
    """Of a step, on average."""
    data_wait_seconds: float | None = None
    """That steps waited for their batch, in all."""
    compile_seconds: float | None = None
    """That jax took to trace, lower and compile the steps, in all."""
    peak_memory_bytes: int | None = None
    """The most that was in use on one device since its process began."""
    estimated_memory_bytes: int | None = None
    """What was told before of a step, on each device."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """The content of ``student.json``; None stands for what is not known yet."""

    schema: int = SCHEMA
    base: BaseModel
    settings: Settings
    data: DataSummary
    scratch: str | None = None
    """Where the checkpoints are, if not in the training's own folder."""
    status: str | None = None
    """``begun``, ``training``, ``stopped``, ``out of time`` or ``finished``."""
    steps: int | None = None
    """Updates."""
    epochs: float | None = None
    """Of the data that were gone through."""
    tokens: int | None = None
    """That were trained on in all, padding not counted."""
    plan: StepPlan | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each stage by its name, in the last start."""
    losses: dict[str, float] = field(default_factory=dict)
    """``first`` and ``last`` of the training, ``validation_first`` and ``validation_last``, in nats a token."""
    performance: Performance | None = None
    validation: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    """``before`` and ``after`` of the training: the statistics of replies to validation questions, as in
    `tunixhack.train.inference.format_compliance.ReplyStatistics`."""
    notes: list[str] = field(default_factory=list)
    """Sentences that whoever uses the student must know."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of packages by name."""
    devices: str | None = None
    """In words."""

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return dataclasses.asdict(self)


def exists(folder: Path) -> bool:
    """Tell whether a training was begun in a folder."""
    return (folder / FILE).exists()


def read(folder: Path) -> TrainingRecord:
    """Read a training's record, of this version or an older one.

    Raises:
        UserError: there is none, or it is damaged, or it has what only a later version can read.
    """
    path = path_to_read(folder) / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not the folder of a student: it has no {FILE}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): give back a copy of it, or train in another folder"
        ) from error
    return from_dict(found, path)


def from_dict(found: Any, path: Path) -> TrainingRecord:
    """Return the record in a JSON value; see `read`.

    Args:
        found: the value, whatever it is.
        path: of the file it is from, for the error.
    """
    found = renamed_record(found)
    if isinstance(found, dict):
        later = found.get("schema")
        if isinstance(later, int) and later > SCHEMA:
            raise UserError(
                f"{path} was written by a later version of tunixhack: use that one, or train in another folder"
            )
        _check_settings(found.get("settings"), path)
        found = found | {"schema": SCHEMA}
    try:
        record: TrainingRecord = _converted(found, TrainingRecord, "")
    except _OtherShapeError as error:
        raise UserError(
            f"{path} is not a student's record, since {error}: name the folder that was given as out, or give a copy "
            "of the file back"
        ) from error
    return record


def write(folder: Path, record: TrainingRecord) -> None:
    """Replace a training's record atomically."""
    write_json(folder / FILE, record.as_dict())


def versions() -> dict[str, str]:
    """Return the versions that a training was made with."""
    return {"tunixhack": tunixhack.__version__} | {name: installed_version(name) or "unknown" for name in _PACKAGES}


def refuse_changes(folder: Path, before: TrainingRecord, now: TrainingRecord) -> None:
    """Refuse to resume with another student, other data or other settings.

    Args:
        folder: of the training that was begun.
        before: its record.
        now: the record of what is asked for.

    Raises:
        UserError: names every difference.
    """
    found = differences(compared(before), compared(now))
    if found:
        raise UserError(
            f"{folder} was begun with something else: {'; '.join(found)}. Go on with what it was begun with, or train "
            "in another folder"
        )


def compared(record: TrainingRecord) -> dict[str, Any]:
    """Return what a training cannot go on with another of, by names for a user."""
    return {
        "the student's files": record.base.fingerprint[:16],
        "the rows, their tokens or their order": record.data.key[:16],
        **{f"the weight of {one.name}": one.weight for one in record.data.datasets},
        **record.settings.as_dict(),
    }


def _check_settings(found: Any, path: Path) -> None:
    """Refuse settings that are unknown here, or have a value that they cannot have, by their names."""
    if not isinstance(found, dict):
        return
    known, wrong = get_type_hints(Settings), []
    for name, value in found.items():
        try:
            if name not in known:
                raise _OtherShapeError
            _converted(value, known[name], name)
        except _OtherShapeError:
            wrong.append(f"{name} = {json.dumps(value)[:60]}")
    if wrong:
        raise UserError(
            f"{path} has a setting that this version of tunixhack cannot read: {', '.join(wrong)}. Use the version "
            "that it was trained with, or give a copy of the file back"
        )


class _OtherShapeError(ValueError):
    """A JSON value is not what a training writes; the text says where."""


def _converted(value: Any, kind: Any, where: str) -> Any:
    """Return a JSON value as a type: a dataclass, a list or dict of one, a literal, a plain type, or one or None.

    Raises:
        _OtherShapeError: it is of another shape.
    """
    origin, of = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _converted(value, of[0], where)
    if origin is list:
        if not isinstance(value, list):
            raise _OtherShapeError(f"{where} is no list")
        return [_converted(one, of[0], f"{where}[{place}]") for place, one in enumerate(value)]
    if dataclasses.is_dataclass(kind) or origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise _OtherShapeError(f"{where or 'it'} is no object")
        prefix = f"{where}." if where else ""
        if origin:
            return {name: _converted(one, of[1], prefix + name) for name, one in value.items()}
        return _made(kind, value, prefix)
    fits = value in of if origin is Literal else isinstance(value, int | float if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise _OtherShapeError(f"{where} is of another kind than a training writes")
    return value


def _made(kind: type[T], value: Mapping[str, Any], prefix: str) -> T:
    """Make a dataclass of an object's values; names that it does not have are left out."""
    hints, given = get_type_hints(kind), {}
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass
        if one.name in value:
            given[one.name] = _converted(value[one.name], hints[one.name], prefix + one.name)
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise _OtherShapeError(f"{prefix}{one.name} is missing")
    return kind(**given)
