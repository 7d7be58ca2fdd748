"""The Hugging Face Hub, whichever ``HF_ENDPOINT`` names: its address, and how long it is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar
from urllib.parse import urlsplit

PATIENCE = 8.0
"""Seconds in all for the Hub's first answer, whatever number of addresses its name has."""

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Call in a thread that is left behind when it takes longer: each address of a host has its own timeout."""
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001 (raised again by result() below)
            result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return result.result(timeout=seconds)


def host() -> str:
    """Return the Hub's host, without credentials."""
    return urlsplit(_endpoint()).netloc.rsplit("@", 1)[-1]


def page(path: str) -> str:
    """Return the address of a page on the Hub, such as ``user/model`` or ``datasets/user/name``."""
    return f"{urlsplit(_endpoint()).scheme}://{host()}/{path}"


def _endpoint() -> str:
    import huggingface_hub.constants

    return str(huggingface_hub.constants.ENDPOINT)
