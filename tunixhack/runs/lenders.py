"""Runs that lend their answers to another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunixhack.runs.run import Run


def lenders(runs: Sequence[str | Path | Run]) -> list[Run]:
    """Open the runs that lend answers, given as such or as their folders; one without run.json lends them, too.

    A mixture's run lends the answers of all its parts.
    """
    opened = [run if isinstance(run, Run) else _lender(Path(run)) for run in runs]
    return [one for run in opened for one in (run.parts() or [run])]


def _lender(folder: Path) -> Run:
    return Run(folder) if Run(folder).without_state() else Run.load(folder)
