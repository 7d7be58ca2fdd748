"""What the command line does for builds in shards: which part is built, and how the parts are merged."""

from __future__ import annotations

import shlex
from pathlib import Path

from tunixhack._util.addresses import as_address, as_path
from tunixhack.errors import UserError
from tunixhack.pipeline.shards import all_shards
from tunixhack.recipes import domains, named_datasets
from tunixhack.runs.run import Run
from tunixhack.runs.shard_names import shard_folders
from tunixhack.runs.signature import is_own
from tunixhack.storage.session import fetched_shards


def merging(place: str, out: str, as_json: bool) -> list[str]:
    """Return the command line, without the program's name, that merges the shards of a build.

    Args:
        place: the folder of the build, or its address.
        out: that of the whole run.
        as_json: whether the command's result is JSON.

    Raises:
        UserError: as `all_shards`; or what they were built of is a file that somebody else's record names.
    """
    address = as_address(place)
    if address is None:
        return _merging(as_path(place), place, out, as_json)
    with fetched_shards(address, answers=False) as parent:
        return _merging(parent, address, out, as_json)


def _merging(parent: Path, place: str, out: str, as_json: bool) -> list[str]:
    all_shards(parent)
    found = list(shard_folders(parent).values())
    state = Run(found[0]).state()
    words = shlex.split(str(state.get("command") or ""))
    if words[:2] != ["tunixhack", "build"] or len(words) < 3:
        raise UserError(
            f"{found[0]} does not say what it was built of: build it again, or merge with Recipe.build(merge=)"
        )
    name, options = words[2], words[3:]
    own = is_own(str(state["command"]), state.get("signature"))
    if not own and name not in (*domains(), *named_datasets()):  # a file is a program
        raise UserError(
            f"{found[0]} was built elsewhere, of {name}: read that file, and merge with "
            f"tunixhack build {name} … --merge {place} --out {out}"
        )
    for option in ("--shard", "--out"):
        if option in options:
            at = options.index(option)
            del options[at : at + 2]
    asked = ["--json"] if as_json else []
    return ["build", name, *options, "--merge", place, "--out", out, *asked]
