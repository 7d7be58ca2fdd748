"""The attention of a training: told, as it was asked for, and compared with the dense one before the first step."""

import io

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train.toy import SETTINGS, write_toy
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train.attention import choose as choosing


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("toy"), count=24)


def trained(toy, out, **options):
    rows, tiny = toy
    said = io.StringIO()
    train.sft(rows, tiny, out=out, **(SETTINGS | {"steps": 1, "samples": 0} | options), report=Reporter(said))
    return said.getvalue()


def test_it_is_told_and_checked_before_the_first_step(toy, tmp_path):
    said = trained(toy, tmp_path / "out", attention="chunked", check_attention=True)
    assert "Attention on a processor: chunked, in blocks of tokens, as asked." in said
    assert "attention checked: the first batch has a loss of" in said
    assert said.index("attention checked") < said.index("compiling, with the first step")


def test_one_that_computes_something_else_stops_it_with_both_losses(toy, tmp_path, monkeypatch):
    def blind(q, k, v, segments, window):
        return v.repeat(q.shape[2] // v.shape[2], axis=2)

    monkeypatch.setitem(choosing._MAKERS, "chunked", lambda devices, shape: blind)
    with pytest.raises(UserError, match=r"attention chunked gives a loss of .* where the dense one gives"):
        trained(toy, tmp_path / "out", attention="chunked", check_attention=True)


@pytest.mark.parametrize(
    ("name", "sentence"), [("splash", "it is for TPUs, and this is a processor"), ("flash", "no attention 'flash'")]
)
def test_one_that_cannot_be_had_is_refused_with_the_reason(toy, tmp_path, name, sentence):
    with pytest.raises(UserError, match=sentence):
        trained(toy, tmp_path / "out", attention=name)


def test_another_one_goes_on_with_a_training(toy, tmp_path):
    trained(toy, tmp_path / "out", attention="dense")
    said = trained(toy, tmp_path / "out", attention="chunked", steps=2)
    assert "going on behind step 1" in said
