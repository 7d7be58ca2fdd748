"""Finding a recipe by its domain's name, a dataset by its name, or either by the path of a file."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tunixhack.errors import TunixHackError, UserError, nearest
from tunixhack.mixture.mixture import Mixture
from tunixhack.recipe import Recipe
from tunixhack.recipes import domains, named_datasets


def find(name: str) -> Recipe:
    """Return the recipe of a domain, or of a domain file of the user's own.

    Raises:
        UserError: no such domain (the nearest is named) or file, the file has no ``recipe`` or does not import, or it
            is a mixture of several recipes.
    """
    found = find_dataset(name)
    if isinstance(found, Mixture):
        raise UserError(f"{name} is a mixture of {len(found.parts)} parts, and this takes one recipe: name a domain")
    return found


def find_dataset(name: str) -> Recipe | Mixture:
    """Return what ``tunixhack build`` builds under a name: a domain, a named dataset, or a file of the user's own.

    Raises:
        UserError: see `find`; a mixture is no error here.
    """
    if name in domains():
        return _dataset_of(importlib.import_module(f"tunixhack.recipes.{name}"), name)
    named = named_datasets()
    if name in named:
        return _dataset_of(_imported(named[name]), name)
    path = Path(name)
    if path.suffix != ".py":
        known = nearest(name, [*domains(), *named])
        raise UserError(f"domain {name!r} is unknown: {known}; or give the path of a domain file")
    if not path.is_file():
        raise UserError(f"there is no domain file {path}")
    return dataclasses.replace(_dataset_of(_imported(path), str(path)), file=path)


def _imported(path: Path) -> ModuleType:
    """Import a domain file, under a name that is no package's: it can be called ``math.py`` or ``datasets.py``."""
    place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    name = re.sub(r"\W", "_", f"_domain_{place}_{path.stem}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its classes are looked up there by what needs their annotations
    try:
        with _beside(path):
            spec.loader.exec_module(module)
    except BaseException as error:  # the user's own file can raise anything
        del sys.modules[name]
        if isinstance(error, TunixHackError | KeyboardInterrupt):
            raise
        raise UserError(f"{path} does not import: {type(error).__name__}: {error}") from error
    return module


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let a file import those beside it, where nothing that is installed has their names."""
    folder = str(path.resolve().parent)
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _dataset_of(module: ModuleType, name: str) -> Recipe | Mixture:
    found = getattr(module, "mixture", None)
    if isinstance(found, Mixture):
        return found
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UserError(f"{name} has no `recipe = Recipe(...)`, and no `mixture = Mixture(...)` either")
    return recipe
