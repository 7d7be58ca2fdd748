"""Lengths in a student's own tokens, from its ``tokenizer.json`` alone."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunixhack._util.hub import PATIENCE, page, within
from tunixhack.errors import MissingExtra, UserError

BATCH = 1000
"""Texts tokenised at a time, so that their encodings are never all in memory."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def student_counter(student: str) -> Callable[[Sequence[str]], list[int]]:
    """Make the counter of a student's tokens, for `Context.count_tokens`.

    Args:
        student: a folder with a ``tokenizer.json``, such a file itself, or a model's id on the Hub.

    Returns:
        A function from texts to their lengths in tokens, without start and end tokens, and without the truncation
        or padding that the file may ask for.

    Raises:
        UserError: there is no such file or model, it needs a login, or it is no tokenizer.
        MissingExtra: the package ``tokenizers`` is not installed.
    """
    tokenizer = _load(student)
    # a tokenizer saved in the middle of a training may carry either, and both change lengths
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        lengths: list[int] = []
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            lengths.extend(len(encoding.ids) for encoding in encodings)
        return lengths

    return count


def _load(student: str) -> Any:
    """Load a student's ``tokenizers.Tokenizer``, which has no types of its own."""
    try:
        tokenizer = importlib.import_module("tokenizers").Tokenizer
    except ImportError as error:
        raise MissingExtra("generate", "--student") from error

    path = Path(os.path.expanduser(student))  # pathlib's own raises where there is no such user
    if path.is_dir():
        path = path / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"--student {student}: the folder has no tokenizer.json; save the tokenizer there")
    if path.is_file():
        try:
            return tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing more precise
            raise UserError(
                f"--student {student}: {path.name} is not a tokenizer that `tokenizers` reads ({_line(error)}); "
                "give the folder, or the tokenizer.json that lies in it"
            ) from error
    if not _HUB_ID.fullmatch(student) or student.endswith(".json"):
        raise UserError(
            f"--student {student}: no such file or folder; give one with a tokenizer.json, or an id on the Hub"
        )
    return _from_hub(tokenizer, student)


def _from_hub(tokenizer: Any, student: str) -> Any:
    from huggingface_hub import errors

    try:
        return tokenizer.from_file(_fetched(student))
    except errors.GatedRepoError as error:
        why = f"the model is gated: accept its terms at {page(student)} and set HF_TOKEN"
        raise UserError(f"--student {student}: {why}, or give a folder with its tokenizer.json") from error
    except errors.RepositoryNotFoundError as error:
        why = "there is no such file or folder here, and no such model on the Hub that this login may read"
        raise UserError(
            f"--student {student}: {why}: see {page(student)}, and set HF_TOKEN if it is private"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        why = "there is no such file or folder here, and the Hub cannot be reached and its cache does not have it"
        raise UserError(f"--student {student}: {why}; check the connection, or give a folder") from error
    except errors.EntryNotFoundError as error:
        why = "the model on the Hub has no tokenizer.json"
        raise UserError(f"--student {student}: {why}; give a folder that has one") from error
    except Exception as error:  # tokenizers and the Hub's client raise many more kinds; all are about this option
        raise UserError(
            f"--student {student}: the tokenizer cannot be had from the Hub ({type(error).__name__}: {_line(error)}); "
            "check the connection, or give a folder with its tokenizer.json"
        ) from error


def _fetched(student: str) -> str:
    """Return the path of a model's tokenizer.json in the cache of `huggingface_hub`.

    The Hub is asked once, for a few seconds: the client's own way tries five times, and writes a line on each.
    """
    from huggingface_hub import HfApi, constants, errors, hf_hub_download

    away = bool(constants.HF_HUB_OFFLINE)
    if not away:
        try:
            within(PATIENCE, lambda: HfApi().model_info(student, timeout=PATIENCE / 2))
        except (errors.HfHubHTTPError, errors.HFValidationError):
            raise
        except Exception:  # noqa: BLE001  # no network, name or certificate, in the words of httpx or requests
            away = True
    return str(hf_hub_download(student, "tokenizer.json", local_files_only=away))


def _line(error: Exception) -> str:
    """Return an exception's first line, short enough for a sentence."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:160]
