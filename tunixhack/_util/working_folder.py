"""The place of the working folder in Python's search, for ``python -m``. Imports nothing but ``sys``."""

import sys


def put_last() -> None:
    """Let the working folder, in which ``-m`` looks first, be looked into after everything that is installed.

    It is the user's: a ``json.py`` in it would be imported by every library that wants Python's own.
    """
    if not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))
