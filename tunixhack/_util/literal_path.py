"""Paths for libraries that take a path for a pattern.

Tunix looks for weights, and Orbax for the parts of a checkpoint that it has to merge, by ``glob`` on the whole path: in
a folder with brackets or a star in its name neither finds any. Orbax then leaves a checkpoint that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_PATTERN = re.compile(r"[*?[]")


@contextmanager
def literal_path(folder: Path) -> Iterator[Path]:
    """Give an absolute path to a folder that no library can take for a pattern, for as long as the body runs.

    Args:
        folder: which need not be there yet.

    Returns:
        Its own path, or a link to it where that has ``*``, ``?`` or ``[`` in it.
    """
    path = folder.resolve()
    if _PATTERN.search(str(path)) is None:
        yield path
        return
    with TemporaryDirectory(prefix="tunixhack-") as place:
        link = Path(place) / "link"
        link.symlink_to(path, target_is_directory=True)
        yield link
