"""The shards of a mixture's build: each asks its share of every part's questions, which are decided once before.

What is a shard, and how shards are merged, is as of a single recipe (`tunixhack.pipeline.shards`): the folder of the
build has `PREPARED` and the shards, and each of these is a mixture's folder with a run a part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunixhack._util.wording import listed
from tunixhack.errors import UserError
from tunixhack.mixture.decide import Decision, part_recipe
from tunixhack.mixture.options import MixtureOptions, command, quotas
from tunixhack.mixture.record import ordered
from tunixhack.mixture.spec import MixtureSpec
from tunixhack.pipeline.prepared_questions import readable
from tunixhack.pipeline.shard import Shard
from tunixhack.pipeline.shards import all_shards, check_number, check_same
from tunixhack.runs.run import Run
from tunixhack.runs.shard_names import PREPARED


def check_parts(mixture: MixtureSpec) -> None:
    """See that all parts of a mixture can be built in shards.

    Raises:
        UserError: one of them asks until enough answers are kept.
    """
    counted_in_rows = [name for name, part in mixture.named() if part.rows is not None]
    if counted_in_rows:
        raise UserError(
            f"part {counted_in_rows[0]} of mixture {mixture.name} asks until rows= answers are kept, which no shard "
            "knows: give the part questions=, or build in one"
        )


def check_merge(mixture: MixtureSpec, options: MixtureOptions, parent: Path) -> None:
    """See that all shards of a mixture have ended, and that they are of this build.

    Raises:
        UserError: one has not, or is of another build.
    """
    check_parts(mixture)
    for shard in all_shards(parent):
        _check_same(mixture, options, shard)


def prepared_decisions(mixture: MixtureSpec, options: MixtureOptions, shard: Shard, out: Path) -> list[Decision]:
    """Return what was decided of each part's questions when the shards of the mixture were prepared.

    Args:
        mixture: that is built.
        options: of its build.
        shard: that is built.
        out: its folder.

    Raises:
        UserError: nothing is prepared yet, or it is of another build; or the folder has shards of another number.
    """
    check_parts(mixture)
    parent = out.parent
    check_number(parent, shard)
    prepared = Run(parent / PREPARED)
    told = {one["name"]: one for one in prepared.state().get("parts", [])}
    parts = [Run(prepared.folder / name) for name, one in told.items() if _takes(one)]
    if not prepared.done or not all(map(readable, parts)):
        each = dataclasses.replace(options.each, shard=None, prepare=True)
        first = command(mixture, dataclasses.replace(options, each=each), parent / PREPARED)
        raise UserError(
            f"the parts of {mixture.name} share their questions out among themselves, which is decided once and not "
            f"by every shard: first run {first}"
        )
    _check_same(mixture, options, prepared)
    decided = []
    for name, part in mixture.named():
        one = told[name]
        each = dataclasses.replace(
            options.each,
            teacher=part.teacher or options.each.teacher,
            part=name,
            questions=_takes(one) or None,
        )
        decided.append(
            Decision(
                name=name,
                part=part,
                recipe=part_recipe(mixture, part),
                options=each,
                wanted=one["wanted"],
                available=one["available"],
                short=one["short"],
                twins=one["twins"],
            )
        )
    return decided


def _takes(part: Mapping[str, Any]) -> int:
    """Return how many questions a part takes, by what the mixture's record says of it."""
    return int(min(part["wanted"], part["available"]))


def _check_same(mixture: MixtureSpec, options: MixtureOptions, other: Run) -> None:
    """See that another run in the folder is of the same build of a mixture.

    Raises:
        UserError: it is of another one.
    """
    check_same(ordered(mixture, options), other)
    state: Mapping[str, Any] = other.state()
    theirs = {one["name"]: one["wanted"] for one in state.get("parts", [])}
    ours = dict(zip((name for name, _ in mixture.named()), quotas(mixture, options), strict=True))
    if list(theirs.items()) != list(ours.items()):
        raise UserError(
            f"{other.folder} is of other parts than this build ({listed(theirs)}, and not {listed(ours)}): shards are "
            "of one build; give the same options, or choose another --out"
        )
