"""Wheels that carry a model: fetched by pip, with whatever index and proxy the user has set for pip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tunixhack.errors import UserError


def download_wheels(requirements: Sequence[str], folder: Path, *, what: str, again: str) -> list[Path]:
    """Download wheels without what they depend on.

    Args:
        requirements: one version each, as ``name==1.0``.
        folder: exists and is empty.
        what: what is in them, for errors.
        again: the command to run once what went wrong is mended.

    Returns:
        The wheels, sorted by name.

    Raises:
        UserError: no pip, nothing downloaded, or no room on the disk.
    """
    # no dependencies: some of them are a compiler's work of an hour
    pip = [sys.executable, "-P", "-m", "pip"]  # -P: no file of the working folder is taken for a module of pip's
    command = [*pip, "download", "--no-deps", "--only-binary=:all:", "--quiet", *requirements]
    done = subprocess.run([*command, "--dest", str(folder)], capture_output=True, text=True, check=False)
    if "No module named pip" in done.stderr:
        raise UserError(
            f"fetching {what} needs pip, which this environment lacks: run `python -m ensurepip` or "
            "`uv pip install pip`"
        )
    if "No space left on device" in done.stderr:
        raise UserError(f"no room in {folder.parent}: make some, or set TUNIXHACK_CACHE to another folder")
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != len(requirements):
        errors = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {done.returncode}"
        raise UserError(
            f"pip could not download {requirements[0]} ({why.rstrip('.')}): check the network and pip's index "
            f"settings, then run `{again}` again"
        )
    return wheels
