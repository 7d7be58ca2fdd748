"""The arms of an ablation: datasets that students are trained on, and recipes that are built first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.addresses import as_address
from tunixhack._util.ids import digest
from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.evaluate.arms import BASE
from tunixhack.recipe import Recipe
from tunixhack.recipes import domains, named_datasets
from tunixhack.runs.find import run_to_read
from tunixhack.runs.run import Run
from tunixhack.sources.source import is_file
from tunixhack.train import record
from tunixhack.train.data.datasets import stem
from tunixhack.train.models.hub import HUB_ID

What = str | Path | Run | Recipe
"""A run, its folder or address, a file of rows, a dataset of the Hub, a domain's name, a domain file, or a recipe."""
Arms = What | Sequence[What] | Mapping[str, What]
LONGEST = 60
"""Most characters of an arm in the name of a folder."""


@dataclass(frozen=True, kw_only=True)
class TrainedArm:
    """Something that students are trained on."""

    label: str
    """Its name in tables."""
    place: str | Path | Run
    """Where its rows are; of a recipe, how it was named."""
    recipe: Recipe | None = None
    """That is built first; None where the rows are there."""

    @property
    def folder(self) -> str:
        """Its name in the names of folders: the same one each time, whoever the other arms are."""
        return plain(self.label)


def plain(label: str) -> str:
    """Return a name for a folder.

    >>> plain("steps"), plain("of 16")
    ('steps', 'of-16-b0ace5')
    """
    kept = re.sub(r"[^A-Za-z0-9._]+", "-", label)[:LONGEST].strip("-.")
    return kept if kept == label else f"{kept or 'arm'}-{digest(label)[:6]}"


def read_arms(named: Arms) -> list[TrainedArm]:
    """Read a list of arms, or a mapping of labels to arms; the first is the baseline.

    Args:
        named: see `What`; a text may be ``LABEL=WHAT``.

    Raises:
        UserError: none is named, one twice, two are called alike, or one is nothing that rows could come from.
    """
    if isinstance(named, Mapping):
        pairs: list[tuple[str | None, What]] = list(named.items())
    else:
        listed = [named] if isinstance(named, str | Path | Run | Recipe) else list(named)
        pairs = [_labelled(one) for one in listed]
    if not pairs:
        raise UserError("no arm is named: give runs, files of rows, Hub datasets or domains; the first is the baseline")
    arms = [_arm(label, what) for label, what in pairs]
    places = [_same(what) for _, what in pairs]
    for number, (arm, place) in enumerate(zip(arms, places, strict=True)):
        if place in places[:number]:
            raise UserError(f"{place if isinstance(place, str) else arm.label} is named twice: name each arm once")
        if arm.folder.casefold() in {other.folder.casefold() for other in arms[:number]}:
            raise UserError(
                f"two arms are called {arm.label}: give them names, as short={places[number]} on the command line, or "
                "{'short': …, 'long': …} in Python"
            )
    return arms


def _labelled(what: What) -> tuple[str | None, What]:
    """Split ``LABEL=WHAT``, unless there is a file or folder of that very name."""
    if not isinstance(what, str) or Path(what).expanduser().exists():
        return None, what
    label, found, rest = what.partition("=")
    return (label, rest) if found and label and rest and "/" not in label else (None, what)


def _same(what: What) -> object:
    """Return what tells an arm from others: a path as the file system has it, else its name; a recipe is itself."""
    if isinstance(what, Recipe):
        return id(what)
    if isinstance(what, Run) and what.address:
        return what.address
    place = what.folder if isinstance(what, Run) else Path(what).expanduser()
    return str(place.resolve()) if place.exists() else as_address(str(what)) or str(what)


def _arm(label: str | None, what: What) -> TrainedArm:
    if label is not None and (not label.strip() or label.strip() == BASE):
        raise UserError(f"an arm cannot be called {label!r}: that name is the base's, or no name at all")
    if isinstance(what, Recipe):
        return TrainedArm(label=label or what.domain, place=what.domain, recipe=what)
    if isinstance(what, Run):
        return TrainedArm(label=label or what.folder.name, place=what)
    place = str(what)
    if as_address(what) is not None:  # fetched once, however often its rows are read
        return _arm(label, run_to_read(what))
    path = Path(place).expanduser()
    if path.is_dir():
        if record.exists(path):
            raise UserError(
                f"{place} is the folder of a training: an ablation trains its own students; name what it was trained "
                "on, or the student with --also"
            )
        return TrainedArm(label=label or path.resolve().name, place=path)
    if path.suffix == ".py":
        return TrainedArm(label=label or path.stem, place=place, recipe=find(str(path)))
    if place in domains() or place in named_datasets():
        return TrainedArm(label=label or place, place=place, recipe=find(place))
    if is_file(place):
        if not path.is_file():
            raise UserError(f"there is no file {place}")
        return TrainedArm(label=label or stem(place), place=path)
    if path.is_absolute() or place.startswith((".", "~")) or "/" not in place:
        raise UserError(
            f"there is no arm {place}: give a run's folder, a file of rows, a dataset of the Hub (user/name), one of "
            f"the domains {', '.join(domains())}, or a domain file"
        )
    if HUB_ID.fullmatch(re.split("[:@]", place)[0]) is None:
        raise UserError(f"there is no folder or file {place}, and no dataset of the Hub is called so")
    return TrainedArm(label=label or stem(place), place=place)
