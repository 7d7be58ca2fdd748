"""The way in which this package was installed, and the commands that install more beside it in the same way.

pip and uv keep where a package came from, unless that was a package index, in its ``direct_url.json`` (PEP 610): a
folder, a wheel or another archive, or the commit of a repository. A clone that is used without having been installed
is told by its pyproject.toml.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

NAME = "tunixhack"
CONSTRAINTS = "constraints.txt"
"""The tested versions, beside pyproject.toml in a clone."""
_PACKAGE = Path(__file__).resolve().parents[1]


def install_command(*extras: str, options: str = "") -> str:
    """Return the command that installs extras of this package, from where the package itself came.

    Args:
        extras: their names, such as ``"train"``.
        options: further options of pip.

    Returns:
        A command for a shell, or for a cell where this runs in a notebook. A password, token or query in the address
        that the package came from is left out.

    >>> install_command("train")  # doctest: +SKIP
    'pip install "tunixhack[train]"'
    """
    return " ".join(filter(None, [_pip_install(), options, _requirement(f"[{','.join(extras)}]")]))


def pip_install(*requirements: str) -> str:
    """Return the command that installs packages of an index beside this one.

    >>> pip_install("flax==0.12.*").endswith('pip install "flax==0.12.*"')
    True
    """
    return " ".join([_pip_install(), *map(_quoted, requirements)])


def installed_version(distribution: str) -> str | None:
    """Return the version of a package that is installed, by its name on the index; None where it is not.

    >>> installed_version("no-such-package") is None
    True
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _pip_install() -> str:
    """Name the pip of this very Python: a terminal's ``pip`` can be another's, as where no environment is activated."""
    cell = _in_notebook()
    if find_spec("pip") is None:  # as uv leaves its environments
        return f"{'!' if cell else ''}uv pip install --python {shlex.quote(sys.executable)}"
    if cell:
        return "%pip install"
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "pip install"
    return f"{shlex.quote(sys.executable)} -m pip install"


def _in_notebook() -> bool:
    from tunixhack._util.notebook import running_cell

    return running_cell() is not None


def _requirement(extras: str) -> str:
    """Return what stands behind ``pip install``."""
    origin = _origin()
    if origin is None:
        return _quoted(f"{NAME}{extras}")
    url = urlsplit(origin["url"])
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        part = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
        return _quoted(f"{NAME}{extras} @ {vcs['vcs']}+{_public(origin['url'])}@{vcs['commit_id']}{part}")
    if url.scheme != "file":
        return _quoted(f"{NAME}{extras} @ {_public(origin['url'])}")
    path = Path(url2pathname(url.path))
    told = _quoted(f"{path}{extras}")
    if "dir_info" in origin:
        told = f"-e {told}" if origin["dir_info"].get("editable") else told
        constraints = path / _constraints()
        told = f"-c {shlex.quote(str(constraints))} {told}" if constraints.is_file() else told
    return told if path.exists() else f"{told}  # which is gone: name where it is now"


def _origin() -> Mapping[str, Any] | None:
    """Return what direct_url.json says of the package that is running; None where it came from an index."""
    try:
        installed = distribution(NAME)
    except PackageNotFoundError:
        installed = None
    if installed is not None:
        origin = _direct_url(installed)
        editable = origin is not None and origin.get("dir_info", {}).get("editable")
        folder = url2pathname(urlsplit(origin["url"]).path) if origin and editable else installed.locate_file("")
        if _same(os.path.join(str(folder), NAME), _PACKAGE):
            return origin
    clone = _PACKAGE.parent  # what is running is not what is installed, or nothing is
    if (clone / "pyproject.toml").is_file():
        return {"url": clone.as_uri(), "dir_info": {"editable": True}}
    return None


def _direct_url(installed: Distribution) -> Mapping[str, Any] | None:
    try:
        origin = json.loads(installed.read_text("direct_url.json") or "null")
    except ValueError:
        return None  # cut off by whatever wrote it: nothing is known of where the package came from
    return origin if isinstance(origin, dict) and isinstance(origin.get("url"), str) else None


def _same(one: str, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False  # one of them is not there


def _constraints() -> str:
    """Name the constraints file of the jax that is installed; that of the older one where there is none."""
    jax = installed_version("jax") or "none"
    newer = f"constraints-jax-{'.'.join(jax.split('.')[:2])}.txt"
    return newer if (_PACKAGE.parent / newer).is_file() else CONSTRAINTS


def _public(url: str) -> str:
    """Leave out of an address what may be secret.

    >>> _public("https://ada:s3cret@example.org/x.whl?token=abc"), _public("ssh://git@example.org/x")
    ('https://example.org/x.whl?…', 'ssh://git@example.org/x')
    """
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    host = f"git@{host}" if user == "git" else host
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def _quoted(text: str) -> str:
    """Quote a requirement for a shell; double quotes, as everybody writes them, unless a shell would look into them."""
    return shlex.quote(text) if any(one in text for one in '"$`\\!') else f'"{text}"'
