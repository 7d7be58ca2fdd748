"""Students from Kaggle's models, through `kagglehub`, which is there in Kaggle's notebooks and optional elsewhere."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

from tunixhack._util.installation import pip_install
from tunixhack.errors import UserError

PREFIX = "kaggle:"
_HANDLE = re.compile(r"(?P<owner>[\w.-]+)/(?P<model>[\w.-]+)/(?P<framework>[\w.-]+)/(?P<variation>[\w.-]+)(/\d+)?")
_FRAMEWORKS = ("transformers", "pytorch")
"""Those whose folders can be as Hugging Face has them; others, such as flax, are of another kind."""


def download(handle: str, say: Callable[[str], None] = lambda sentence: None) -> Path:
    """Bring a model into the cache of `kagglehub`, or find it where Kaggle has attached it.

    Args:
        handle: ``OWNER/MODEL/FRAMEWORK/VARIATION``, perhaps with ``/VERSION``.
        say: takes a sentence before the download.

    Returns:
        The folder.

    Raises:
        UserError: one sentence for each way to fail.
    """
    match = _HANDLE.fullmatch(handle)
    if match is None:
        raise UserError(
            f"{PREFIX}{handle} names no model: write {PREFIX}OWNER/MODEL/FRAMEWORK/VARIATION, as "
            f"{PREFIX}google/gemma-3/transformers/gemma-3-1b-it"
        )
    if match["framework"].lower() not in _FRAMEWORKS:
        raise UserError(
            f"{PREFIX}{handle} is in the format of {match['framework']}, not a folder with safetensors files: take the "
            f"same model under transformers, as {PREFIX}google/gemma-3/transformers/gemma-3-1b-it"
        )
    try:
        kagglehub = importlib.import_module("kagglehub")
        errors = importlib.import_module("kagglehub.exceptions")
    except ImportError as error:
        raise UserError(
            f"{PREFIX}{handle} needs the package kagglehub: {pip_install('kagglehub')}, or name a folder"
        ) from error
    page = f"https://www.kaggle.com/models/{match['owner']}/{match['model']}"
    say(f"downloading {handle} from Kaggle, unless it is in the cache")
    try:
        return Path(kagglehub.model_download(handle))
    except (errors.UnauthenticatedError, errors.CredentialError) as error:
        raise UserError(
            f"Kaggle asks who you are before it gives {handle}: accept the terms at {page}, then run "
            "`kagglehub.login()`, or set KAGGLE_API_TOKEN"
        ) from error
    except errors.KaggleApiHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise UserError(
                f"Kaggle does not give {handle} ({status}): accept its terms at {page} with the account whose key you "
                "use, or check its name there"
            ) from error
        if status == 404:
            raise UserError(f"Kaggle has no model {handle}: see {page} for its frameworks and variations") from error
        raise UserError(f"Kaggle answers {status} for {handle}: try again later, or name a folder") from error
    except errors.NotFoundError as error:
        raise UserError(f"Kaggle has no model {handle}: see {page} for its frameworks and variations") from error
    except Exception as error:  # an open set: no network, a full disk, a notebook without internet
        why = next(iter(str(error).splitlines()), "")[:160]
        raise UserError(
            f"{handle} cannot be had from Kaggle ({type(error).__name__}: {why}): check the network (in a Kaggle "
            "notebook, attach the model under Add Input), or name a folder"
        ) from error
