"""The models that answer: not always the one that was asked for, and not always the same one to the end.

A gateway falls back on another model, a name is an alias that moves on, a server of one's own is started anew with
another file. A dataset should be of one teacher, so a change is reported to the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

MOST = 8
"""The number of models that are reported; a server can name another one each time."""
SHOWN = 120
"""Characters of a name that are shown and kept."""
_DATED = re.compile(r"[-@:]v?\d[\d.-]*\Z")


@dataclass
class Models:
    """The models that answered for a teacher, over all starts of a run.

    Args:
        requested: the model that was asked for.
        teacher: its name, for the sentences.
        say: takes a sentence that is good to know.
        warn: takes one that must not be missed.
        known: those that were named so far, the latest last.
    """

    requested: str
    teacher: str
    say: Callable[[str], None]
    warn: Callable[[str], None]
    known: list[str] = field(default_factory=list)

    def note(self, reported: str | None) -> None:
        """Note the model that a reply names, and tell the user of one that is new."""
        if not reported or len(self.known) >= MOST:
            return
        name = reported[:SHOWN]
        if name in self.known:
            return
        before, self.known = self.known[-1:], [*self.known, name]
        if before:
            self.warn(f"another model answers for {self.teacher} from now on: {name}, and before it {before[0]}")
        elif not same_model(self.requested, name):
            tell = self.say if is_version(self.requested, name) else self.warn
            tell(f"{self.teacher} was asked for {self.requested}, and says that {name} answers")


def same_model(requested: str, reported: str) -> bool:
    """Return whether two names are of the same model, as servers spell them.

    >>> same_model("qwen3", "qwen3:latest"), same_model("gemini-2.5", "models/Gemini-2.5")
    (True, True)
    >>> same_model("gpt-4o", "gpt-4o-mini")
    False
    """
    return _plain(requested) == _plain(reported)


def is_version(requested: str, reported: str) -> bool:
    """Return whether a name is the dated version that another stands for.

    >>> is_version("gpt-4o", "gpt-4o-2024-08-06"), is_version("gpt-4o", "gpt-4o-mini-2024-07-18")
    (True, False)
    """
    requested, reported = _plain(requested), _plain(reported)
    return reported.startswith(requested) and bool(_DATED.fullmatch(reported[len(requested) :]))


def _plain(name: str) -> str:
    return name.strip().lower().removeprefix("models/").removesuffix(":latest")
