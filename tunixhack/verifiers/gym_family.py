"""A family of reasoning-gym: its questions by number, and its own judgement on answers.

reasoning-gym (https://github.com/open-thought/reasoning-gym, Apache-2.0) makes item *i* of a family out of the number
seed + *i*: item 1 of seed 0 is item 0 of seed 1, so that two seeds share nearly all of their questions. Here is one
seed for all, and an item's number tells it from every other.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from tunixhack._util.installation import installed_version
from tunixhack.errors import MissingExtra

SEED = 0
DEFAULT = "default"
LEVELS = {"easy": 0, "medium": 1, "hard": 2}
"""The levels of reasoning-gym's curricula; beside them stands `DEFAULT`, a family's own configuration."""
DIFFICULTIES = (DEFAULT, *LEVELS)
_SIZE = 2**31
"""Items that a family is told to have: a number beyond is refused by some."""


def version() -> str:
    """Return the version of reasoning-gym, on which all questions depend.

    Raises:
        MissingExtra: it is not installed.
    """
    installed = installed_version("reasoning-gym")
    if installed is None:
        raise MissingExtra("gym", "the domain gym")
    return installed


def item(family: str, difficulty: str, number: int) -> dict[str, Any]:
    """Make an item: ``question``, ``answer`` and ``metadata``, the same in every process.

    Args:
        family: by reasoning-gym's name, such as ``chain_sum``.
        difficulty: one of `DIFFICULTIES`.
        number: of the item, from 0 up to 2³¹ - 1.
    """
    with redirect_stdout(io.StringIO()):  # what a family prints is no part of an output of ours
        made: dict[str, Any] = _dataset(family, difficulty)[number]
    return made


def score(family: str, difficulty: str, answer: str, made: Mapping[str, Any]) -> float:
    """Return the family's own score of an answer: 1 is right, and less is paid for being near or well formed."""
    with redirect_stdout(io.StringIO()):
        return float(_dataset(family, difficulty).score_answer(answer, dict(made)))


@functools.cache
def _dataset(family: str, difficulty: str) -> Any:
    try:
        from reasoning_gym.factory import DATASETS, create_curriculum, create_dataset
    except ImportError as error:
        raise MissingExtra("gym", "the domain gym") from error
    if difficulty == DEFAULT:
        return create_dataset(family, seed=SEED, size=_SIZE)
    curriculum = create_curriculum(family)
    curriculum.set_global_level(LEVELS[difficulty])
    return DATASETS[family][0](curriculum.generate_configuration({"seed": SEED, "size": _SIZE}))
