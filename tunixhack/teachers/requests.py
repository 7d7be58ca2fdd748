"""What a step hands to a teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PROBE = -1
"""The sample number of a probe: no sample, so that the store never takes one for the other (contract 8)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Messages for a teacher, and which samples of its answer are wanted.

    >>> Request(question_id="00ff", messages=[{"role": "user", "content": "Hi"}], samples=(0, 1)).samples
    (0, 1)
    """

    question_id: str
    messages: Sequence[Mapping[str, str]]
    """Chat messages: ``role`` (system, user, assistant) and ``content``."""
    samples: Sequence[int]
    """Sample numbers from 0, or `PROBE` alone."""
