"""What the Makefile does with the Pythons of a machine, which here only note what they are told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

PYTHON = """#!/bin/sh
case "$1" in
  -c) exec {real} -c "import sys; sys.version_info = ({major}, {minor}, 0, 'final', 0)
$2";;
  --version) echo "Python {major}.{minor}.0";;
  -m)
    echo "{major}.{minor} $*" >> "$LOG"
    if [ "$2" = venv ]; then
      mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
      printf '#!/bin/sh\\necho "tunixhack $*" >> "$LOG"\\necho "shown $*"\\n' > "$3/bin/tunixhack"
      chmod +x "$3/bin/tunixhack"
    fi;;
esac
"""


class Machine:
    """A folder with the Makefile, and a PATH on which there are some Pythons."""

    def __init__(self, folder: Path, pythons: dict[str, str]) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "constraints-jax-0.11.txt"):
            shutil.copy(ROOT / name, folder)
        self.path = folder / "path"
        self.path.mkdir()
        for name in ("sh", "mkdir", "cp", "rm", "touch", "chmod", "printf", "echo", "awk", "sed"):
            (self.path / name).symlink_to(str(shutil.which(name)))
        for name, version in pythons.items():
            major, minor = version.split(".")
            file = self.path / name
            file.write_text(PYTHON.format(real=sys.executable, major=major, minor=minor))
            file.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make."""
        # another make's flags would be this one's, as those of `make test`
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        env = kept | {"PATH": str(self.path), "LOG": str(self.log)}
        command = [str(shutil.which("make")), *arguments]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    @property
    def noted(self) -> list[str]:
        """What Pythons and the command line were told."""
        return self.log.read_text().splitlines()


def test_the_quickstart_ends_with_what_it_made_and_what_comes_next(tmp_path: Path):
    machine = Machine(tmp_path, {"python3": "3.11"})
    done = machine.make("quickstart")
    assert done.returncode == 0, done.stderr
    shown, after = done.stdout.split("shown show runs/quickstart\n")
    assert "Making .venv with Python 3.11.0" in shown
    assert after.strip().startswith("Made: runs/quickstart, ")
    assert ".venv/bin/tunixhack build creative --source my_questions.jsonl" in after
    assert "make train-setup" in after


def test_datasets_are_built_with_the_first_python_that_curator_works_with(tmp_path: Path):
    machine = Machine(tmp_path, {"python3": "3.13", "python3.12": "3.12", "python3.11": "3.11"})
    assert machine.make("quickstart").returncode == 0
    assert machine.noted[0] == "3.12 -m venv .venv"
    assert machine.noted[1].endswith("-c constraints.txt -e .[local]")


def test_where_there_is_none_a_sentence_says_which_are_needed(tmp_path: Path):
    machine = Machine(tmp_path, {"python3": "3.13", "python3.13": "3.13"})
    done = machine.make("quickstart")
    assert done.returncode != 0
    assert (
        "This needs one of Python 3.11,3.12, and none of python3 python3.12 python3.11 python3.13 is one" in done.stderr
    )
    assert machine.noted == []


def test_training_takes_3_13_where_there_is_no_older_one_and_the_quickstart_says_what_it_lacks_then(tmp_path: Path):
    machine = Machine(tmp_path, {"python3": "3.13"})
    assert machine.make("train-setup").returncode == 0
    venv, pip, doctor = machine.noted
    assert venv == "3.13 -m venv .venv"
    assert pip.endswith("-c constraints.txt -e .[all]")
    assert doctor == "tunixhack doctor"
    done = machine.make("quickstart")
    assert done.returncode != 0
    assert (
        ".venv has Python 3.13.0, and Curator, with which datasets are built, works with 3.11 and 3.12" in done.stderr
    )


def test_training_prefers_a_python_that_datasets_are_built_with_too(tmp_path: Path):
    machine = Machine(tmp_path, {"python3": "3.13", "python3.11": "3.11"})
    assert machine.make("train-setup", "DEVICE=tpu").returncode == 0
    assert machine.noted[0] == "3.11 -m venv .venv"
    assert machine.noted[1].endswith("-c constraints.txt -e .[all,tpu]")


def test_the_other_jax_is_tried_in_an_environment_of_its_own(tmp_path: Path):
    machine = Machine(tmp_path, {"python3": "3.11", "python3.12": "3.12"})
    assert machine.make("test-jax").returncode == 0
    venv, pip, pytest_ = machine.noted
    assert venv == "3.12 -m venv .venv-jax"
    assert pip.endswith("-c constraints-jax-0.11.txt -e .[all,test]")
    assert pytest_.endswith("-m pytest -n 2 --dist loadfile tests/train")
