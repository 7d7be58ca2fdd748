"""The shards of one build: parts of its questions, asked anywhere, and merged into the one run.

A shard decides about all questions as the whole build does, and asks for the samples of its own alone. What decides for
free is computed by each shard anew. What asks a teacher is decided, and paid for, once before: `PREPARED` is a run that
ends before the samples, and lends its answers to every shard. Merging is the whole build over what the shards
received, in which nothing is asked: so it equals an unsharded build by construction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunixhack._util.wording import counted, joined, verb
from tunixhack.errors import UserError
from tunixhack.pipeline.build_command import build_command
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.pipeline.shard import Shard
from tunixhack.pipeline.step_checks import place_of_sample
from tunixhack.runs.run import Run
from tunixhack.runs.shard_names import PREPARED, shard_folders
from tunixhack.steps.base import asks_teacher, step_name

SAME = ("domain", "source", "resolved", "recipe")
"""What of a run's record has to be the same in all shards, beside the order."""


def check_number(parent: Path, shard: Shard) -> None:
    """See that the folder of a build has no shards of another number than one that is built there.

    Raises:
        UserError: it has.
    """
    others = sorted({of for _, of in shard_folders(parent)} - {shard.of})
    if others:
        raise UserError(
            f"--shard {shard}: {parent} has shards of {joined(map(str, others))}, which are not merged with those of "
            f"{shard.of}: give that number, or choose another --out"
        )


def of_the_same_build(recipe: RecipeSpec, options: BuildOptions, run: Run) -> list[Run]:
    """Return the other runs of a build in shards that one of them, or the merged one, takes answers from.

    Raises:
        UserError: as `check_shard` and `all_shards`.
    """
    if options.merge is not None:
        return all_shards(options.merge, options.part)
    if options.shard is None:
        return []
    parent = run.folder.parent.parent if options.part else run.folder.parent
    prepare = replace(options, shard=None, prepare=True)
    prepared = Run(parent / PREPARED / options.part)
    return check_shard(recipe, parent, prepared, options.shard, build_command(recipe, prepare, run))


def check_shard(recipe: RecipeSpec, parent: Path, prepared: Run, shard: Shard, command: str) -> list[Run]:
    """Return the run that was prepared for the shards of a build, in a list; none where none is needed or there.

    Args:
        recipe: that is built.
        parent: the folder of the build.
        prepared: the run, whether or not it is there.
        shard: that is built.
        command: that prepares it.

    Raises:
        UserError: the folder has shards of another number, or a step asks before the samples and nothing was prepared.
    """
    check_number(parent, shard)
    if prepared.done:
        return [prepared]
    before = recipe.steps[: place_of_sample(recipe.steps)]
    asking = [step_name(step) for step in before if asks_teacher(step)]
    if asking:
        raise UserError(
            f"{joined(asking)} of {recipe.domain} {'asks' if len(asking) == 1 else 'ask'} a teacher before the "
            f"samples, which is paid for once and not by every shard: first run {command}"
        )
    return []


def check_same(record: Mapping[str, Any], other: Run) -> None:
    """See that another run in a build's folder is of the same build.

    Raises:
        UserError: it is of another one.
    """
    theirs = other.state()
    ours = json.loads(json.dumps(record, default=str))
    for name in SAME:
        if ours.get(name) != theirs.get(name):
            raise UserError(
                f"{other.folder} is of another {name} than this build "
                f"({_difference(ours.get(name), theirs.get(name))}): shards are of one build; give the same options, "
                "or choose another --out"
            )
    one, two = ({k: v for k, v in of["order"].items() if k != "shard"} for of in (ours, theirs))
    if one != two:
        raise UserError(
            f"{other.folder} is of another order than this build ({_difference(one, two)}): shards are of one build; "
            "give the same options, or choose another --out"
        )


def all_shards(parent: Path, part: str = "") -> list[Run]:
    """Return the runs of all shards of a build, that which was prepared first.

    Args:
        parent: the folder of the build.
        part: of a mixture, whose runs are wanted; those of the whole where none is named.

    Raises:
        UserError: there are none, some are missing or have not ended, or they are of different numbers.
    """
    if not parent.is_dir():
        raise UserError(f"there is no folder {parent}")
    found = shard_folders(parent)
    if not found:
        raise UserError(f"{parent} has no shards: build them with --shard 1/N to N/N --out {parent}")
    numbers = {of for _, of in found}
    if len(numbers) > 1:
        raise UserError(
            f"{parent} has shards of {joined(map(str, sorted(numbers)))}: merge those of one number, and "
            "move the others elsewhere"
        )
    (of,) = numbers
    runs = {number: Run(folder / part) for (number, _), folder in found.items()}
    missing = [number for number in range(1, of + 1) if number not in runs or not runs[number].done]
    if missing:
        shown = ", ".join(f"{number}/{of}" for number in missing[:10]) + (", …" if len(missing) > 10 else "")
        raise UserError(
            f"{counted(len(missing), 'shard')} of {parent} {verb(len(missing), 'has', 'have')} not ended: {shown}; "
            f"build {verb(len(missing), 'it', 'them')} first, and merge then"
        )
    prepared = Run(parent / PREPARED / part)
    return [*([prepared] if prepared.done else []), *(runs[number] for number in sorted(runs))]


def merged_states(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what shards remember of their teachers, so that a merge finds their answers without them."""
    return {name: kept for run in runs for name, kept in run.state().get("teachers", {}).items()}


def _difference(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {**one, **other}:
            if one.get(name) != other.get(name):
                return f"{name}: {other.get(name)}, and not {one.get(name)}"
    return f"{other}, and not {one}"
