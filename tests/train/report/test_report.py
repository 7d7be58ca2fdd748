"""A training's folder shows itself, at any time."""

import json

import pytest

from tests.train.report.test_model_card import SAMPLE, front_matter, record
from tunixhack.errors import UserError
from tunixhack.train.report import samples
from tunixhack.train.report.report import write_report

pytest.importorskip("matplotlib", reason="needs tunixhack[train]")


def test_curve_and_card_out_of_a_folder(tmp_path):
    (tmp_path / "student.json").write_text(json.dumps(record()))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 1.25}\n{"step": 3, "lo')
    samples.write(tmp_path, [SAMPLE])
    assert write_report(tmp_path) == [tmp_path / "loss.png", tmp_path / "README.md"]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    _, body = front_matter((tmp_path / "README.md").read_text(encoding="utf-8"))
    assert "loss.png" in body
    assert "What is 2 + 2?" in body


def test_before_the_first_step_there_is_a_card_alone(tmp_path):
    known = {name: record()[name] for name in ("base", "settings", "data")}
    (tmp_path / "student.json").write_text(json.dumps(known))
    assert write_report(tmp_path) == [tmp_path / "README.md"]


def test_another_folder_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"not the folder of a student"):
        write_report(tmp_path)
