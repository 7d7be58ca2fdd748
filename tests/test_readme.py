"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.builds import QUIET
from tunixhack.domain_files import find
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


def row_shown() -> dict[str, Any]:
    """Return the row of the table of columns and values, as a run's train.parquet has it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("| column | value |")[2]
    cells = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)
    row: dict[str, Any] = {name: value.strip("`").replace("<br>", "\n") for name, value in cells}
    numbers = {"source_row", "sample", "length_filter_length", "max_length_length"}
    return row | {name: int(row[name]) for name in numbers}


def named(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def test_the_row_that_it_shows_is_what_its_source_becomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tunixhack.recipes import math

    monkeypatch.chdir(tmp_path)
    shown = row_shown()
    asked = {"question": shown["question"], "answer": json.loads(shown["inputs"])["solution"]}
    shorter = {"question": "What is 1 + 1?", "answer": "1 + 1 = 2 #### 2"}
    Path("train.jsonl").write_text("\n".join(map(json.dumps, [asked, shorter])), encoding="utf-8")
    run = math.recipe.replace(source="train.jsonl", against="none").build("reference", questions=1, report=QUIET)
    (made,) = map(named, run.train.iter_rows(named=True))
    assert made == shown | {"source_row": 0}


def test_the_row_that_it_shows_is_one_of_the_build_that_it_names(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tunixhack.recipes import math

    monkeypatch.chdir(tmp_path)
    recipe = math.recipe.replace(source=shared_data / "gsm8k" / "train.jsonl", against="none")
    run = recipe.build("reference", questions=400, report=QUIET)
    assert row_shown() in [named(row) for row in run.train.iter_rows(named=True)]


def test_every_file_it_links_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert all((ROOT / link).exists() for link in links)
