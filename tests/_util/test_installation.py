"""Advice on installing more fits how the package came here: from an index, a clone, a folder, a wheel or a git URL."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_import import ROOT
from tunixhack import __version__
from tunixhack._util import installation
from tunixhack._util.installation import install_command, installed_version, pip_install
from tunixhack.errors import MissingExtra

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let the package be installed as ``direct_url.json`` says; without one, from an index."""
    monkeypatch.setattr(installation, "_pip_install", lambda: "pip install")

    def install(origin: Any = None, *, here: bool = True) -> None:
        site = tmp_path / "site"
        record = site / f"tunixhack-{__version__}.dist-info"
        record.mkdir(parents=True)
        (record / "METADATA").write_text(f"Metadata-Version: 2.4\nName: tunixhack\nVersion: {__version__}\n")
        if origin is not None:
            (record / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
        if here:  # the package that is running is the one that was installed
            (site / "tunixhack").symlink_to(ROOT / "tunixhack")
        monkeypatch.syspath_prepend(site)

    return install


def archive(url: str) -> dict[str, Any]:
    return {"url": url, "archive_info": {"hashes": {"sha256": "00"}}}


def repository(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}} | more


def test_from_an_index_it_is_the_name(install: Install):
    install()
    assert install_command("train") == 'pip install "tunixhack[train]"'


def test_from_a_clone_it_is_the_folder_with_the_tested_versions(install: Install):
    install({"url": ROOT.as_uri(), "dir_info": {"editable": True}})
    words = shlex.split(install_command("all", "tpu"))
    assert words[:3] == ["pip", "install", "-c"]
    assert Path(words[3]).parent == ROOT
    assert Path(words[3]).name.startswith("constraints")
    assert words[4:] == ["-e", f"{ROOT}[all,tpu]"]


def test_a_folder_that_was_copied_is_installed_from_as_it_was(install: Install, tmp_path: Path):
    (tmp_path / "source").mkdir()
    install({"url": (tmp_path / "source").as_uri(), "dir_info": {}})
    assert install_command("train") == f'pip install "{tmp_path}/source[train]"'


def test_from_a_wheel_it_is_the_file(install: Install, tmp_path: Path):
    wheel = tmp_path / "my $wheels" / "tunixhack-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    install(archive(wheel.as_uri()))
    assert shlex.split(install_command("train")) == ["pip", "install", f"{wheel}[train]"]


def test_a_wheel_that_is_gone_is_said_to_be(install: Install, tmp_path: Path):
    install(archive((tmp_path / "x.whl").as_uri()))
    command, _, comment = install_command("train").partition("  # ")
    assert command == f'pip install "{tmp_path}/x.whl[train]"'
    assert comment == "which is gone: name where it is now"


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (archive("https://example.org/x.whl"), "tunixhack[train] @ https://example.org/x.whl"),
        (archive("https://ada:s3cret@example.org/x.whl?t=s3cret"), "tunixhack[train] @ https://example.org/x.whl?…"),
        (repository("https://example.org/a/b.git"), f"tunixhack[train] @ git+https://example.org/a/b.git@{COMMIT}"),
        (repository("https://s3cret@example.org/b"), f"tunixhack[train] @ git+https://example.org/b@{COMMIT}"),
        (repository("ssh://git@example.org/a/b"), f"tunixhack[train] @ git+ssh://git@example.org/a/b@{COMMIT}"),
        (
            repository("https://example.org/b", subdirectory="lib"),
            f"tunixhack[train] @ git+https://example.org/b@{COMMIT}#subdirectory=lib",
        ),
    ],
)
def test_from_an_address_it_is_the_address_without_what_is_secret(
    install: Install, origin: dict[str, Any], requirement: str
):
    install(origin)
    assert shlex.split(install_command("train")) == ["pip", "install", requirement]
    assert "s3cret" not in str(MissingExtra("train", "training"))


@pytest.mark.parametrize("origin", ["", "{", "[]", '{"dir_info": {}}', "null"])
def test_a_record_that_tells_nothing_counts_as_an_index(install: Install, origin: str):
    install(origin)
    assert install_command("train") == 'pip install "tunixhack[train]"'


def test_a_clone_that_runs_beside_another_installation_is_what_is_installed_from(install: Install, tmp_path: Path):
    install(archive("https://example.org/x.whl"), here=False)
    assert install_command("train").endswith(f'-e "{ROOT}[train]"')


def test_the_tested_versions_are_those_of_the_jax_that_is_here(install: Install, monkeypatch: pytest.MonkeyPatch):
    install({"url": ROOT.as_uri(), "dir_info": {"editable": True}})
    for jax, file in {"0.10.2": "constraints.txt", "0.11.0": "constraints-jax-0.11.txt"}.items():
        monkeypatch.setattr(installation, "version", lambda name, jax=jax: jax)
        assert f"-c {ROOT / file} " in install_command("train")


def test_options_of_pip_stand_before_what_is_installed(install: Install):
    install()
    assert install_command("tpu", options="--upgrade") == 'pip install --upgrade "tunixhack[tpu]"'


def test_a_terminals_pip_is_named_only_where_it_is_this_pythons(monkeypatch: pytest.MonkeyPatch):
    own = Path(sys.executable).parent / "pip"
    monkeypatch.setattr(installation, "find_spec", lambda name: object())
    for found, begins in {str(own): "pip install", "/elsewhere/pip": f"{sys.executable} -m pip install"}.items():
        monkeypatch.setattr(installation.shutil, "which", lambda name, found=found: found)
        assert pip_install("flax==0.12.*") == f'{begins} "flax==0.12.*"'


def test_without_pip_it_is_uv_that_installs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    assert pip_install("wandb") == f'uv pip install --python {sys.executable} "wandb"'


def test_in_a_notebook_it_is_a_magic(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "find_spec", lambda name: object())
    monkeypatch.setattr(installation, "_in_notebook", lambda: True)
    assert pip_install("wandb") == '%pip install "wandb"'


def test_a_wheel_that_pip_has_installed_names_itself(tmp_path: Path):
    pytest.importorskip("pip")
    build = ["-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
    tell = "from tunixhack._util.installation import install_command; print(install_command('train'))"

    def run(*arguments: str, cwd: Path) -> str:
        env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(*build, cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(*pip, str(wheel), cwd=tmp_path)
    assert run("-m", "tunixhack", "--version", cwd=tmp_path) == f"tunixhack {__version__}\n"
    assert run("-c", tell, cwd=tmp_path).strip().endswith(f'"{wheel}[train]"')


def test_the_version_of_what_is_not_installed_is_none():
    assert installed_version("no-such-package") is None
    assert installed_version("pytest") == pytest.__version__
