"""Whether an answer to a question of reasoning-gym is right, by the verifier of the question's own family."""

from __future__ import annotations

import atexit
import functools
import json
import os
import threading
from collections.abc import Mapping
from typing import Any

from tunixhack.verifiers.bounded_process import BoundedProcess
from tunixhack.verifiers.gym_family import version
from tunixhack.verifiers.reference_match import is_number
from tunixhack.verifiers.reference_match import right as by_reading

LONGEST = 20_000
"""Characters of an answer that are read; the longest reference of the families has fewer."""
_LOCK = threading.Lock()


def right(row: Mapping[str, Any]) -> bool | None:
    """Tell whether a row's answer is right: its family's ``score_answer`` gives 1, and not part marks.

    The verifier runs in a process with limits of time and memory, and on the item as reasoning-gym makes it anew from
    the number in ``inputs``.

    Args:
        row: with ``question``, ``answer`` and ``inputs`` as `tunixhack.sources.gym.GymSource` writes them.

    Returns:
        True or False; None where it cannot be told: the row is none of reasoning-gym's, another version made it, the
        answer is longer than `LONGEST`, or the verifier fails on it.

    Raises:
        MissingExtra: reasoning-gym is not installed.
    """
    version()
    answer = row["answer"].strip()
    place = _place(row.get("inputs"))
    if place is None or len(answer) > LONGEST:
        return None
    with _LOCK:
        reply = _process(os.getpid()).ask(place | {"question": row["question"], "answer": answer})
    right: bool | None = None if reply is None else reply["right"]
    return right


def right_in_words(row: Mapping[str, Any]) -> bool | None:
    """Tell whether a row's answer is right, also where it is a sentence around a number.

    A verifier wants the bare result, which is a form: a model that was not trained for it says "The sum is 7.". Where
    the reference is a number, the last number of the answer counts as well.

    Args:
        row: as for `right`, with ``reference``.

    Returns:
        As `right`.

    Raises:
        MissingExtra: reasoning-gym is not installed.
    """
    told = right(row)
    if told or not is_number(row["reference"] or ""):
        return told
    said = by_reading(row["reference"])
    return told if said is None or not said(row["answer"][-LONGEST:]) else True


def _place(inputs: str | None) -> dict[str, Any] | None:
    try:
        known = json.loads(inputs or "null")
        return {name: known[name] for name in ("family", "difficulty", "item")}
    except (KeyError, TypeError, ValueError):
        return None


@functools.lru_cache(maxsize=1)
def _process(parent: int) -> BoundedProcess:
    """Return the process of this very process: one that was forked from it starts its own."""
    process = BoundedProcess("tunixhack.verifiers.gym_worker")
    atexit.register(process.close)
    return process
