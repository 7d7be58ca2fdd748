"""Names in a bake-off: the recipes and teachers that the user gives, the folders, and the command that goes on."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.teachers.registry.address import public_name

Domain = str | Path | Recipe
"""A domain's name, the path of a domain file, or a recipe."""
Domains = Domain | Sequence[Domain] | Mapping[str, Domain]
"""One domain, several, or several by name. A text is split at its commas."""
LONGEST = 100
"""Most characters of a folder's name."""


def split(values: str | Sequence[str], option: str) -> list[str]:
    """Split a list with commas.

    Raises:
        UserError: nothing is, or the same twice.

    >>> split("local, ollama/qwen3", "--teachers")
    ['local', 'ollama/qwen3']
    """
    listed = values.split(",") if isinstance(values, str) else list(values)
    found = [value.strip() for value in listed if value.strip()]
    if not found:
        raise UserError(f"{option} names nothing: give one or more, with commas between")
    twice = next((value for value in found if found.count(value) > 1), None)
    if twice:
        raise UserError(f"{option} names {public_name(twice)} twice")
    return found


def recipes_of(domains: Domains) -> dict[str, Recipe]:
    """Return the recipes by name: as they were named, or their domain.

    Raises:
        UserError: one is unknown, none is named, or two are called the same.
    """
    if isinstance(domains, Mapping):
        named = list(domains.items())
    else:
        listed = [domains] if isinstance(domains, Recipe | Path) else domains
        if isinstance(listed, str):
            listed = split(listed, "--domain")
        named = [(one.domain if isinstance(one, Recipe) else str(one), one) for one in listed]
    if not named:
        raise UserError("--domain names nothing: give a domain, or several files of one")
    recipes: dict[str, Recipe] = {}
    for name, one in named:
        if name in recipes:
            raise UserError(f"two of the domains are called {name}: give them names, as {{'warm': …, 'cool': …}}")
        recipes[name] = one if isinstance(one, Recipe) else find(str(one))
    return recipes


def folder_names(pairs: Sequence[tuple[str, str]], recipes: Mapping[str, Recipe]) -> dict[tuple[str, str], str]:
    """Name a folder after each teacher and recipe; the same one each time, whatever else is compared.

    Args:
        pairs: a teacher as after ``--teacher``, and what a recipe is called.
        recipes: by what they are called. That of the package has no part in the name.
    """
    names: dict[tuple[str, str], str] = {}
    for teacher, called in pairs:
        name = _plain(f"{_short(public_name(teacher))}-{_part(called, recipes[called])}")
        if name.casefold() in {other.casefold() for other in names.values()}:
            name = f"{name}-{hashlib.sha256(f'{teacher} {called}'.encode()).hexdigest()[:8]}"
        names[teacher, called] = name
    return names


def compare_command(specs: Sequence[str], domains: Domains, options: Mapping[str, Any]) -> str:
    """Return the command that resumes a bake-off, or what to do where it was started in Python."""
    listed = [domains] if isinstance(domains, str | Path) else domains
    if isinstance(listed, Mapping | Recipe) or not all(isinstance(one, str | Path) for one in listed):
        return "the same call of tunixhack.bakeoff.compare.compare"
    parts = ["tunixhack", "teachers", "compare", "--teachers", ",".join(map(public_name, specs))]
    parts += ["--domain", ",".join(map(str, listed))]
    for name, value in options.items():
        if value is not None:
            parts += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(parts)


def _short(teacher: str) -> str:
    """Leave out what does not distinguish teachers: the scheme of an address, the folders of a file."""
    kind, _, file = teacher.partition("/")
    return f"local-{Path(file).stem}" if kind == "local" and file else re.sub("^https?://", "", teacher)


def _part(called: str, recipe: Recipe) -> str:
    if recipe.file is not None:
        return recipe.file.stem
    return "" if called == recipe.domain else called


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:LONGEST].strip("-.") or "teacher"
