"""A build that a scheduler cuts into shards: the commands of its parts, which are those that a person would type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.addresses import as_address
from tunixhack._util.api_keys import KEY_VARIABLE
from tunixhack._util.credentials import without_credentials
from tunixhack.errors import UserError
from tunixhack.pipeline.shard import Shard

NOT_HERE = {
    "--shard": "each part has its own",
    "--accepted": "no shard knows how many answers the others keep",
    "--preview": "it looks at the whole: preview the build first",
    "--prepare": "what launches the shards prepares by itself",
    "--merge": "what launches the shards merges by itself",
}
"""Options of a build that its shards cannot have, and why."""


@dataclass(frozen=True, kw_only=True)
class ShardedBuild:
    """A build, and how many shards it is cut into.

    Args:
        words: of the command that builds the whole, from ``build`` on; with ``--out``.
        shards: how many.
        launcher: the verb that was given them, for sentences.

    Raises:
        UserError: it is no such command, or has options that no shard can have, or a password.

    >>> whole = ShardedBuild(words=["build", "creative", "--out", "runs/large"], shards=16, launcher="ray")
    >>> whole.shard("3/16")
    ['build', 'creative', '--out', 'runs/large', '--shard', '3/16']
    >>> whole.merge()
    ['merge', 'runs/large', '--out', 'runs/large-whole']
    """

    words: Sequence[str]
    shards: int
    launcher: str

    def __post_init__(self) -> None:
        """Check the command before anything is written or started."""
        if self.shards < 1:
            raise UserError(f"--shards {self.shards}: give at least one")
        if len(self.words) < 2 or self.words[0] != "build" or self.words[1].startswith("-"):
            raise UserError(
                "behind -- stands the build that is cut into shards, as in: tunixhack launch "
                f"{self.launcher} --shards 16 -- build creative --teacher @servers.txt#qwen3-14b --questions 50000 "
                "--out runs/large"
            )
        for word in self.words:
            why = NOT_HERE.get(word.partition("=")[0])
            if why:
                raise UserError(f"{word.partition('=')[0]} has no place in a build in shards: {why}")
        for word in self.words:
            if without_credentials(word) != word:
                raise UserError(
                    f"{without_credentials(word)} has a password or key in it, and what launches shards writes their "
                    f"commands down: put it into {KEY_VARIABLE}, or the address into a list, --teacher @servers.txt"
                )
        self.out  # noqa: B018  # which raises where it is missing

    @property
    def out(self) -> Path:
        """The folder of the build; of one at an address, that of its scripts and logs: `runs/` and the last name."""
        address = self.address
        return Path(self._out) if address is None else Path("runs", address.rpartition("/")[2])

    @property
    def address(self) -> str | None:
        """The address of the build on an object store; None where it is in a folder."""
        return as_address(self._out)

    @property
    def _out(self) -> str:
        out = self.option("--out")
        if out is None:
            raise UserError("the build names no --out: the shards need a folder that all machines see, or an address")
        return out

    @property
    def whole(self) -> Path | str:
        """The folder of the merged run, or its address."""
        return f"{self.address}-whole" if self.address else self.out.with_name(f"{self.out.name}-whole")

    def at(self, name: str) -> Path | str:
        """Return the folder of a part's run, or its address.

        Args:
            name: of the folder in that of the build.
        """
        return f"{self.address}/{name}" if self.address else self.out / name

    def option(self, name: str) -> str | None:
        """Return what an option of the build is given; None where it is not there."""
        for word, following in zip(self.words, [*self.words[1:], ""], strict=True):
            if word == name and following:
                return following
            if word.startswith(f"{name}="):
                return word.removeprefix(f"{name}=")
        return None

    def numbers(self) -> list[Shard]:
        """Return the shards."""
        return [Shard(number=number, of=self.shards) for number in range(1, self.shards + 1)]

    def prepare(self) -> list[str]:
        """Return the words that prepare the shards."""
        return ["prepare", *self.words[1:]]

    def shard(self, which: Shard | str) -> list[str]:
        """Return the words that build one of the shards."""
        return [*self.words, "--shard", str(which)]

    def merge(self) -> list[str]:
        """Return the words that merge them."""
        return ["merge", self.address or str(self.out), "--out", str(self.whole)]
