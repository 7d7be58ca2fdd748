"""The loop of a process that judges what models write: one question a line of its input, one reply a line.

The operating system's limits end the process where an answer keeps it busy for ever or fills the memory. When its
parent is gone, its standard input ends, and it with that. `tunixhack.verifiers.bounded_process` starts it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

CPU_SECONDS = 10
"""Of the processor for one question."""
MEMORY = 4 * 2**30
"""Bytes."""


def reply_to_all(judge: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Reply to questions until standard input ends; what takes seconds to import is imported before.

    Args:
        judge: a question to its reply, with ``right``; what it raises counts as an answer that cannot be read.
    """
    with contextlib.suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    print("{}", flush=True)
    for line in sys.stdin:
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_SECONDS, most))
        question = json.loads(line)
        try:
            reply = judge(question)
        except Exception as error:  # noqa: BLE001  # an open set, of sympy and a hundred verifiers
            reply = {"right": None, "why": type(error).__name__}
        print(json.dumps(reply), flush=True)
