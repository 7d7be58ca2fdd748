"""Datasets of the Hugging Face Hub, each at one commit, from the Hub or from the cache.

``HF_ENDPOINT`` names another Hub, and ``HF_HUB_OFFLINE=1`` or ``HF_DATASETS_OFFLINE=1`` means the cache alone: all
are read by ``huggingface_hub`` and ``datasets`` themselves when they are first imported.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunixhack._util.hub import PATIENCE, host, page, within
from tunixhack.errors import UserError
from tunixhack.sources.arrow_rows import table_rows
from tunixhack.sources.files import Row

if TYPE_CHECKING:
    import datasets

_BATCH = 10_000
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubRows:
    """The rows of a Hub dataset, and the commit that they are of."""

    rows: Iterator[Row]
    commit: str | None
    """None where the cache does not tell."""
    public: bool | None = None
    """Whether anybody can read the dataset, without a token or terms to accept; None where the cache does not tell."""


Tell = Callable[[int | None, int | None], None]
"""Is told how many rows a split has, and the bytes of all that is downloaded for it, each None where not known."""


def hub_rows(path: str, name: str | None, split: str, revision: str | None, tell: Tell | None = None) -> HubRows:
    """Open one split of a dataset, downloading what the cache lacks.

    Args:
        path: the dataset's id, ``user/name``.
        name: its config; None for the only or default one.
        split: such as ``train``; the slices of `datasets` (``train[:100]``) work.
        revision: a branch, tag or commit; None for the newest on the Hub, or the last one used in the cache.
        tell: called before anything is downloaded.

    Raises:
        UserError: one sentence for each way to fail: no network, no such dataset, revision, config or split, a
            gated or private one, broken files. The Hub is waited for at most eight seconds.
    """
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder here: name one file of questions in it, or start elsewhere for the Hub's")
    offline = _offline()
    commit, gated, public = (None, False, None) if offline else _resolve(path, revision)
    try:
        dataset = _load(path, name, split, commit, tell)
    except UserError:
        raise
    except Exception as error:  # an open set: those of datasets, huggingface_hub, httpx or requests, fsspec, pyarrow
        if gated or _is_gated(error):
            raise _gated(path) from error
        if offline:
            part = f"{path} with config {name}" if name else path
            raise UserError(
                f"dataset {part} is not in the cache: go online once, without HF_HUB_OFFLINE, or name a local file"
            ) from error
        raise UserError(f"dataset {path} cannot be loaded from the Hub at {host()}: {_reason(error)}") from error
    if offline:
        commit = _cached_commit(dataset)
        if revision and _COMMIT.fullmatch(revision) and commit and revision != commit:
            raise UserError(
                f"the cache has commit {commit} of {path}, not {revision}: ask for that one, or go online without "
                "HF_HUB_OFFLINE"
            )
    return HubRows(_rows(dataset, path), commit, public)


def _offline() -> bool:
    import datasets
    import huggingface_hub.constants

    return bool(huggingface_hub.constants.HF_HUB_OFFLINE or datasets.config.HF_HUB_OFFLINE)


def _resolve(path: str, revision: str | None) -> tuple[str, bool, bool]:
    """Return the commit that a revision means now, whether the dataset is gated, and whether it is public."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = within(PATIENCE, lambda: HfApi().dataset_info(path, revision=revision, timeout=PATIENCE / 2))
    except HFValidationError as error:
        raise UserError(f"{path!r} is no dataset's id, which looks like user/name") from error
    except GatedRepoError as error:
        raise _gated(path) from error
    except RevisionNotFoundError as error:
        raise UserError(f"dataset {path} has no revision {revision}: see {_page(path)}/commits/main") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"there is no dataset {path} on the Hub at {host()}, or it is private or gated: see {_page(path)}, and set "
            "HF_TOKEN to a token that may read it; nor is there a file of that name here"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = f": set HF_TOKEN to a token that may read {_page(path)}" if status in (401, 403) else ""
        raise UserError(f"the Hub at {host()} answers {status} for dataset {path}{hint}") from error
    except Exception as error:  # an open set: no network, name or certificate, in the words of httpx or requests
        raise UserError(
            f"the Hub at {host()} cannot be reached for dataset {path} ({type(error).__name__}): go online, set "
            "HF_ENDPOINT to a mirror or HF_HUB_OFFLINE=1 to use the cache, or name a local file"
        ) from error
    if info.sha is None:
        raise UserError(f"the Hub at {host()} tells no commit of dataset {path}: name one as its revision")
    return info.sha, bool(info.gated), not info.gated and info.private is False


def _load(path: str, name: str | None, split: str, commit: str | None, tell: Tell | None) -> datasets.Dataset:
    from datasets import load_dataset_builder

    # datasets 3 asks at the terminal whether to run a dataset's own code, which would hang a notebook; 4 never runs it
    old = "trust_remote_code" in inspect.signature(load_dataset_builder).parameters
    refuse = {"trust_remote_code": False} if old else {}
    # load_dataset in its two halves: a split that is not there is told of before anything is downloaded
    builder = load_dataset_builder(path, name, revision=commit, **refuse)
    known = [str(known) for known in builder.config.data_files or builder.info.splits or ()]
    for part in split.split("+"):
        plain = part.split("[")[0].strip()
        if known and plain not in known:
            raise UserError(f"dataset {path} has no split {plain!r}: it has {', '.join(known)}")
    if tell is not None:
        whole = (builder.info.splits or {}).get(split)
        tell(whole.num_examples if whole is not None else None, builder.info.download_size)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def _rows(dataset: datasets.Dataset, path: str) -> Iterator[Row]:
    for number, table in enumerate(dataset.with_format("arrow").iter(batch_size=_BATCH)):
        yield from table_rows(table, path, number * _BATCH)


def _cached_commit(dataset: datasets.Dataset) -> str | None:
    """Read the commit off the cache: the folder of a dataset's Arrow files is named by it."""
    folders = {Path(file["filename"]).parent.name for file in dataset.cache_files}
    commits = [folder for folder in folders if _COMMIT.fullmatch(folder)]
    return commits[0] if len(commits) == 1 else None


def _is_gated(error: BaseException) -> bool:
    from huggingface_hub.errors import GatedRepoError

    inner = error.__context__  # datasets wraps it
    return isinstance(error, GatedRepoError) or (inner is not None and _is_gated(inner))


def _gated(path: str) -> UserError:
    return UserError(
        f"dataset {path} is gated: accept its terms at {_page(path)}, then set HF_TOKEN to a token of that account"
    )


def _page(path: str) -> str:
    return page(f"datasets/{path}")


def _reason(error: Exception) -> str:
    """Take the first sentence or two of another library's error; the rest is advice about that library."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
