"""The errors a user can meet, each a sentence that says what, where and what to do.

The command line prints the sentence without a traceback and exits with the error's ``exit_code``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tunixhack._util.credentials import without_credentials
from tunixhack._util.safe_text import for_terminal

WITHOUT_CURATOR = (3, 13)
"""The first Python that Curator cannot be installed for: pandas 2.2.2, which it pins, has no wheels from there on."""


class TunixHackError(Exception):
    """Base of every error that is meant for the user's eyes.

    A server's or a file's own words can be part of the sentence, and what the user typed: as text it is one line that a
    terminal can be shown, and the addresses in it are without credentials.
    """

    exit_code = 1

    def __init__(self, *sentences: object) -> None:
        super().__init__(*(for_terminal(without_credentials(str(sentence))) for sentence in sentences))

    def _render_traceback_(self) -> list[str]:
        """Return the sentence alone for a notebook: this is what IPython asks an error to show."""
        return [f"{type(self).__name__}: {self}"]


class UserError(TunixHackError):
    """Something the user can mend: an option, a file, a server that is not there (exit code 2)."""

    exit_code = 2


class MissingExtra(UserError):
    """A part of the package was used whose optional dependencies are not installed.

    Args:
        extra: the extra that brings them, for example ``"generate"``.
        what: what was wanted, the subject of the sentence.
        ask_doctor: point to the command that knows which extra this machine needs.
    """

    def __init__(self, extra: str, what: str, *, ask_doctor: bool = False) -> None:
        from tunixhack._util.installation import install_command  # here, so that an error costs nothing to import

        more = "; `tunixhack doctor` tells which extra this machine needs" if ask_doctor else ""
        super().__init__(f"{what} needs packages that are not installed: {install_command(extra)}{more}")
        self.extra = extra


def missing_curator(error: ImportError) -> UserError:
    """Say what mends that Curator, or what comes with it, cannot be imported."""
    if sys.version_info >= WITHOUT_CURATOR:
        return UserError(
            "asking a teacher needs Curator, which works with Python 3.11 and 3.12 alone, and this is "
            f"Python {sys.version_info[0]}.{sys.version_info[1]}: build datasets in an environment with one of those; "
            "training needs no Curator"
        )
    return MissingExtra("generate", f"asking a teacher ({error.name} is missing)")


class TeacherFailed(TunixHackError):
    """The teacher failed for too long; what was received is kept (exit code 3)."""

    exit_code = 3


class LimitReached(TunixHackError):
    """A budget or a time that was given is used up; what was received is kept (exit code 3)."""

    exit_code = 3


class NearlyAllDropped(TunixHackError):
    """A step dropped more than 90 % of at least 50 rows beyond what it was asked to drop (exit code 4)."""

    exit_code = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown name: the nearest known one, and then all of them.

    >>> nearest("creativ", ["creative", "math"])
    'did you mean creative? Known: creative, math'
    """
    from rapidfuzz import process  # here, so that `import tunixhack` stays cheap

    known = sorted(known)
    close = process.extractOne(name, known, score_cutoff=60)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}Known: {', '.join(known)}"
