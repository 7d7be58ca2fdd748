"""Addresses of servers, and the credentials for them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
