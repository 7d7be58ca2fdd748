"""Students by name: what stands behind ``model=`` and ``--model``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.train.students.base import Base
from tunixhack.train.students.folder import open_folder


def find(spec: str | Path, *, accept_terms: bool = False, say: Callable[[str], None] = lambda sentence: None) -> Base:
    """Find a student and check it; its weights are not loaded yet.

    Args:
        spec: a folder as the Hugging Face Hub has it.
        accept_terms: whether the user has accepted the model's own terms, where it has any that must be shown.
        say: takes a sentence at the start of what may take long.

    Raises:
        UserError: a sentence for whatever is not there, or not what it must be.
    """
    name = str(spec)
    path = Path(os.path.expanduser(name))  # pathlib's own raises where there is no such user
    if path.is_dir():
        return open_folder(path, name)
    raise UserError(f"there is no folder {name}: name one with a config.json, a tokenizer.json and .safetensors files")
