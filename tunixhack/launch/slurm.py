"""Batch scripts for Slurm: an array with a task for each shard, and a job behind it that merges them.

The scripts run the commands that a person would type, and nothing else: what a shard is, and that it goes on where it
was ended, is the build's own.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.files import make_folder, write_text
from tunixhack.errors import UserError

FOLDER = "slurm"
"""The folder of the scripts, in that of the build."""
NOT_HERE = {
    "--shard": "each task of the array has its own",
    "--accepted": "no shard knows how many answers the others keep",
    "--preview": "it looks at the whole: preview the build first",
    "--prepare": "the scripts prepare by themselves",
    "--merge": "the scripts merge by themselves",
}
"""Options of a build that its shards cannot have, and why."""


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """A build as jobs of Slurm.

    Args:
        build: the words of the command that builds the whole, from ``build`` on; with ``--out``.
        shards: how many.
        options: of ``sbatch``, for every job, such as ``--partition=cpu``.

    Raises:
        UserError: it is no such command, or has options that no shard can have.

    >>> job = SlurmJob(build=["build", "creative", "--out", "runs/large"], shards=4)
    >>> print(job.scripts()["shards.sh"].splitlines()[-1])
    exec tunixhack build creative --out runs/large --shard "$SLURM_ARRAY_TASK_ID"/4
    """

    build: Sequence[str]
    shards: int
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the command before anything is written."""
        if self.shards < 1:
            raise UserError(f"--shards {self.shards}: give at least one")
        if len(self.build) < 2 or self.build[0] != "build" or self.build[1].startswith("-"):
            raise UserError(
                "behind -- stands the build that is cut into shards, as in: tunixhack launch slurm --shards 16 -- "
                "build creative --teacher @servers.txt#qwen3-14b --questions 50000 --out runs/large"
            )
        for word in self.build:
            why = NOT_HERE.get(word.partition("=")[0])
            if why:
                raise UserError(f"{word.partition('=')[0]} has no place in a build in shards: {why}")
        self.out  # noqa: B018  # which raises where it is missing

    @property
    def out(self) -> Path:
        """The folder of the build."""
        for word, following in zip(self.build, [*self.build[1:], ""], strict=True):
            if word == "--out" and following:
                return Path(following)
            if word.startswith("--out="):
                return Path(word.removeprefix("--out="))
        raise UserError("the build names no --out: the shards need a folder that all machines see")

    @property
    def whole(self) -> Path:
        """The folder of the merged run."""
        return self.out.with_name(f"{self.out.name}-whole")

    def scripts(self) -> dict[str, str]:
        """Return the scripts by their names; ``submit.sh`` is the one that a person runs."""
        command = shlex.join(["tunixhack", *self.build])
        prepare = shlex.join(["tunixhack", "prepare", *self.build[1:]])
        merge = shlex.join(["tunixhack", "merge", str(self.out), "--out", str(self.whole)])
        folder = self.out / FOLDER
        here = shlex.quote(str(folder))
        return {
            "prepare.sh": self._script("prepare", f"exec {prepare}"),
            "shards.sh": self._script(
                "shards",
                f'exec {command} --shard "$SLURM_ARRAY_TASK_ID"/{self.shards}',
                f"--array=1-{self.shards}",
                "--requeue",
            ),
            "merge.sh": self._script("merge", f"exec {merge}"),
            "submit.sh": "\n".join(
                [
                    "#!/bin/sh",
                    "# What is done is not done again: run it anew where a job has failed.",
                    "set -eu",
                    f"prepare=$(sbatch --parsable {here}/prepare.sh)",
                    f"shards=$(sbatch --parsable --dependency=afterok:$prepare {here}/shards.sh)",
                    f"sbatch --dependency=afterok:$shards {here}/merge.sh",
                    "",
                ]
            ),
        }

    def write(self) -> Path:
        """Write the scripts into the build's folder, and return the path of the one that a person runs."""
        folder = self.out / FOLDER
        make_folder(folder)
        for name, text in self.scripts().items():
            write_text(folder / name, text)
        return folder / "submit.sh"

    def _script(self, name: str, command: str, *more: str) -> str:
        output = self.out / FOLDER / f"{name}-%A_%a.log" if "shards" in name else self.out / FOLDER / f"{name}-%j.log"
        given = [f"--job-name=tunixhack-{name}", f"--output={shlex.quote(str(output))}", *more, *self.options]
        directives = [f"#SBATCH {option}" for option in given]
        return "\n".join(["#!/bin/sh", *directives, command, ""])
