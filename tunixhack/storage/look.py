"""How far runs and shards at an address are, told by their records and claims alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunixhack._util.addresses import as_address, as_path
from tunixhack._util.lock import owner
from tunixhack.errors import UserError
from tunixhack.runs.run import Run
from tunixhack.runs.shard_folders import shard_progress
from tunixhack.runs.shard_names import PREPARED, holds_shards, is_shard, shard_named
from tunixhack.runs.signature import how_to_go_on
from tunixhack.runs.state import DONE, RUNNING, STATE, parse_state
from tunixhack.storage.claims import claims, holder
from tunixhack.storage.names import PROGRESS
from tunixhack.storage.objects import Objects, together


def progress_of(place: str) -> list[dict[str, Any]] | None:
    """Return how far each shard of a build is, as `shard_progress` does; None where a place holds no shards.

    Args:
        place: a folder or an address; nothing but records is read of an address.

    Raises:
        UserError: the address cannot be looked at.
    """
    address = as_address(place)
    if address is None:
        folder = as_path(place)
        return shard_progress(folder) if holds_shards(folder) else None
    objects = Objects(address)
    if objects.read(STATE) is not None:
        return None
    shards = [name for name in objects.folders() if is_shard(name)]
    names = [PREPARED, *sorted(shards, key=shard_named)]
    told: dict[str, dict[str, Any]] = {}
    together(lambda name: told.update({name: _progress(objects, name)}), names)
    return [told[name] for name in names if told[name]] or None


def is_done(place: str | Path) -> bool:
    """Tell whether a run has ended.

    Args:
        place: a folder, there or not, or an address; nothing but the record is read.

    Raises:
        UserError: the record is none of a run's, or the store cannot be asked.
    """
    address = as_address(place)
    if address is None:
        return Run(as_path(place)).done
    record = Objects(address).read(STATE)
    return record is not None and parse_state(record, f"{address}/{STATE}").get("state") == DONE


def is_held(place: str | Path) -> bool:
    """Tell whether a process holds a run's folder or address, as far as that can be seen.

    Raises:
        UserError: the store cannot be asked.
    """
    address = as_address(place)
    return (owner(as_path(place)) if address is None else holder(address)) is not None


def _progress(objects: Objects, name: str) -> dict[str, Any]:
    """Return the line of one shard; an empty one where nothing is there."""
    record = objects.read(f"{name}/{STATE}")
    if record is None and name == PREPARED:
        return {}
    answers = _number(objects.read(f"{name}/{PROGRESS}"))
    of = "/".join(map(str, shard_named(name))) if name != PREPARED else name
    line: dict[str, Any] = {"shard": of, "done": False, "answers": answers}
    try:
        state = parse_state(record, f"{objects.address}/{name}/{STATE}") if record is not None else None
    except UserError as error:
        return line | {"status": str(error)}
    at_work = next((claim for claim in claims(objects, name) if not claim.enters), None)
    if at_work is not None:
        return line | {"status": f"at work ({at_work}, last heard of at {at_work.when} by its clock)"}
    if state is None:
        return line | {"status": "not begun"}
    if state.get("state") == DONE:
        but = f", but {state['why']}" if state.get("why") else ""
        return line | {"status": f"finished{but}", "done": True}
    why = "killed" if state.get("state") == RUNNING else state.get("why") or ""
    return line | {"status": f"not finished{why and f': {why}'}; {answers:,} answers there; {how_to_go_on(state)}"}


def _number(content: bytes | None) -> int:
    try:
        told = json.loads(content or b"{}").get("answers", 0)
    except (ValueError, AttributeError):
        return 0
    return told if type(told) is int and told > 0 else 0
