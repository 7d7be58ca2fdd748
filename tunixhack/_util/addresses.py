"""Addresses of object stores where a folder is expected, told from paths."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from tunixhack.errors import UserError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+(?:::[A-Za-z0-9+.-]+)*)(:/+)(.*)", re.DOTALL)
_LOCAL = ("file", "local")


def as_address(place: str | Path) -> str | None:
    """Return an address as it was typed, without slashes at its end; None where a place is a path of this machine.

    A `Path` has lost one of an address's two slashes, which it is given back. Of ``file://`` the path is meant; see
    `as_path`.

    >>> as_address("s3://bucket/runs/large/"), as_address(Path("s3://bucket/runs")), as_address("runs/large")
    ('s3://bucket/runs/large', 's3://bucket/runs', None)
    """
    found = _ADDRESS.fullmatch(str(place))
    if found is None or found[1].lower() in _LOCAL or (found[2] == ":/" and isinstance(place, str)):
        return None
    return f"{found[1]}://{found[3].strip('/')}"


def as_path(place: str | Path) -> Path:
    """Return a place that is no address as a path.

    >>> as_path("file:///runs/large").as_posix(), as_path("runs/large").as_posix()
    ('/runs/large', 'runs/large')
    """
    found = _ADDRESS.fullmatch(str(place))
    return Path("/" + found[3].lstrip("/")) if found and found[1].lower() in _LOCAL else Path(place)


def local_path(place: str | Path) -> Path:
    """Return a place that is written to as a path of this machine.

    Raises:
        UserError: it is an address.
    """
    return _no_address(
        place,
        "nothing is written to one but by build, prepare and merge: give a path of this machine, and copy what is "
        "there to the store by the store's own tool",
    )


def path_to_read(place: str | Path) -> Path:
    """Return a place that something else than a run is read from as a path of this machine.

    Raises:
        UserError: it is an address.
    """
    return _no_address(
        place,
        "nothing is read from one but runs: copy what is there to this machine by the store's own tool, and name the "
        "copy",
    )


def _no_address(place: str | Path, why: str) -> Path:
    address = as_address(place)
    if address is not None:
        raise UserError(f"{address} is an address, and {why}")
    return as_path(place)


def has_secret(address: str) -> bool:
    """Tell whether an address has a password, a query or a user where a bucket belongs, which can be secret.

    >>> has_secret("s3://key:secret@bucket/runs"), has_secret("sftp://me@host/runs"), has_secret("s3://bucket/a@b")
    (True, False, False)
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.query) or (parts.username is not None and parts.password is not None)
