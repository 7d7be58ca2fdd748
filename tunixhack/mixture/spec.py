"""What a mixture of recipes is, without a way to build it: its parts and their quotas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError, nearest
from tunixhack.mixture.part_source import Where
from tunixhack.recipe import Recipe

SHORT = ("error", "keep", "repeat")
"""What is done where a part has fewer questions than its quota."""
RESERVED = ("answers", "batches", "lock", "pilot")
"""Names of what stands in a run's folder, which no part's folder can have."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One recipe's share of a mixture.

    The quota is one of ``questions``, ``rows`` and ``share``; a mixture's parts have shares all, or none of them.
    """

    recipe: Recipe
    questions: int | None = None
    """How many questions are sent for samples."""
    rows: int | None = None
    """How many answers are kept instead: questions are asked until so many are, or none is left."""
    share: float | None = None
    """Which part of the mixture's questions instead; all shares add up to 1."""
    where: Where | None = None
    """Which rows of the source are wanted: the values that columns may have, such as ``{"category": "open_qa"}``, or a
    function of a question's row. All when None."""
    name: str | None = None
    """The part's folder, and what tables call it; the recipe's domain when None, with a number where two have one."""
    teacher: str | None = None
    """Who answers, in place of the mixture's teacher; ``"reference"`` takes the source's own solutions."""
    short: str | None = None
    """What is done where questions are missing, in place of the mixture's ``short``."""


@dataclass(frozen=True, kw_only=True)
class MixtureSpec:
    """The fields of a `tunixhack.mixture.mixture.Mixture`, for what builds it."""

    name: str
    """A word: the folder's name in ``runs/``, and the domain in its record."""
    parts: tuple[Part, ...]
    samples: int | None = None
    """Answers to each question, in place of each recipe's own number."""
    short: str = "error"
    """What is done where a part has fewer questions than its quota: ``"error"`` stops before anything is paid,
    ``"keep"`` takes what there is, ``"repeat"`` repeats kept rows in the mixture's table until the quota is there."""
    rows: int | None = None
    """Answers that are asked for where parts have shares and a build says no number."""
    against: str | tuple[str, ...] | None = None
    """The benchmarks that all parts are compared with, as ``--against`` names them, where ``default`` stands for those
    of all parts; None for those."""
    file: Path | None = None
    """The file that it was read from, for the command that goes on."""
    changes: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What `replace` changed in all recipes, for the command that goes on."""

    def __post_init__(self) -> None:
        """Check all that can be known before sources are read.

        Raises:
            UserError: what makes no sense, with the part's name.
        """
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f"Mixture(name={self.name!r}): a name is made of a-z, 0-9, _ and -, and begins with a letter"
            )
        parts: object = self.parts  # of a caller that nobody checks the types of
        if isinstance(parts, Part):
            object.__setattr__(self, "parts", (parts,))
        elif not isinstance(parts, Sequence):
            raise UserError(f"mixture {self.name}: write parts=(Part(…), Part(…)), and not {parts!r}")
        if not self.parts:
            raise UserError(f"mixture {self.name} has no parts")
        for part in self.parts:
            if not isinstance(part, Part):
                raise UserError(
                    f"mixture {self.name}: {type(part).__name__} is no Part: write Part(recipe=…, questions=…)"
                )
            recipe: object = part.recipe
            if not isinstance(recipe, Recipe):
                name = getattr(recipe, "__name__", type(recipe).__name__).rpartition(".")[2]
                raise UserError(
                    f"mixture {self.name}: Part(recipe=…) takes a Recipe, and {name} is none: a domain's module has it "
                    "as `recipe`, as in creative.recipe"
                )
        object.__setattr__(self, "parts", tuple(self.parts))
        for name, part in self.named():
            _check_part(f"part {name} of mixture {self.name}", part)
        _known_short(f"Mixture(short={self.short!r})", self.short)
        shares = [part.share for part in self.parts if part.share is not None]
        if shares and len(shares) < len(self.parts):
            raise UserError(f"mixture {self.name}: give all parts a share, or none of them")
        if shares and abs(sum(shares) - 1) > 1e-6:
            raise UserError(f"mixture {self.name}: the shares add up to {sum(shares):g}, not to 1")
        if self.rows is not None and not shares:
            raise UserError(f"mixture {self.name}: rows={self.rows} is for parts with shares, and these have quotas")

    @property
    def has_shares(self) -> bool:
        """Tell whether the parts' quotas are shares of a number that a build names."""
        return self.parts[0].share is not None

    def named(self) -> list[tuple[str, Part]]:
        """Return the parts with their names, each of which is there once.

        Raises:
            UserError: two parts were given the same name, or one that no folder of a part can have.
        """
        given = [part.name for part in self.parts if part.name is not None]
        twice = next((name for name, count in Counter(given).items() if count > 1), None)
        if twice is not None:
            raise UserError(f"mixture {self.name} has two parts of the name {twice}: give them different ones")
        bad = next((name for name in given if not _NAME.fullmatch(name)), None)
        if bad is not None:
            raise UserError(f"Part(name={bad!r}) of mixture {self.name}: a name is made of a-z, 0-9, _ and -")
        taken, named = set(given), []
        for part in self.parts:
            name, number = part.name or part.recipe.domain, 1
            while part.name is None and name in taken:
                number += 1
                name = f"{part.recipe.domain}-{number}"
            taken.add(name)
            named.append((name, part))
        reserved = next((name for name in taken if name in RESERVED), None)
        if reserved is not None:
            raise UserError(
                f"mixture {self.name} has a part of the name {reserved}, which something else in its folder has: give "
                "it another one with Part(name=…)"
            )
        return named


def _check_part(what: str, part: Part) -> None:
    quotas = {name: getattr(part, name) for name in ("questions", "rows", "share") if getattr(part, name) is not None}
    if len(quotas) != 1:
        said = " and ".join(f"{name}={value}" for name, value in quotas.items()) or "none of them"
        raise UserError(f"{what}: give one of questions, rows and share, and not {said}")
    ((name, value),) = quotas.items()
    if name == "share":
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
            raise UserError(f"{what}: share={value!r} is above 0 and at most 1")
    elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{what}: {name}={value!r} must be a whole number, at least 1")
    if part.short is not None:
        _known_short(f"{what}: short={part.short!r}", part.short)


def _known_short(what: str, short: str) -> None:
    if short not in SHORT:
        raise UserError(f"{what} is unknown: {nearest(str(short), SHORT)}")
