"""Addresses of servers, and the credentials for them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from tunixhack._util.api_keys import KEY_VARIABLE, find_key
from tunixhack.errors import UserError
from tunixhack.teachers.registry.presets import Preset


@dataclass(frozen=True, kw_only=True)
class Address:
    """The address of a server, and the headers of every request to it."""

    url: str
    """Base address without credentials."""
    reached: str | None = None
    """The address at which it was found, if that is another one: the Windows host's changes with each of its starts."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)
    """The secret that must not appear in any message."""


def preset_address(preset: Preset) -> Address:
    """Return where a preset's server is, with its key where there is one.

    Raises:
        UserError: the variable of the address holds none.
    """
    key = find_key(preset.key)
    return Address(url=preset.address(), headers={"Authorization": f"Bearer {key}"} if key else {}, secret=key)


GROUP = "servers"
"""The first part of the name of several servers that are one teacher."""


def is_group(spec: str) -> bool:
    """Return whether a specification names several servers: a list of addresses, or ``@FILE`` with one a line.

    >>> [is_group(spec) for spec in ("@servers.txt", "http://a/v1,http://b/v1#m", "http://a/v1#m,n", "local")]
    [True, True, False, False]
    """
    return spec.startswith("@") or (address_in(spec) is not None and "," in spec.partition("#")[0])


def addresses_in(spec: str) -> list[str]:
    """Return the addresses of several servers, with their credentials.

    Raises:
        UserError: the file cannot be read, or one of them is no address.
    """
    listed = spec.rpartition("#")[0] or spec
    if not spec.startswith("@"):
        found = listed.split(",")
    else:
        try:
            lines = Path(listed[1:]).expanduser().read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise UserError(f"{listed[1:]}, the list of servers in --teacher, cannot be read: {why}") from error
        found = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    addresses = list(dict.fromkeys(one.strip().rstrip("/") for one in found if one.strip()))
    for address in addresses:
        if address_in(address) is None:
            raise UserError(
                f"{public_name(address)!r} in --teacher is no address of a server: it is http://HOST:PORT/v1"
            )
    if not addresses:
        raise UserError(f"{public_name(listed)} lists no servers: write an address a line, http://HOST:PORT/v1")
    return addresses


def address_in(spec: str) -> str | None:
    """Return the address in a specification; None where it names a teacher by name."""
    return spec.partition("#")[0].rstrip("/") if spec.startswith(("http://", "https://")) else None


def split_credentials(address: str) -> Address:
    """Take the credentials out of an address, or else the key for it from its variable."""
    parts, url = _split(address)
    if parts.password or parts.username:
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        return Address(url=url, headers={"Authorization": f"Basic {basic}"}, secret=password or user)
    key = find_key(KEY_VARIABLE)
    return Address(url=url, headers={"Authorization": f"Bearer {key}"} if key else {}, secret=key)


def public_name(spec: str) -> str:
    """Name a teacher without the credentials that its address may carry.

    >>> public_name("http://me:secret@gpu:8000/v1#qwen3")
    'http://gpu:8000/v1#qwen3'
    """
    if is_group(spec) and not spec.startswith("@"):
        listed, sign, model = spec.partition("#")
        return ",".join(map(public_name, listed.split(","))) + sign + model
    address = address_in(spec)
    if address is None:
        return re.sub("//[^/#]*@", "//", spec)  # a mistyped address is no less secret
    return _split(address)[1] + spec[len(spec.partition("#")[0]) :]


def _split(address: str) -> tuple[SplitResult, str]:
    """Return the parts of an address, and the address without its credentials."""
    try:
        parts = urlsplit(address)
    except ValueError:  # its text can hold the credentials
        raise UserError("the address in --teacher cannot be read: it is http://HOST:PORT/v1") from None
    return parts, urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
