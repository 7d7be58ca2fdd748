"""The loss curve."""

import math
import sys

import pytest

from tunixhack.errors import MissingExtra
from tunixhack.train.report.loss_plot import draw_losses, points, smoothed

LINES = [{"step": step, "loss": 3 / step, "learning_rate": 1e-4 * step} for step in range(1, 40)]


def png_size(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def test_it_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "loss.png"
    lines = [*LINES, {"step": 20, "validation_loss": 1.0}, {"step": 39, "validation_loss": 0.8}]
    assert draw_losses(lines, path, "a $tudent_{x, lora")
    assert png_size(path) == (960, 600)
    assert [file.name for file in tmp_path.iterdir()] == ["loss.png"]


@pytest.mark.parametrize(
    "lines",
    [
        LINES[:1],
        [{"step": 1, "loss": math.nan}, {"step": 2, "loss": math.inf}],
        [{"step": 5, "validation_loss": 2.0}],
    ],
)
def test_few_or_broken_numbers_are_drawn_all_the_same(tmp_path, lines):
    pytest.importorskip("matplotlib")
    assert draw_losses(lines, tmp_path / "loss.png", "one")
    assert png_size(tmp_path / "loss.png")


def test_without_a_loss_nothing_is_drawn(tmp_path):
    assert not draw_losses([{"step": 1, "learning_rate": 0.1}], tmp_path / "loss.png", "none")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_it_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"loss\.png.*\[train\]"):
        draw_losses(LINES, tmp_path / "loss.png", "one")


def test_a_step_done_twice_counts_as_it_was_done_last():
    lines = [{"step": 2, "loss": 1.0}, {"step": 1, "loss": 3}, {"step": 2, "loss": 2.0}, {"loss": 9.0}, {"step": 3}]
    assert points(lines, "loss") == [(1, 3.0), (2, 2.0)]


def test_the_smoothed_curve_of_a_constant_is_the_constant():
    assert smoothed([(step, 2.0) for step in range(50)])[-1][1] == pytest.approx(2.0)
    assert smoothed([(1, 1.0), (2, 3.0)])[1][1] == pytest.approx((0.9 * 1 + 3) / 1.9)
