"""A process that scores answers by reasoning-gym's verifiers: one answer a line of its input, one reply a line.

In a process of its own, since what models write can keep a verifier busy for ever or fill the memory: the operating
system's limits end the process in these cases. Families whose verifier evaluates an answer as code are not asked, see
`tunixhack.sources.gym`. When its parent is gone, its standard input ends, and it with that.
"""

from __future__ import annotations

from typing import Any

from tunixhack.verifiers.bounded_worker import reply_to_all
from tunixhack.verifiers.gym_family import item, score


def main() -> None:
    """Score answers until standard input ends."""
    import reasoning_gym  # noqa: F401  # takes seconds, which count for no answer

    reply_to_all(lambda asked: {"right": _right(asked)})


def _right(asked: dict[str, Any]) -> bool | None:
    place = asked["family"], asked["difficulty"]
    made = item(*place, asked["item"])
    if made["question"] != asked["question"]:
        return None  # another version of reasoning-gym made the question
    return score(*place, asked["answer"], made) >= 1


if __name__ == "__main__":
    main()
