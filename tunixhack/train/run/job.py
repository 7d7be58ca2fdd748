"""The input of a training: the student, what it is to learn, and how the training is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunixhack._util.progress import Reporter
from tunixhack.train.core.checkpoints import FOLDER
from tunixhack.train.core.process_group import ProcessGroup
from tunixhack.train.data.datasets import Dataset
from tunixhack.train.data.packing import Extent
from tunixhack.train.data.token_set import TokenSet
from tunixhack.train.run.schedule import Clock
from tunixhack.train.run.stopping import StopRequest
from tunixhack.train.student import Student


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of how a training is run; none of them changes what is learnt, except for where it ends."""

    out: Path
    scratch: Path
    """Where the checkpoints go."""
    steps: int | None
    samples: int
    """Validation questions that are asked before and after."""
    max_new_tokens: int
    """Where a reply to them is cut off."""
    save_every: float
    """Seconds between two checkpoints."""
    wandb: str | None
    """A project to log to."""
    attention: str | None = None
    """The attention that is asked for; None for the best of the device."""
    check_attention: bool = False
    """Whether its loss is compared with the dense one's before the first step."""

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.scratch / FOLDER

    @property
    def elsewhere(self) -> bool:
        """True if the checkpoints are outside the training's own folder."""
        return self.scratch.resolve() != self.out.resolve()


@dataclass(frozen=True, kw_only=True)
class Job:
    """A student and what it is to learn."""

    student: Student
    datasets: Sequence[Dataset]
    data: TokenSet
    extent: Extent
    options: RunOptions
    max_to_keep: int
    """How many checkpoints."""
    memory: int
    """Bytes that a step is estimated to take on each device."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """The clock, the reporter, the stop request and the processes that one start of a training runs under."""

    clock: Clock
    report: Reporter
    """Where progress is shown."""
    stop: StopRequest
    """The signals that end it early."""
    group: ProcessGroup
    """This process among those that train together, one alone by default."""
