"""Students of the Hugging Face Hub, each at one commit: what a student needs of a repository, and no more.

``HF_ENDPOINT`` names another Hub, and ``HF_HUB_OFFLINE=1`` means the cache alone: both are read by `huggingface_hub`
itself when it is first imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from tunixhack._util.hub import PATIENCE, host, page, within
from tunixhack.errors import UserError
from tunixhack.train.models.tokenizer import FILES

HUB_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
"""``user/name`` or ``user/name@revision``."""

_INDEX = "model.safetensors.index.json"
_NEEDED = ("config.json", "tokenizer.json")
_USEFUL = (*FILES, "config.json", "generation_config.json", _INDEX, "LICENSE*", "NOTICE*", "README.md")


def download(repo: str, revision: str | None = None, say: Callable[[str], None] = lambda sentence: None) -> Path:
    """Bring a student into the cache of `huggingface_hub`.

    Args:
        repo: ``user/name``.
        revision: a branch, tag or commit; None for the newest, or for the last one used where the Hub is not asked.
        say: takes a sentence before the download.

    Returns:
        The folder, named by its commit.

    Raises:
        UserError: one sentence for each way to fail: no network, no such model or revision, a gated or private one,
            one that is no student. The Hub is waited for at most eight seconds for its first answer.
    """
    import huggingface_hub
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        try:
            return Path(huggingface_hub.snapshot_download(repo, revision=revision, local_files_only=True))
        except errors.LocalEntryNotFoundError as error:
            raise UserError(
                f"{repo} is not in the cache: go online once, without HF_HUB_OFFLINE, or name a folder"
            ) from error
    try:
        info = within(
            PATIENCE,
            lambda: huggingface_hub.HfApi().model_info(
                repo, revision=revision, files_metadata=True, timeout=PATIENCE / 2
            ),
        )
        sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or ()}
        files = needed_files(list(sizes), repo)
        gigabytes = sum(sizes[file] for file in files) / 1e9
        say(f"downloading {repo} ({gigabytes:.2f} GB, unless it is in the cache)")
        return Path(huggingface_hub.snapshot_download(repo, revision=revision, allow_patterns=files))
    except UserError:
        raise
    except errors.HFValidationError as error:
        raise UserError(f"{repo!r} is no model's id, which looks like user/name") from error
    except errors.GatedRepoError as error:
        raise UserError(
            f"{repo} is gated: accept its terms at {page(repo)}, then set HF_TOKEN to a token of that account"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{repo} has no revision {revision}: see {page(repo)}/commits/main") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"there is no model {repo} on the Hub at {host()}, or it is private or gated: see {page(repo)}, and set "
            "HF_TOKEN to a token that may read it; nor is there a folder of that name here"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        hint = f": accept the terms at {page(repo)} if it has any, and set HF_TOKEN" if status in (401, 403) else ""
        raise UserError(f"the Hub at {host()} answers {status} for {repo}{hint}") from error
    except OSError as error:
        if error.errno is not None:
            raise UserError(
                f"cannot write {repo} to the cache: {error.strerror or error}; make room, or set HF_HOME to another "
                "folder"
            ) from error
        raise _unreachable(repo, error) from error
    except Exception as error:  # an open set: no network, name or certificate, in the words of httpx or requests
        raise _unreachable(repo, error) from error


def needed_files(names: Sequence[str], repo: str) -> list[str]:
    """Choose of a repository's files those that a student needs.

    Weights in other formats, and in folders of their own, are left out; where an index is, so are safetensors files
    that are not of its set.

    >>> needed_files(["config.json", "tokenizer.json", "model.safetensors", "original/model.safetensors"], "u/m")
    ['config.json', 'model.safetensors', 'tokenizer.json']

    Raises:
        UserError: what every student needs is not among them.
    """
    weights = {name for name in names if fnmatch(name, "*.safetensors") and "/" not in name}
    whole = {"model.safetensors"} & weights
    parts = {name for name in weights if fnmatch(name, "model-*-of-*.safetensors")}
    chosen = whole or (parts if _INDEX in names else set()) or weights
    missing = [name for name in _NEEDED if name not in names] + ([] if chosen else ["*.safetensors"])
    if missing:
        adapter = "; it is a LoRA adapter, which is no whole student" if "adapter_config.json" in names else ""
        raise UserError(
            f"{repo} on the Hub at {host()} has no {' and no '.join(missing)}{adapter}: choose a model that has "
            "config.json, tokenizer.json and safetensors files"
        )
    useful = {name for name in names if any(fnmatch(name, pattern) for pattern in _USEFUL) and "/" not in name}
    if whole:
        useful.discard(_INDEX)
    return sorted(chosen | useful)


def _unreachable(repo: str, error: Exception) -> UserError:
    return UserError(
        f"the Hub at {host()} cannot be reached for {repo} ({type(error).__name__}): go online, set HF_ENDPOINT to a "
        "mirror or HF_HUB_OFFLINE=1 to use the cache, or name a folder"
    )
