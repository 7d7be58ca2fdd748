"""A build of a run that is kept at an address: claimed, fetched, worked on in a folder here, and carried up."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from tunixhack._util.addresses import as_address, as_path
from tunixhack._util.files import make_folder
from tunixhack._util.lock import locked
from tunixhack._util.progress import Reporter
from tunixhack.errors import TunixHackError, UserError
from tunixhack.runs.answer_store import KEY_FIELDS
from tunixhack.runs.run import Run
from tunixhack.runs.shard_names import PREPARED, holds_shards, is_shard, shard_folders
from tunixhack.runs.state import STATE
from tunixhack.storage.carrier import Carrier
from tunixhack.storage.claims import Held, claimed
from tunixhack.storage.failures import StorageFailed
from tunixhack.storage.objects import Objects
from tunixhack.storage.working_copy import WorkingCopy, working_folder

PATIENCE = 600.0
"""Seconds for which a store that fails is tried at the end of a build."""
PATIENCE_AFTER_ERROR = 30.0
"""The same where the build has failed or was interrupted, and somebody waits."""


@contextmanager
def worked_on(address: str, part: str, report: Reporter) -> Iterator[Path]:
    """Yield the folder of this machine in which a run of an address is built.

    Args:
        address: of the build.
        part: the name of the shard's folder in it, or of what is prepared; empty for a whole run.
        report: takes sentences.

    Raises:
        UserError: the address makes no sense, or another process is at work there.
        StorageFailed: the store cannot be asked or written; what was received is kept in the folder.
    """
    objects, parent = Objects(address), working_folder(address)
    local = parent / part if part else parent
    main = threading.current_thread() is threading.main_thread()

    def stop_here() -> None:
        if main:
            _thread.interrupt_main()

    with claimed(objects, part, report.say, stop_here) as held:
        lent = _mirrored(objects, parent, part)
        copy = WorkingCopy.open(local, part)
        with locked(local, report.say):
            carrier = Carrier(objects, copy, copy.fetch(objects), report.warn, lent, lambda: held.lost)
        report.say(f"{held.place} is worked on in {local}, and carried up every few seconds")
        carrier.start()
        try:
            yield local
        except BaseException as error:
            _finish_after(error, carrier, held, report)
            copy.remove_if_empty()  # a mistake that cost nothing leaves no shard behind
            raise
        _finish(carrier, held)


def _finish(carrier: Carrier, held: Held) -> None:
    try:
        carrier.finish(PATIENCE)
    except StorageFailed as error:
        raise StorageFailed(
            f"{error}; all of it is in {carrier.copy.folder}, and the same command on this machine carries it up, "
            "and asks nothing again"
        ) from error
    if held.lost:
        raise _taken_over(held)


def _finish_after(error: BaseException, carrier: Carrier, held: Held, report: Reporter) -> None:
    """Carry up what a build has that failed, and say in its sentence where it is."""
    try:
        carrier.finish(PATIENCE_AFTER_ERROR)
    except StorageFailed as failed:
        report.warn(
            f"{failed}; what was received is in {carrier.copy.folder}, and the same command here goes on from it"
        )
    if held.lost and isinstance(error, KeyboardInterrupt):
        raise _taken_over(held) from error
    if isinstance(error, TunixHackError) and error.args:
        name_address(error, {carrier.copy.folder: held.place, carrier.copy.folder.parent: held.objects.address})


def name_address(error: TunixHackError, addresses: dict[Path, str]) -> None:
    """Put addresses in place of the folders of this machine in an error's sentence, and say where the folder is."""
    told, folder = str(error), None
    for local, address in addresses.items():
        if str(local) in told:
            folder = folder or local
            told = told.replace(str(local), address)
    if folder is not None:
        error.args = (f"{told} (worked on in {folder})",)


def _taken_over(held: Held) -> UserError:
    return UserError(
        f"{held.place} was taken over by another process while this one was at work, and did not stop: the answers "
        "that this one received are carried up, and whoever goes on there has them"
    )


def _mirrored(objects: Objects, parent: Path, part: str) -> pl.DataFrame:
    """Make folders for the parts of the build that are up there, and fetch what was prepared.

    Returns:
        The keys of the answers that what was prepared lends.
    """
    make_folder(parent)
    names = [name for name in objects.folders() if is_shard(name) or name == PREPARED]
    for left in shard_folders(parent).values():
        if left.name not in names:
            with suppress(OSError):  # which one that holds something raises
                left.rmdir()
    for name in names:
        make_folder(parent / name)
    if PREPARED in names and part != PREPARED:
        WorkingCopy.open(parent / PREPARED, PREPARED).fetch(objects, tables=True)  # shards read their questions there
    if not part:
        _check_whole(objects, parent)
    elif part != PREPARED:
        prepared = Run(parent / PREPARED)
        return pl.concat([run.store.keys() for run in (prepared, *prepared.parts())])
    return pl.DataFrame(schema=KEY_FIELDS)


def _check_whole(objects: Objects, parent: Path) -> None:
    """See that no whole run is built where the shards of one are.

    Raises:
        UserError: they are.
    """
    told = Run(parent).without_state() if holds_shards(parent) and objects.read(STATE) is None else None
    if told:
        error = UserError(told)
        name_address(error, {parent: objects.address})
        raise error


@contextmanager
def fetched_shards(address: str, *, answers: bool = True) -> Iterator[Path]:
    """Yield a folder of this machine with the shards of a build at an address, in order to merge them.

    Args:
        address: of the build.
        answers: fetch all answers as well, and not run.json alone.

    Raises:
        UserError: as of what the body does, with addresses in place of the folder.
        StorageFailed: the store cannot be asked.
    """
    objects, parent = Objects(address), working_folder(address)
    make_folder(parent)
    for name in objects.folders():
        if is_shard(name) or name == PREPARED:
            copy = WorkingCopy.open(parent / name, name)
            copy.fetch(objects) if answers else copy.fetch_records(objects, objects.sizes(name))
    try:
        yield parent
    except TunixHackError as error:
        name_address(error, {parent: address})
        raise


@dataclass(frozen=True)
class Place:
    """Where a build is worked on."""

    folder: Path
    """Of the run."""
    merge: Path | None
    """Of the shards that are merged."""
    addresses: Mapping[Path, str]
    """What the user named, by the folders that stand for it here."""
    address: str | None = None
    """Of the run; None where it is in a folder of the user's."""

    def run(self, run: Run) -> Run:
        """Return a run that was built here as the one that the user knows."""
        return replace(run, address=self.address)


@contextmanager
def placed(out: str | Path, part: str, merge: str | Path | None, report: Reporter) -> Iterator[Place]:
    """Yield where a build is worked on: in its own folder, or in one of this machine that stands for an address.

    Args:
        out: a folder, or an address.
        part: the name of a shard's folder in it, or of what is prepared; empty for a whole run.
        merge: the folder of shards that are merged, or their address.
        report: takes sentences.

    Raises:
        UserError: as `worked_on` and `fetched_shards`.
    """
    with ExitStack() as stack:
        addresses = {}
        from_ = None if merge is None else as_path(merge)
        if merge is not None and (address := as_address(merge)):
            from_ = stack.enter_context(fetched_shards(address))
            addresses[from_] = address
        folder = as_path(out) / part
        if address := as_address(out):
            folder = stack.enter_context(worked_on(address, part, report))
            addresses[folder.parent if part else folder] = address
            address = f"{address}/{part}".rstrip("/")
        yield Place(folder, from_, addresses, address)
