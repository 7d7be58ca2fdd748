"""What an ablation's folder belongs to: it goes on with the same data, settings and models, and refuses others."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tunixhack
from tunixhack.ablate.ablation import SCHEMA, Content
from tunixhack.ablate.arms import TrainedArm
from tunixhack.ablate.data import ArmRows, describe, rows_by_arm
from tunixhack.ablate.models import Model
from tunixhack.ablate.options import TRAININGS, Options
from tunixhack.ablate.questions import Questions
from tunixhack.errors import UserError
from tunixhack.evaluate.order import Order
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.teachers.registry.address import public_name
from tunixhack.train import record
from tunixhack.train.settings import Settings, differences


def check_folder(folder: Path) -> None:
    """See that a folder is new, or an ablation's.

    Raises:
        UserError: it is the folder of a run or of a training.
    """
    for name, what in ((STATE, "a run"), (record.FILE, "a training")):
        if (folder / name).exists():
            raise UserError(f"{folder} is the folder of {what}: choose another --out")


def check_labels(arms: Sequence[TrainedArm], also: Sequence[str]) -> None:
    """See that no arm is called like something that is evaluated beside.

    Raises:
        UserError: one is.
    """
    twice = next((one.label for one in arms if one.label in also), None)
    if twice:
        raise UserError(
            f"{twice} is an arm that is trained and one of --also: give the trained one another name, as x={twice}"
        )


def describe_setup(
    chosen: Settings,
    options: Options,
    models: Sequence[Model],
    rows: Mapping[str, Sequence[ArmRows]],
    questions: Questions,
) -> dict[str, Any]:
    """Return what a folder belongs to: settings, models, tasks, and the data of each model, size and arm."""
    sizes = {
        model.label: {
            str(size): describe(rows[model.label], rows_by_arm(rows[model.label], size, options.match))
            for size in options.rows
        }
        for model in models
    }
    return {
        "settings": {name: value for name, value in chosen.as_dict().items() if name != "seed"},
        "match": options.match,
        "models": {model.label: model.base.fingerprint for model in models},
        "tasks": {name: one.task.source.describe() for name, one in questions.choosing.items()},
        "data": sizes,
    }


def new_content(setup: dict[str, Any], options: Options, folder: Path, arms: Sequence[TrainedArm]) -> Content:
    """Return the content of ablation.json before anything was trained."""
    return {
        "schema": SCHEMA,
        "tunixhack": tunixhack.__version__,
        "command": command(arms, options, folder),
        "setup": setup,
        "order": {
            "arms": [arm.label for arm in arms],
            "rows": list(options.rows),
            "trainings": options.trainings,
            "also": [public_name(one) for one in options.also],
            "drop_losers": options.drop_losers,
            **options.order.as_dict(),
        },
        "trainings": {},
        "scores": [],
        "differences": [],
        "choices": [],
        "confirmed_scores": [],
        "confirmed": [],
        "slopes": [],
        "notes": [],
        "exit_code": 0,
    }


def gone_on(folder: Path, known: Content, new: Content) -> Content:
    """Return the content of a folder that is gone on with; what is new, such as a larger size, joins it.

    Raises:
        UserError: the folder has another ablation; the sentence says where they differ.
    """
    before, now = known["setup"], new["setup"]
    found = differences(_compared(before, now), _compared(now, before))
    if found:
        raise UserError(
            f"{folder} has another ablation: {'; '.join(found)}. Go on with what it was begun with, or choose another "
            "--out"
        )
    merged = dict(before) | {name: before[name] | now[name] for name in ("models", "tasks")}
    merged["data"] = {
        model: before["data"].get(model, {}) | now["data"].get(model, {}) for model in {**before["data"], **now["data"]}
    }
    content = known.copy()
    content["tunixhack"], content["command"], content["order"] = new["tunixhack"], new["command"], new["order"]
    content["setup"] = merged
    return content


def _compared(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be equal in two setups: of models, tasks and data those that both have."""
    found = {**one["settings"], "match": one["match"]}
    found |= {f"the model {name}": mark[:16] for name, mark in one["models"].items() if name in other["models"]}
    both = [name for name in one["tasks"] if name in other["tasks"]]
    found |= {f"the questions of {name}": one["tasks"][name].get("path") for name in both}
    for model, sizes in one["data"].items():
        for size, arms in sizes.items():
            known = {line["arm"] for line in other["data"].get(model, {}).get(size, [])}
            found |= {f"the {size} rows of {line['arm']}": line["sha256"][:16] for line in arms if line["arm"] in known}
    return found


def command(arms: Sequence[TrainedArm], options: Options, folder: Path) -> str:
    """Return the command line that goes on with an ablation, without credentials."""
    parts = ["tunixhack", "ablate"]
    for arm in arms:
        place = str(arm.place.folder if isinstance(arm.place, Run) else arm.place)
        parts.append(place if Path(place).stem == arm.label else f"{arm.label}={place}")
    parts += ["--model", ",".join(options.models), "--rows", ",".join(map(str, options.rows))]
    parts += ["--on", ",".join(options.on)]
    named: dict[str, Any] = {
        "trainings": None if options.trainings == TRAININGS else options.trainings,
        "teacher": None if options.teacher is None else public_name(options.teacher),
        "source": options.source,
        "train-source": options.train_source,
        "also": ",".join(map(public_name, options.also)) or None,
        "match": options.match,
        "method": None if options.method == "lora" else options.method,
        **{name.replace("_", "-"): value for name, value in options.changes.items()},
        **{
            name.replace("_", "-"): value
            for name, value in options.order.as_dict().items()
            if value != Order.__dataclass_fields__[name].default and name not in ("shard", "seed")
        },
    }
    for name, value in named.items():
        parts += [] if value is None else [f"--{name}", str(value)]
    flags = {
        "drop-losers": options.drop_losers,
        "keep": options.keep,
        "accept-terms": options.order.accept_terms,
        "cpu": options.order.cpu,
    }
    parts += [f"--{name}" for name, given in flags.items() if given]
    return shlex.join([*parts, "--out", str(folder)])
