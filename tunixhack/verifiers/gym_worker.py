"""A process that scores answers by reasoning-gym's verifiers: one answer a line of its input, one reply a line.

In a process of its own, since what models write can keep a verifier busy for ever or fill the memory: the operating
system's limits end the process in these cases. Families whose verifier evaluates an answer as code are not asked, see
`tunixhack.sources.gym`. When its parent is gone, its standard input ends, and it with that.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from typing import Any

from tunixhack.verifiers.gym_family import item, score

CPU_SECONDS = 10
"""Of the processor for one answer."""
MEMORY = 4 * 2**30
"""Bytes."""


def main() -> None:
    """Score answers until standard input ends."""
    import reasoning_gym  # noqa: F401  # takes seconds, which count for no answer

    with contextlib.suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    print("{}", flush=True)
    for line in sys.stdin:
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_SECONDS, most))
        try:
            reply = {"right": _right(json.loads(line))}
        except Exception:  # noqa: BLE001  # an open set, of a hundred verifiers: the answer counts as unread
            reply = {"right": None}
        print(json.dumps(reply), flush=True)


def _right(asked: dict[str, Any]) -> bool | None:
    place = asked["family"], asked["difficulty"]
    made = item(*place, asked["item"])
    if made["question"] != asked["question"]:
        return None  # another version of reasoning-gym made the question
    return score(*place, asked["answer"], made) >= 1


if __name__ == "__main__":
    main()
