"""A file of results with a schema version, as a comparison writes it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ResultFile:
    """How one kind of results is kept."""

    name: str
    """Of the file."""
    of: str
    """What wrote it, with its article: ``an evaluation``."""
    schema: int
    """The version that this package writes, and the latest that it reads."""
    remedy: str
    """What makes it anew: ``the same command writes it anew``."""
    needs: Collection[str] = ()
    """Fields without which it is none."""

    def read(self, folder: str | Path) -> dict[str, Any]:
        """Read the results in a folder.

        Raises:
            UserError: there are none, or they are damaged or of a later version.
        """
        path = Path(folder) / self.name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"{folder} is not the folder of {self.of}: it has no {self.name}") from error
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path} cannot be read ({error}): remove it, and {self.remedy}") from error
        schema = found.get("schema") if isinstance(found, dict) else None
        if isinstance(schema, int) and schema > self.schema:
            raise UserError(f"{path} was written by a later version of tunixhack: use that one")
        if not isinstance(schema, int) or not set(self.needs) <= found.keys():
            raise UserError(f"{path} is not what {self.of} writes: remove it, and {self.remedy}")
        content: dict[str, Any] = found
        return content
