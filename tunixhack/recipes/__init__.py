"""One short file per domain: where its questions come from, how a teacher is asked, and which steps follow."""

from __future__ import annotations

import pkgutil
from importlib import resources
from pathlib import Path

PACKAGED = "named_datasets"
"""The folder in an installed package that has the named datasets; in a checkout it is ``recipes`` at its top."""


def domains() -> list[str]:
    """Name the domains that the package has, without importing one, which takes seconds."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "find")


def named_datasets() -> dict[str, Path]:
    """Return the datasets that are known by name, each a file that says what is in it.

    >>> sorted(named_datasets())[-1]
    'think_32k'
    """
    package = Path(str(resources.files("tunixhack")))
    folder = package / PACKAGED
    if not folder.is_dir() and (package.parent / "pyproject.toml").is_file():
        folder = package.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("[a-z]*.py"))}
