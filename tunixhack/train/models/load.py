"""Students by name: what stands behind ``model=`` and ``--model``.

=========================================== =========================================================================
name                                        student
=========================================== =========================================================================
a folder                                    as the Hugging Face Hub has them: `tunixhack.train.models.hf_folder`
``user/name``, ``user/name@revision``       of the Hub: `tunixhack.train.models.hub`
``kaggle:OWNER/MODEL/FRAMEWORK/VARIATION``  of Kaggle's models: `tunixhack.train.models.kaggle`
``FILE.gguf``                               dequantised: `tunixhack.train.models.gguf`
``gemma-3-270m``                            from a package index: `tunixhack.train.models.shipped`
``smollm2-135m-instruct``                   the embedded teacher's model, likewise
=========================================== =========================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.train.models import gguf, hub, kaggle, shipped
from tunixhack.train.models.base_model import Base
from tunixhack.train.models.hf_folder import open_folder


def find(spec: str | Path, *, accept_terms: bool = False, say: Callable[[str], None] = lambda sentence: None) -> Base:
    """Find a student and check it, downloading or converting what the caches lack; its weights are not loaded yet.

    Args:
        spec: see above; a folder or file that is here goes before any other meaning.
        accept_terms: whether the user has accepted the model's own terms, where it has any that must be shown.
        say: takes a sentence at the start of what may take long.

    Raises:
        UserError: a sentence for whatever is not there, or not what it must be.
    """
    name = str(spec)
    path = Path(os.path.expanduser(name))  # pathlib's own raises where there is no such user
    if path.is_dir():
        return open_folder(path, name)
    return open_folder(_folder(name, path, accept_terms, say), name)


def _folder(name: str, path: Path, accept_terms: bool, say: Callable[[str], None]) -> Path:
    if name.endswith(".gguf"):
        if not path.is_file():
            raise UserError(f"there is no file {name}: name a GGUF file on this machine")
        return gguf.folder_of(path, say)
    if name == shipped.GEMMA:
        return shipped.gemma(accept_terms=accept_terms, say=say)
    if name == shipped.SMOLLM2:
        return shipped.smollm2(say)
    if name.startswith(kaggle.PREFIX):
        return kaggle.download(name.removeprefix(kaggle.PREFIX), say)
    match = hub.HUB_ID.fullmatch(name)
    if match is None or path.is_absolute():
        raise UserError(
            f"there is no folder {name}: name one with a config.json, a tokenizer.json and .safetensors files, a "
            f"model of the Hub (user/name), {kaggle.PREFIX}OWNER/MODEL/FRAMEWORK/VARIATION, FILE.gguf, "
            f"{shipped.GEMMA} or {shipped.SMOLLM2}"
        )
    return hub.download(match["repo"], match["revision"], say)
