"""A judge that is no stranger to an arm: itself, the same model elsewhere, or the teacher of what a student learnt.

Judges rate their own texts higher than others do (Panickssery, Bowman and Feng, LLM Evaluators Recognize and Favor
Their Own Generations, arXiv:2404.13076, 2024). Nothing is corrected for that: it is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.judge import Judge
from tunixhack.evaluate.setup import Setup
from tunixhack.runs.find import find_run
from tunixhack.train import record


def friend_sentences(judge: Judge, setup: Setup) -> list[str]:
    """Say of each arm that the judge is no stranger to why that is."""
    found = []
    for arm in setup.arms:
        if arm.kind == "teacher" and same_model(judge.label, arm.label):
            is_arm = "is" if judge.label == arm.label else "has the model's name of"
            found.append(
                f"the judge {judge.label} {is_arm} the arm {arm.label}: judges prefer what they wrote themselves"
            )
        elif arm.kind == "student":
            taught = next((name for name in _teachers_of(arm) if same_model(judge.label, name)), None)
            if taught is not None:
                found.append(
                    f"the judge {judge.label} is the teacher of the data that {arm.label} learnt: judges prefer what "
                    "reads like their own"
                )
    return found


def same_model(one: str, other: str) -> bool:
    """Tell whether two teachers are the same, or models of the same name at two places.

    >>> same_model("lmstudio/qwen3-14b", "http://gpu:8000/v1#Qwen3-14B"), same_model("local", "lmstudio/qwen3-14b")
    (True, False)
    """
    return one == other or _model(one) == _model(other)


def _model(name: str) -> str:
    """Return the model's own name in a teacher's; of an address without one, the address."""
    address, _, model = name.partition("#")
    if "://" in address:
        return model.rpartition("/")[2].lower() or address
    return name.rpartition("/")[2].lower()


def _teachers_of(arm: Arm) -> Iterator[str]:
    """Yield the teachers of the runs that a student learnt from, as far as their folders are there."""
    try:
        datasets = record.read(Path(arm.spec).expanduser()).data.datasets
    except UserError:
        return
    for dataset in datasets:
        try:
            run = find_run(dataset.name) or find_run(Path(dataset.name).expanduser().parent)  # of a file in one
            yield from run.state().get("teachers", {}) if run else ()
        except UserError:  # what is not a run's any more, or cannot be asked for, tells nothing
            continue
