"""The command line as tests run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """Return the one sentence that tells of an error, and see that it is one and the last."""
        told = [line for line in self.err.splitlines() if line.startswith("tunixhack: ")]
        assert len(told) == 1, self.err
        assert self.err.endswith(f"{told[0]}\n")
        assert "Traceback" not in self.out + self.err
        return told[0].removeprefix("tunixhack: ")

    @property
    def json(self) -> dict[str, Any]:
        """Return the JSON object of the last line of standard output."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


Command = Callable[..., Result]
