"""The page about ablations explains what one shows, and its example works word for word."""

from __future__ import annotations

import runpy
import shlex
from pathlib import Path

import pytest

from tests.commands import Command
from tests.pages import ROOT, blocks
from tunixhack.ablate.ablation import COLUMNS, CURVE, FILE, Ablation

PATH = ROOT / "docs" / "ablate.md"
PAGE = PATH.read_text(encoding="utf-8")


def test_every_column_and_file_is_explained():
    table = PAGE.partition("| column | meaning |")[2].partition("\n\n")[0]
    assert [name for name in COLUMNS if name not in table] == []
    assert [name for name in (FILE, CURVE) if f"\n| `{name}` | " not in PAGE] == []


def test_the_words_of_a_curve_are_those_that_are_said():
    for words in ("still better", "told apart no more", "turned round", "ten times the rows add"):
        assert words in PAGE


@pytest.mark.usefixtures("copied")
def test_the_example_is_carried_out(tunixhack: Command, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (program,) = [block for block in blocks(PATH) if block.title]
    (example,) = [block for block in blocks(PATH) if program.title in block.text and block.language == "sh"]
    Path(program.title).write_text(program.text, encoding="utf-8")
    first, plan, whole = example.commands
    assert first == f"python {program.title}"
    runpy.run_path(program.title)
    # a tiny student, and what takes seconds
    smaller = {
        "smollm2-135m-instruct": str(tiny),
        "--questions 140": "--questions 20",
        "--max-tokens 128": "--max-tokens 4",
    }
    told = []
    for command in (plan, whole):
        for ours, theirs in smaller.items():
            assert ours in command
            command = command.replace(ours, theirs)
        found = tunixhack(*shlex.split(command)[1:], "--cpu")
        assert found.code == 0, found.err
        told.append(found.out)
    assert "4 trainings" in told[0]
    assert "80 % of such comparisons tell" in told[0]
    assert not Path("ablations/direct-steps/students/direct-316-0").is_file()
    assert "steps minus direct" in told[1]
    assert Ablation.load("ablations/direct-steps").chosen == {"tiny": "direct"}
