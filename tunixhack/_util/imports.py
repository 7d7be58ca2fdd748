"""Imports without garbage collection, which takes a quarter of what a short command takes and finds nothing.

While a thousand modules are imported, a million objects are made that all stay. Python looks through them again and
again, and later once more with each full collection, unless they are set apart:
https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection(module: str) -> Iterator[None]:
    """Let the body import without garbage collection, and set apart what it imported.

    For commands, which are processes of their own: what is garbage by then stays in memory, too. So it is done once.

    Args:
        module: that the body imports; where it is imported already, nothing is done.
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
