"""No folder of a student, a training or an export is a pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train.toy import SETTINGS, write_toy
from tunixhack import train
from tunixhack._util.literal_path import literal_path
from tunixhack._util.progress import Reporter


@pytest.mark.parametrize("name", ["[red]a b", "a*", "what?"])
def test_a_path_that_could_be_a_pattern_is_given_as_a_link_that_leads_there(name: str, tmp_path: Path):
    folder = tmp_path / name
    folder.mkdir()
    with literal_path(folder) as literal:
        assert not set("[*?") & set(str(literal))
        (literal / "file").write_text("text")
    assert (folder / "file").read_text() == "text"
    assert not literal.exists()


def test_any_other_path_is_given_as_it_is(tmp_path: Path):
    with literal_path(tmp_path) as literal:
        assert literal == tmp_path.resolve()
    assert tmp_path.exists()


def test_a_training_goes_on_and_is_exported_in_folders_with_brackets(tmp_path: Path):
    here = tmp_path / "[red]a b"
    here.mkdir()
    rows, tiny = write_toy(here)
    rows = rows.rename(here / "sums[1].jsonl")
    options = SETTINGS | {"out": here / "student[2]", "save_every": 0, "report": Reporter(quiet=True)}
    train.sft(rows, tiny, **options, steps=2)
    student = train.sft(rows, tiny, **options, steps=4)
    assert (here / "student[2]" / "actor" / "4").is_dir()
    assert train.Student.load(here / "student[2]").generate("What is 1 + 1?", max_new_tokens=3) == student.generate(
        "What is 1 + 1?", max_new_tokens=3
    )
    student.export(here / "export[3]", ["orbax", "safetensors"])  # reads both again, and compares
