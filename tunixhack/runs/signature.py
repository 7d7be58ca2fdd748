"""Tell a command that this user's build wrote into a folder from one that somebody else did.

A folder with a run can be received from anybody, and its run.json names a command that goes on with it. Who is shown
it runs it. So a build signs the command with a key that this user's cache has and no run's folder: what bears no such
signature is not offered as this user's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunixhack._util.cache import cache_dir
from tunixhack._util.safe_text import for_terminal

KEY = "signing.key"
"""The file in the cache; without it, nothing is this user's own until a build has written it anew."""
_LENGTH = 32
_VERBS = tuple(["tunixhack", *verb] for verb in (["build"], ["prepare"], ["merge"], ["teachers", "compare"]))


def sign(command: str) -> str | None:
    """Sign a command; None where the cache cannot keep a key."""
    key = _key(make=True)
    return None if key is None else _sign(command, key).decode()


def is_own(command: str, signature: str | None) -> bool:
    """Tell whether this user's own build has signed a command."""
    key = _key(make=False)
    if key is None or signature is None:
        return False
    return hmac.compare_digest(_sign(command, key), _bytes(signature))


def quoted(command: str) -> str | None:
    """Return a command of this package's that goes on with a build, each word quoted for a shell; None of any other.

    What it does when it is run depends on its words all the same: see `is_own`.

    >>> quoted("tunixhack build math --out 'my run'"), quoted("tunixhack build $(id) && id"), quoted("id")
    ("tunixhack build math --out 'my run'", "tunixhack build '$(id)' '&&' id", None)
    """
    if for_terminal(command) != command:
        return None
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation that does not end
        return None
    return shlex.join(words) if any(words[: len(verb)] == verb for verb in _VERBS) else None


def how_to_go_on(state: Mapping[str, Any]) -> str:
    """Name the command that goes on; one that this user's build did not sign is not offered as ours."""
    command = state.get("command")
    if command and is_own(command, state.get("signature")):
        return f"go on with: {command}"
    noted = quoted(command) if command else None
    unchecked = f"; noted in this folder, and not checked: {noted}" if noted else ""
    return f"go on with the command that began it{unchecked}"


def _sign(command: str, key: bytes) -> bytes:
    return hmac.new(key, _bytes(command), hashlib.sha256).hexdigest().encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a file's name need not be UTF-8


def _key(*, make: bool) -> bytes | None:
    path = cache_dir() / KEY
    if make:
        with contextlib.suppress(OSError):
            _write(path)
    try:
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == _LENGTH else None


def _write(path: Path) -> None:
    """Make the key, unless one is there already."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_LENGTH))
