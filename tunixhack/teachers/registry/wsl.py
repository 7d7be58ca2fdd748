"""The way from WSL2 to the Windows host, where LM Studio often runs.

WSL2 is a virtual machine: its 127.0.0.1 is its own. In its usual network (NAT) the Windows host is the default gateway,
which is where Microsoft's documentation looks it up [1]. The nameserver of /etc/resolv.conf was the host, too, until
WSL 2.2 began to answer names itself, at an address where nothing else answers [2]. In a mirrored network 127.0.0.1 is
Windows's as well, and the default gateway is the router, which is not asked; such a network has the
device ``loopback0`` [3].

[1] https://learn.microsoft.com/en-us/windows/wsl/networking
[2] https://github.com/canonical/ubuntu-pro-for-wsl/pull/777
[3] https://github.com/microsoft/WSL/issues/14063
"""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tunixhack.teachers.registry.discovery import Get, ServedModel
from tunixhack.teachers.registry.presets import Preset
from tunixhack.teachers.transport.http import Unreachable

VERSION = Path("proc/version")
ROUTES = Path("proc/net/route")
MIRRORED = Path("sys/class/net/loopback0")
"""Files of Linux that describe the network; paths below the root of the file system."""
GATEWAY = 2
"""The flag of a route that leads over a gateway."""


class UnreachableOnBothHosts(Unreachable):
    """No server answers here, and none on the Windows host."""


def discover_models(preset: Preset, url: str, get: Get) -> tuple[str, dict[str, ServedModel]]:
    """Ask a server of the user's own what it serves, and under WSL2 the Windows host where no server answers here.

    Args:
        preset: its row of the table.
        url: its base address.
        get: how it is asked; as `served.Discover` takes it.

    Returns:
        The base address at which it answers, and what it serves, by name.

    Raises:
        Unreachable: no server answers.
        UserError: as `Preset.discover`.
    """
    assert preset.discover is not None
    try:
        return url, preset.discover(url, get)
    except Unreachable:
        host = windows_host() if preset.windows_setting else None
        if host is None:
            raise
    here = urlsplit(url)
    there = here._replace(netloc=f"{host}:{here.port}" if here.port else host)
    try:
        return urlunsplit(there), preset.discover(urlunsplit(there), get)
    except Unreachable as error:
        raise UnreachableOnBothHosts(
            f"no server answers at {here.scheme}://{here.netloc}, nor on the Windows host at {there.scheme}://"
            f"{there.netloc}: start {preset.title}'s, and if it runs on Windows, switch on {preset.windows_setting}"
        ) from error


def windows_host(root: Path = Path("/")) -> str | None:
    """Return the address of the Windows host; None outside WSL2, and where 127.0.0.1 leads there.

    Args:
        root: of the file system.
    """
    # WSL1 writes Microsoft, and shares Windows's network
    if "microsoft" not in _read(root / VERSION) or (root / MIRRORED).exists():
        return None
    return default_gateway(_read(root / ROUTES))


def default_gateway(routes: str) -> str | None:
    r"""Read Linux's table of routes; None where it has no default one.

    Args:
        routes: as /proc/net/route has it. Addresses are hexadecimal numbers in the machine's order of bytes.

    >>> default_gateway("Iface Destination Gateway Flags RefCnt Use Metric\neth0 00000000 0120A8C0 0003 0 0 0")
    '192.168.32.1'
    """
    found = []
    for line in routes.splitlines()[1:]:
        try:
            _, destination, gateway, flags, _, _, metric, *_ = line.split()
            if int(destination, 16) == 0 and int(flags, 16) & GATEWAY:
                address = int(gateway, 16).to_bytes(4, sys.byteorder)
                found.append((int(metric), str(ipaddress.IPv4Address(address))))
        except (ValueError, OverflowError):  # no route
            continue
    return min(found, default=(0, None))[1]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
