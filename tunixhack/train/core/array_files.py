"""The arrays in a part of an Orbax checkpoint, read one by one to see whether they can be.

For checkpoints without checksums. Orbax itself reads all at once, and where one cannot be read, its threads print
tracebacks of the others, whose results are no longer waited for.
"""

from __future__ import annotations

import json
from pathlib import Path

import tensorstore

_NAMES, _SHARDING = "_METADATA", "_sharding"
_DESCRIPTION = "/.zarray"
"""Behind the name of an array: the key under which the store has its shape and dtype."""


def unreadable(folder: Path) -> str | None:
    """Say why the arrays of a folder cannot be read; None where they can.

    Args:
        folder: ``model_params`` or ``optimizer_state`` of a checkpoint, as Orbax 0.12 writes it (OCDBT and zarr).
    """
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder.resolve()}/"}}
    try:
        expected = json.loads((folder / _NAMES).read_text(encoding="utf-8"))["tree_metadata"]
        if (folder / _SHARDING).exists():
            json.loads((folder / _SHARDING).read_text(encoding="utf-8"))
        keys = [key.decode() for key in tensorstore.KvStore.open(store).result().list().result()]
        names = [key.removesuffix(_DESCRIPTION) for key in keys if key.endswith(_DESCRIPTION)]
        if len(names) != len(expected):
            return f"{folder.name} has {len(names):,} arrays instead of {len(expected):,}"
        for name in names:
            array = {"driver": "zarr", "kvstore": {**store, "path": f"{name}/"}}
            tensorstore.open(array).result().read().result()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        said = str(error).splitlines() or [type(error).__name__]
        return f"{folder.name} cannot be read ({said[0][:200]})"
    return None
