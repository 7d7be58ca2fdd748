"""The Hub takes a run's dataset: the card and the kept answers from its folder, at any time later, and nothing else.

Files are sent one after the other, each once: what the Hub has with the same sha256 is not sent again, so that a push
that was stopped goes on. One commit with the card puts them in their place together: nobody sees a half of them.

``HF_ENDPOINT`` and ``HF_TOKEN`` are read by ``huggingface_hub`` itself, as is the token that ``hf auth login`` left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack._util.files import write_text
from tunixhack._util.hub import PATIENCE, host, page, within
from tunixhack._util.safe_text import for_terminal
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.publish.public_names import publish_names, published_names
from tunixhack.runs.find import run_to_read
from tunixhack.runs.run import Run
from tunixhack.runs.tables import TableWriter, is_file_of, table_files

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD, TABLE = "README.md", "train"
"""Of a run's folder, what leaves this machine: the card, and the file or files of this table."""
_MAIN = "main"
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """The state of the Hub after a push."""

    page: str
    """The dataset's page."""
    commit: str
    rows: int
    private: bool

    def __str__(self) -> str:
        """Say it in a sentence."""
        who = "you alone, and whom you let" if self.private else "everybody"
        are = "is" if self.rows == 1 else "are"
        return f"{counted(self.rows, 'answer')} {are} at {self.page} (commit {self.commit[:12]}), to be seen by {who}"


def push(
    run: Run | str | Path, repo: str, *, private: bool = False, revision: str | None = None, yes: bool = False
) -> Pushed:
    """Publish a run's dataset, in one commit; a push that was stopped goes on with the files that are missing.

    Args:
        run: the run, its folder, or its address.
        repo: ``user/name``; made where it is not there yet.
        private: make it so that only its owner sees it. One that is public already is refused.
        revision: the branch, made where it is not there yet; None for ``main``.
        yes: publish what an unfinished run has so far.

    Raises:
        UserError: one sentence for each way to fail: nothing to publish yet, no token or one that may not write, no
            network, a Hub that refuses.
    """
    run = run if isinstance(run, Run) else run_to_read(run)
    rows = _look(run, yes)
    if not _REPO.fullmatch(repo):
        raise UserError(f"{repo!r} is no dataset's id on the Hub, which looks like user/name")
    api = _hub()
    with _sentences(repo):
        is_private = _made(api, repo, private)
        if revision not in (None, _MAIN):
            api.create_branch(repo, branch=str(revision), repo_type="dataset", exist_ok=True)
        commit = _commit(api, run, repo, revision)
    below = f"/tree/{revision}" if revision not in (None, _MAIN) else ""
    return Pushed(page=page(f"datasets/{repo}{below}"), commit=commit, rows=rows, private=is_private)


def _look(run: Run, yes: bool) -> int:
    """Count the answers that would be published, or refuse."""
    shards = sorted(path.name for path in run.folder.glob(f"{TABLE}-*.parquet"))
    for name in (CARD, f"{TABLE}.parquet", *shards):
        if (run.folder / name).is_symlink():
            raise UserError(
                f"{run.folder / name} is a link, and what it leads to is no part of the run: put the file itself in "
                "its place, or build again with the same command, which writes it anew"
            )
    if not (run.folder / CARD).is_file():
        raise UserError(f"{run.place} has no {CARD} yet, so there is nothing to publish: {run.status}")
    if not table_files(run.folder, TABLE):
        raise UserError(f"{run.place} has no {TABLE}.parquet yet, so there is nothing to publish: {run.status}")
    rows = run.kept
    if rows == 0:
        raise UserError(f"{run.place}/train.parquet has no rows, so there is nothing to publish")
    if not yes and not run.done:
        raise UserError(f"{run.place} is {run.status} (--yes publishes what is written: {counted(rows, 'answer')})")
    _hide_private_names(run)
    return rows


def _hide_private_names(run: Run) -> None:
    """Write anew what was written before teachers had names for others, and tells an address or a path.

    Table and card are made from the stored answers, which keep the names that the user gave.
    """
    known = "teacher" in next(run.train_parts()).columns
    told = {name for part in run.train_parts(["teacher"]) for name in part["teacher"].unique()} if known else set()
    teachers: dict[str, Any] = {name: {} for name in told if name} | run.state().get("teachers", {})
    names = published_names(teachers)
    # the longest first, since one address can be the beginning of another
    private = sorted((name for name, public in names.items() if name != public), key=len, reverse=True)
    if told.intersection(private):
        with TableWriter(run.folder, TABLE) as writer:
            for part in run.train_parts():
                writer.add(publish_names(part, names))
    card = (run.folder / CARD).read_text(encoding="utf-8", errors="replace")
    public = card
    for name in private:
        public = public.replace(name, names[name])
    if public != card:
        write_text(run.folder / CARD, public)


def _hub() -> HfApi:
    """Return the Hub as its user, whose token goes there and nowhere else."""
    import huggingface_hub
    import huggingface_hub.constants

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise UserError("HF_HUB_OFFLINE is set, and publishing needs the Hub: unset it, and run the same command again")
    token = huggingface_hub.get_token()
    if not token:
        raise UserError(
            f"the Hub at {host()} has to know who publishes: set HF_TOKEN to a token with the role write, from "
            f"{page('settings/tokens')}"
        )
    if not (token.isascii() and token.isprintable() and " " not in token):  # httpx would tell it in its error
        raise UserError(f"HF_TOKEN is no token, which is one word of letters and digits: see {page('settings/tokens')}")
    return huggingface_hub.HfApi(token=token)


def _made(api: HfApi, repo: str, private: bool) -> bool:
    """Make the dataset unless it is there, and return whether it is private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = within(PATIENCE, lambda: api.dataset_info(repo, timeout=PATIENCE / 2))
    except RepositoryNotFoundError:
        api.create_repo(repo, private=private, repo_type="dataset", exist_ok=True)
        return private
    if private and not info.private:
        raise UserError(
            f"dataset {repo} is there already and public, which --private does not change: change it at "
            f"{page(f'datasets/{repo}/settings')}, or name another"
        )
    return bool(info.private)


def _commit(api: HfApi, run: Run, repo: str, revision: str | None) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

    there = {
        entry.path: None if entry.lfs is None else entry.lfs.sha256
        for entry in api.list_repo_tree(repo, repo_type="dataset", revision=revision)
        if isinstance(entry, RepoFile)
    }
    card = CommitOperationAdd(path_in_repo=CARD, path_or_fileobj=run.folder / CARD)
    changes: list[CommitOperationAdd | CommitOperationDelete] = [card]
    files = table_files(run.folder, TABLE)
    for path in files:
        file = CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path)
        if there.get(path.name) == file.upload_info.sha256.hex():
            continue
        if len(files) > 1:  # of several, each is sent for itself, and asked for by its sha256 before
            api.preupload_lfs_files(repo, [file], repo_type="dataset", revision=revision, free_memory=False)
        changes.append(file)
    names = {path.name for path in files}
    changes += [
        CommitOperationDelete(path_in_repo=name) for name in there if is_file_of(name, TABLE) and name not in names
    ]
    message = f"The dataset of a run of {for_terminal(run.state()['domain'])}"
    commit = api.create_commit(repo, changes, commit_message=message, repo_type="dataset", revision=revision)
    return str(commit.oid)


@contextmanager
def _sentences(repo: str) -> Iterator[None]:
    """Make a sentence of whatever goes wrong between here and the Hub; its own words can repeat an address or more."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except UserError:
        raise
    except Exception as error:  # an open set: no network, name or certificate, in the words of httpx, requests or xet
        if isinstance(error, ValueError) and not isinstance(error, HfHubHTTPError):
            # the Hub checks the card's first lines, which the user may have edited
            said = " ".join(str(error).split())[:300]
            raise UserError(f"dataset {repo} cannot be published: {said}") from error
        answer = next((cause for cause in _causes(error) if isinstance(cause, HfHubHTTPError)), None)
        if answer is not None and answer.response is not None:
            raise UserError(_refusal(answer.response.status_code, repo)) from error
        raise UserError(
            f"the Hub at {host()} cannot be reached to publish {repo} ({type(error).__name__}): the same command "
            "tries again, and uploads from the folder as it is then"
        ) from error


def _refusal(status: int, repo: str) -> str:
    tokens, its_page = page("settings/tokens"), page(f"datasets/{repo}")
    said = f"the Hub at {host()} answers {status} for dataset {repo}"
    if status == 401:
        return f"{said}: it does not take the token; set HF_TOKEN to a valid one with the role write, from {tokens}"
    if status == 403:
        return (
            f"{said}: the token may not write to {its_page}; set HF_TOKEN to one with the role write, from {tokens}, "
            f"of an account that may write as {repo.split('/')[0]}"
        )
    if status == 404:
        return f"{said}: see whether {its_page} is there, and whether the account of HF_TOKEN may see it"
    return f"{said}: the same command tries again, and uploads from the folder as it is then"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
