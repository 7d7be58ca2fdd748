"""The arms of an evaluation: what stands in the list of who is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunixhack._util.ids import digest
from tunixhack.errors import UserError
from tunixhack.teachers.reference import REFERENCE
from tunixhack.teachers.registry.address import address_in, public_name
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.train import record

BASE = "base"
BRIEF = "+brief"
"""Behind a base's name: it is asked with the domain's teacher brief."""
Kind = Literal["student", "base", "teacher"]
LONGEST = 100
"""Most characters of a folder's name."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Something that is asked."""

    spec: str
    """As it was named."""
    kind: Kind
    """``student``: a training's folder; ``base``: a model that was not trained here; ``teacher``."""
    of: Path | None = None
    """The training whose base it is; None for a base by name, and for others."""
    brief: bool = False
    """Whether a base is asked as the domain's teacher is: with its system text, and told which form to write."""

    @property
    def label(self) -> str:
        """Its name in tables, without credentials."""
        return public_name(self.spec)

    @property
    def model(self) -> str:
        """What it was named without ``+brief``."""
        return self.spec.removesuffix(BRIEF) if self.brief else self.spec

    @property
    def folder(self) -> str:
        """The name of its folder: the same one each time, whoever else is asked."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.label)[:LONGEST].strip("-.")
        return plain if plain == self.label else f"{plain or 'arm'}-{digest(self.label)[:6]}"


def read_arms(named: str | Sequence[str | Path]) -> list[Arm]:
    """Read a list of arms; a lone student gets its base in front.

    Args:
        named: a training's folder, ``base``, a base as ``--model`` of train names it, either of them with ``+brief``
            behind, or a teacher as ``--teacher`` of build does; the first is the baseline. A text is split at its
            commas.

    Raises:
        UserError: none is named, one twice, or one is nothing that can be asked.
    """
    listed = named.split(",") if isinstance(named, str) else [str(one) for one in named]
    specs = [spec.strip() for spec in listed if spec.strip()]
    if not specs:
        raise UserError("no arm is named: give a training's folder, base, a base model or a teacher, commas between")
    seen: set[str] = set()
    for spec in specs:
        same = str(Path(spec).resolve()) if Path(spec).exists() else public_name(spec)
        if same in seen:
            raise UserError(f"{public_name(spec)} is named twice: name each arm once")
        seen.add(same)
    students = [Path(spec) for spec in specs if _kind(_split(spec)[0]) == "student"]
    if len(specs) == 1 and students:
        specs.insert(0, BASE)
    return [_arm(spec, students) for spec in specs]


def _arm(spec: str, students: Sequence[Path]) -> Arm:
    model, brief = _split(spec)
    kind = _kind(model)
    if brief and kind != "base":
        raise UserError(
            f"{public_name(spec)}: {BRIEF} is for bases, which are told what the domain's teacher is told; "
            f"a {kind} is asked in a way of its own, so name {public_name(model)}"
        )
    return Arm(spec=spec, kind=kind, of=_base_of(students) if model == BASE else None, brief=brief)


def _split(spec: str) -> tuple[str, bool]:
    """Take ``+brief`` off a name, unless a folder is really called so."""
    brief = spec.endswith(BRIEF) and not Path(spec).expanduser().exists()
    return (spec.removesuffix(BRIEF), True) if brief else (spec, False)


def _kind(spec: str) -> Kind:
    if spec == BASE:
        return "base"
    if spec == REFERENCE:
        raise UserError("reference is no model: the source's own answers are what replies are scored by; leave it out")
    if spec == "local" or address_in(spec) is not None:
        return "teacher"
    folder = Path(spec).expanduser()
    if folder.is_dir():
        if record.exists(folder):
            return "student"
        if (folder / "config.json").exists():
            return "base"
        raise UserError(
            f"{spec} is neither the folder of a training, which has a {record.FILE}, nor that of a base model, which "
            "has a config.json"
        )
    first = spec.partition("/")[0]
    if first == "local" or first in PRESETS:
        return "teacher"
    if (folder.is_absolute() or spec.startswith((".", "~"))) and not folder.exists():
        raise UserError(f"there is no folder or file {spec}")
    return "base"


def _base_of(students: Sequence[Path]) -> Path:
    """Return the training that ``base`` is the base of.

    Raises:
        UserError: no student is named, or two that were made of different bases, or are asked differently.
    """
    if not students:
        raise UserError("base is the model that the students were made of, and none is named: name the base itself")
    kept = [record.read(folder) for folder in students]
    ways = {(one.base.fingerprint, one.settings.format, one.settings.system, one.settings.compute) for one in kept}
    if len(ways) > 1:
        raise UserError(
            "base is not one thing here, since the students differ in base, format or system text: name the base "
            "itself, as after --model of train"
        )
    return students[0]
