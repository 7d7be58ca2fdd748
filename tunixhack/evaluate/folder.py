"""The folder of an evaluation: which one it is, whether it may be used, and what earlier starts measured in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.evaluate.evaluation import FILE, Evaluation
from tunixhack.evaluate.setup import Setup
from tunixhack.evaluate.task import Task
from tunixhack.runs.state import STATE


def default_folder(setup: Setup) -> Path:
    """Return the folder of an evaluation where none is given: named for its tasks, and a shard for its number."""
    part = "" if setup.order.shard is None else "-shard-{}-of-{}".format(*setup.order.shard)
    return Path("evals") / ("-".join(task.name for task in setup.tasks) + part)


def check_folder(folder: Path, tasks: Sequence[Task]) -> None:
    """See that a folder is new, or holds an evaluation of the same questions.

    Raises:
        UserError: it holds something else, or a task of another source.
    """
    if (folder / STATE).exists():
        raise UserError(f"{folder} is the folder of a run: choose another --out")
    if not (folder / FILE).exists():
        return
    known = Evaluation.load(folder).content["tasks"]
    for task in tasks:
        there = known.get(task.name, {}).get("source")
        if there is not None and there != task.source.describe():
            raise UserError(
                f"{folder} has the task {task.name} from another source ({there.get('path')}): choose another --out"
            )


def paces(folders: Sequence[Path]) -> dict[str, float]:
    """Return the seconds of a reply by arm, as earlier starts have measured them, the first folder that knows first."""
    found: dict[str, float] = {}
    for folder in folders:
        known = Evaluation.load(folder).content.get("seconds_a_reply") if (folder / FILE).exists() else None
        found = (dict(known) if isinstance(known, dict) else {}) | found
    return found
