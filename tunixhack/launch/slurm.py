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
from tunixhack.launch.sharded_build import ShardedBuild

FOLDER = "slurm"
"""The folder of the scripts, in that of the build."""


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
        self._parts  # noqa: B018  # which raises

    @property
    def out(self) -> Path:
        """The folder of the build; of one at an address, that of the scripts."""
        return self._parts.out

    @property
    def whole(self) -> Path | str:
        """The folder of the merged run, or its address."""
        return self._parts.whole

    @property
    def _parts(self) -> ShardedBuild:
        return ShardedBuild(words=self.build, shards=self.shards, launcher="slurm")

    def scripts(self) -> dict[str, str]:
        """Return the scripts by their names; ``submit.sh`` is the one that a person runs."""
        command = shlex.join(["tunixhack", *self.build])
        prepare = shlex.join(["tunixhack", *self._parts.prepare()])
        merge = shlex.join(["tunixhack", *self._parts.merge()])
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
