"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.builds import QUIET
from tunixhack.recipes.find import find
from tunixhack.testing import ScriptedTeacher

ROOT = Path(__file__).parents[1]


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_use_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    with ScriptedTeacher() as teacher:
        shown = blocks()[0]
        assert 'teacher="local"' in shown
        exec(shown.replace('"local"', repr(teacher.url)), {})  # noqa: S102  # our own page
    assert "num_rows: 32" in capsys.readouterr().out


def test_the_domain_that_it_adds_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "riddles.py").write_text(blocks()[1], encoding="utf-8")
    riddles = [{"riddle": f"What has {n} keys but opens no lock?", "solution": "A piano."} for n in range(3)]
    rows = [*riddles, {"riddle": "What?", "solution": "?"}]
    (tmp_path / "riddles.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with ScriptedTeacher() as teacher:
        run = find("riddles.py").build(teacher.url, report=QUIET)
    assert run.train.height == 3 * 4
    assert run.rejected["reason"].to_list() == ["too_short"]
    assert set(run.train["reference"]) == {"A piano."}


def test_every_file_it_links_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert all((ROOT / link).exists() for link in links)
