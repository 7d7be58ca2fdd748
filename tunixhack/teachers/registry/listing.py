"""The list of teachers by name: which of them answer now, and what they have loaded.

Servers of the user's own are asked with a short timeout, all at once. A provider is not contacted; the list says
whether its key is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from tunixhack._util.safe_text import for_terminal
from tunixhack.errors import UserError
from tunixhack.teachers.registry.address import preset_address
from tunixhack.teachers.registry.discovery import ServedModel
from tunixhack.teachers.registry.presets import PRESETS, Preset
from tunixhack.teachers.registry.wsl import UnreachableOnBothHosts, discover_models
from tunixhack.teachers.transport.http import Unreachable, get_json_once

TIMEOUT = 1.5
"""Seconds for each question to a server."""


@dataclass(frozen=True, kw_only=True)
class TeacherStatus:
    """A teacher of the table, as it is now."""

    name: str
    url: str
    local: bool
    """True if it is a server of the user's own; else a provider that is paid."""
    key: str
    """The variable that holds its key."""
    key_set: bool
    answers: bool | None
    """True if it answers now; None for a provider, which is not asked."""
    loaded: tuple[str, ...]
    """Models that answer at once."""
    available: tuple[str, ...]
    """Models that it would have to load first."""
    problem: str | None
    """The reason why it cannot be used now, as a sentence; None where no server is there, or all is well."""
    trace: str | None
    """The place of a thinking model's trace in a reply; None where it is hidden."""


def list_teachers() -> list[TeacherStatus]:
    """Return the status of every teacher of the table, in its order; takes a few seconds at most."""
    with ThreadPoolExecutor(len(PRESETS)) as pool:
        return list(pool.map(_status, PRESETS, PRESETS.values()))


def _status(name: str, preset: Preset) -> TeacherStatus:
    served: Mapping[str, ServedModel] = {}
    problem, url, key_set, answers = None, preset.url, False, None
    try:
        address = preset_address(preset)
        url, key_set = address.url, bool(address.secret)
        if preset.discover:

            def get(asked: str) -> Any:
                return get_json_once(asked, address.headers, TIMEOUT, preset.key)

            url, served = discover_models(preset, url, get)
            answers = True
    except UnreachableOnBothHosts as error:  # a Linux and a Windows at once
        answers, problem = False, str(error)
    except Unreachable:
        answers = False
    except UserError as error:
        answers, problem = False, str(error)
    return TeacherStatus(
        name=name,
        url=url,
        local=preset.local,
        key=preset.key,
        key_set=key_set,
        answers=answers,
        loaded=tuple(one.name for one in served.values() if one.loaded),
        available=tuple(one.name for one in served.values() if not one.loaded),
        problem=problem,
        trace=preset.trace,
    )


def as_dict(found: list[TeacherStatus]) -> dict[str, Any]:
    """Return the list as JSON-able data."""
    return {"teachers": [asdict(one) for one in found]}


def as_lines(found: list[TeacherStatus]) -> list[str]:
    """Return a line for each teacher; control characters in a server's words are removed."""
    wide = max(len(one.name) for one in found)
    return [for_terminal(f"{one.name:<{wide}}  {_state(one)}") for one in found]


def _state(one: TeacherStatus) -> str:
    hidden = "" if one.trace else "; its trace is hidden, use --trace written"
    if not one.local:
        return (f"{one.key} is set" if one.key_set else f"needs a key in {one.key}") + hidden
    if one.problem:
        return one.problem
    if not one.answers:
        return f"no server answers at {one.url}"
    more = f"; {len(one.available)} more could be loaded" if one.available else ""
    return f"answers at {one.url}, loaded: {', '.join(one.loaded) or 'nothing'}{more}"
