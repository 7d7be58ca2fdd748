"""One part of a build in shards, as a process on whichever machine a cluster chose for it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.child_process import end, module_command, spawn
from tunixhack._util.files import make_folder
from tunixhack.errors import UserError
from tunixhack.launch import kept_process
from tunixhack.launch.sharded_build import ShardedBuild
from tunixhack.storage.look import is_held

KILLED = 128
"""Exit codes from here on are those of processes that a signal ended."""
LOCKED_TRIES, LOCKED_PAUSE = 4, 30.0
"""How often a part is tried whose folder is held by another process, and seconds between: a cluster that has lost sight
of a machine starts its part elsewhere before the process there has noticed."""
TAIL = 65536
"""Bytes at the end of a log in which the sentence of an error is looked for."""


class PartLost(Exception):
    """The process of a part was ended from outside; the same part goes on where it was."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a build.

    Args:
        name: as it is told of, such as ``shard 3/16``.
        words: of its command, behind the program's name.
        run: the folder of its run, or its address.
        log: the file that its output is appended to.
    """

    name: str
    words: tuple[str, ...]
    run: Path | str
    log: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a part ended.

    Args:
        code: its exit code (contract 12).
        sentence: why, where it is not 0.
        machine: on which it ran.
        seconds: that it took.
    """

    code: int
    sentence: str
    machine: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a build: what is first, what is beside one another, and what is last."""

    prepare: Part
    shards: tuple[Part, ...]
    merge: Part

    @classmethod
    def of(cls, build: ShardedBuild, logs: Path, prepared: str) -> Parts:
        """Return the parts of a build.

        Args:
            build: that is cut.
            logs: the folder of their logs.
            prepared: the name of the folder in which it is prepared.
        """
        shards = [
            Part(
                name=f"shard {shard}",
                words=tuple(build.shard(shard)),
                run=build.at(shard.folder),
                log=logs / f"{shard.folder}.log",
            )
            for shard in build.numbers()
        ]
        return cls(
            prepare=Part(
                name="prepare", words=tuple(build.prepare()), run=build.at(prepared), log=logs / "prepare.log"
            ),
            shards=tuple(shards),
            merge=Part(name="merge", words=tuple(build.merge()), run=build.whole, log=logs / "merge.log"),
        )


def run_part(part: Part, folder: Path) -> Outcome:
    """Run a part on this machine until it ends; its process ends with this one.

    Args:
        part: to run.
        folder: the working folder of who launched the build, which all machines see.

    Raises:
        PartLost: its process was killed.
    """
    began, machine = time.monotonic(), socket.gethostname()
    log, run = folder / part.log, part.run if isinstance(part.run, str) else folder / part.run

    def ended(code: int, sentence: str) -> Outcome:
        return Outcome(code=code, sentence=sentence, machine=machine, seconds=time.monotonic() - began)

    if isinstance(run, str) and folder.is_dir():
        make_folder(log.parent)  # what the machines share is at the address, and each has its own parts' logs
    unseen = [needed for needed in (folder, log.parent) if not needed.is_dir()]
    if unseen:
        return ended(
            UserError.exit_code,
            f"the machine {machine} does not see {unseen[0]}: launch from a folder, and with an --out, that all "
            "machines have under the same path",
        )
    code, tries = _run(part, folder, log), 1
    while code == UserError.exit_code and is_held(run) and tries < LOCKED_TRIES:
        time.sleep(LOCKED_PAUSE)
        code, tries = _run(part, folder, log), tries + 1
    if code < 0 or code >= KILLED:
        raise PartLost(f"its process on {machine} was ended from outside; {log} has its output")
    return ended(code, "" if code == 0 else last_sentence(log))


def _run(part: Part, folder: Path, log: Path) -> int:
    process = spawn(kept_process.MODULE, str(log), str(folder), *module_command("tunixhack", *part.words))
    try:
        return process.wait()
    finally:
        end(process)


def last_sentence(log: Path) -> str:
    """Return the last sentence about an error in a log; without one, its last line.

    Args:
        log: a file that a command of this package wrote.
    """
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - TAIL))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("tunixhack: ") for line in lines if line.startswith("tunixhack: ")]
    return [*lines, *told][-1] if lines else f"{log} says nothing of why"
