"""Runs that are opened in order to read their tables: of one at an address, the stored answers are not fetched."""

from __future__ import annotations

from pathlib import Path

from tunixhack._util.addresses import as_address, as_path
from tunixhack.runs.places import opened
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE


def run_to_read(place: str | Path) -> Run:
    """Open the run at a place, whose answer store is not looked into.

    Raises:
        UserError: as `Run.load`.
    """
    return Run(*opened(place, answers=False)).checked()


def find_run(place: str | Path) -> Run | None:
    """Open what a place holds if that is a run, as `run_to_read` does.

    Args:
        place: a path, or an address, at which nothing but runs are.

    Returns:
        The run; None where a path leads to something else, or to nothing.

    Raises:
        UserError: as `Run.load`, of an address or of a folder with a record.
    """
    path = as_path(place).expanduser()
    if as_address(place) is None and not (path / STATE).exists():
        return None
    return run_to_read(place if as_address(place) else path)
