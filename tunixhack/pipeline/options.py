"""The options of one build, beside its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tunixhack.runs.shard_names import PREPARED

if TYPE_CHECKING:
    from tunixhack.pipeline.shard import Shard
    from tunixhack.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The arguments of `tunixhack.recipe.Recipe.build`, which says what each of them means."""

    teacher: str
    questions: int | None = None
    rows: int | None = None
    accepted: int | None = None
    ceiling: int | None = None
    seed: int | None = 0
    reuse: Sequence[str | Path | Run] = ()
    ask_again: bool = False
    budget: float | None = None
    hours: float | None = None
    yes: bool = False
    batch: bool = False
    preview: int | None = None
    concurrency: int | None = None
    same_model: str | None = None
    shard: Shard | None = None
    prepare: bool = False
    merge: Path | None = None
    part: str = ""
    """The part of a mixture that is built, whose runs are in folders of its name in those of the mixture's shards."""
    command: str | None = None
    """The command line that goes on with it, where that is not `tunixhack build`."""
    addresses: Mapping[Path, str] = field(default_factory=dict)
    """What the user named in place of folders of this machine, which stand for it; see `tunixhack.storage`."""

    @property
    def base_seed(self) -> int:
        """The seed that questions are ranked by, whether or not seeds are sent: the questions are the same."""
        return self.seed or 0

    @property
    def subfolder(self) -> str:
        """The folder of the run in that of the build, where a shard is built or prepared; empty where the whole is."""
        if self.shard is not None:
            return self.shard.folder
        return PREPARED if self.prepare else ""
