"""Where a run is: a folder of this machine, or an address of an object store, which is fetched into one to be read."""

from __future__ import annotations

from pathlib import Path

from tunixhack._util.addresses import as_address, as_path


def opened(place: str | Path, *, answers: bool) -> tuple[Path, str | None]:
    """Return the folder of what a place names, and the address that it was fetched from.

    Args:
        place: a folder, there or not; or an address.
        answers: of a finished run at an address, fetch the answer store as well.

    Returns:
        The folder, and None where the place is one.

    Raises:
        UserError: there is no run at the address, or its store cannot be asked.
    """
    address = as_address(place)
    if address is None:
        return as_path(place), None
    from tunixhack._util.progress import Reporter
    from tunixhack.storage.reading import fetched

    return fetched(address, answers=answers, say=Reporter().say), address
