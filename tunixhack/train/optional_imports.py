"""Importing what the extra `[train]` brings: what fails there is reported with the command that finds out why."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tunixhack.errors import MissingExtra, UserError

PACKAGE = Path(__file__).resolve().parents[1]


def import_optional(module: str, what: str) -> ModuleType:
    """Import a module that needs jax or Tunix.

    Args:
        module: its name; of this package or another.
        what: was wanted, the subject of the sentence.

    Raises:
        MissingExtra: a package is not installed.
        UserError: one is installed in a version that does not work with the others.
    """
    try:
        with warnings.catch_warnings():
            # Tunix imports tensorboardX, that google.cloud, and that tells at every start when it will leave the
            # user's Python, and to take a newer one: Curator's pins end at 3.12, so that this is not the user's to mend
            warnings.filterwarnings(
                "ignore",
                r"\s*You are using a Python version",
                category=FutureWarning,
                module=r"google\.api_core\._python_version_support$",
            )
            return import_module(module)
    except Exception as error:
        if _own_mistake(error):
            raise
        if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
            raise MissingExtra("train", f"{what} ({error.name} is missing)", ask_doctor=True) from error
        first = (str(error).strip() or "no reason given").splitlines()[0]
        raise UserError(
            f"{what} cannot be imported ({type(error).__name__}: {first}): `tunixhack doctor` says which versions "
            "clash and what mends it"
        ) from error


def _own_mistake(error: BaseException) -> bool:
    """Tell an error of this package itself, such as a misspelt name, from one of its dependencies."""
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] == "tunixhack"
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and PACKAGE in Path(last.tb_frame.f_code.co_filename).resolve().parents
