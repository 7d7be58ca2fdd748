"""The connection to a server: direct, or through the proxy that the environment names.

One rule for everything that asks a teacher, since its libraries have rules of their own: requests knows networks in
NO_PROXY, aiohttp does not know ALL_PROXY, and all of them send requests to this machine through a company's proxy,
which refuses them.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tunixhack.errors import UserError


def on_this_machine(url: str) -> bool:
    """Return whether an address leads to this machine itself, by whatever name.

    >>> [on_this_machine(f"http://{host}/v1") for host in ("localhost:1234", "127.1.2.3", "[::1]", "0.0.0.0", "gpu")]
    [True, True, True, True, False]
    """
    host = (urlsplit(url).hostname or "").rstrip(".").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def proxy_for(url: str) -> str | None:
    """Return the proxy through which a server is asked; None for a direct connection.

    A server on this machine always is, and so is one that NO_PROXY names. For others HTTPS_PROXY, HTTP_PROXY and
    ALL_PROXY hold, in capitals or small letters, as `requests` reads them.

    Raises:
        UserError: it is no HTTP proxy.
    """
    if on_this_machine(url):
        return None
    from requests.utils import get_environ_proxies, select_proxy

    named = (select_proxy(url, get_environ_proxies(url, no_proxy=None)) or "").strip()
    proxy = named if "://" in named or not named else f"http://{named}"
    kind = _kind(proxy)
    if proxy and kind not in ("http", "https"):
        variable = f"{urlsplit(url).scheme.upper()}_PROXY"
        raise UserError(
            f"the proxy that {variable} or ALL_PROXY names for {urlsplit(url).hostname} is {kind}, which is not "
            f"supported: name an http:// one in {variable}, or the server in NO_PROXY"
        )
    return proxy or None


def _kind(proxy: str) -> str:
    """Return what kind of proxy an address is of; the address itself can hold credentials."""
    try:
        parts = urlsplit(proxy)
        reached = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "no address"
    return parts.scheme.lower() if reached else "no address"


def place_of(proxy: str) -> str:
    """Name a proxy without the credentials that its address may carry.

    >>> place_of("http://me:secret@proxy:3128/")
    'http://proxy:3128'
    """
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
