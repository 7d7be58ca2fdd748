"""What version 0.1 called otherwise is still taken and read."""

from __future__ import annotations

import dataclasses
import json
import warnings
from dataclasses import fields

import numpy as np
import pytest

from tests.train.data.test_packing import token_set
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.data import token_set as token_sets
from tunixhack.train.data.token_set import Facts
from tunixhack.train.data.token_writer import TokenWriter
from tunixhack.train.old_names import SETTINGS, renamed_options
from tunixhack.train.report import metrics
from tunixhack.train.settings import Settings, settings

VALUES = {
    "length": 256,
    "batch": 6,
    "at_once": 3,
    "clip": 0.5,
    "warmup": 0.2,
    "rank": 4,
    "alpha": 12.0,
    "held_back": 9,
}


def test_every_old_name_is_of_a_setting():
    assert VALUES.keys() == SETTINGS.keys()
    assert set(SETTINGS.values()) <= {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("make", [Settings, settings])
@pytest.mark.parametrize("old", [name for name in VALUES if name != "at_once"])
def test_an_old_argument_is_taken_with_a_warning_that_names_the_new_one(make, old):
    with pytest.warns(DeprecationWarning, match=f"^{old} is now called {SETTINGS[old]}$") as told:
        made = make(**{old: VALUES[old]})
    assert [warning.filename for warning in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert made == make(**{SETTINGS[old]: VALUES[old]})
    with pytest.warns(DeprecationWarning, match=SETTINGS[old]):
        assert getattr(made, old) == VALUES[old]


def test_both_names_of_one_argument_are_refused():
    with pytest.warns(match="batch"), pytest.raises(UserError, match="old name of batch_size, and both"):
        settings(batch=4, batch_size=8)


def test_what_was_never_a_setting_is_no_attribute():
    with pytest.raises(AttributeError, match="depth"):
        _ = Settings().depth  # type: ignore[attr-defined]


def test_a_training_takes_old_arguments(tmp_path):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    from tests.train.toy import write_toy
    from tunixhack import train
    from tunixhack._util.progress import Reporter

    rows, tiny = write_toy(tmp_path, 24)
    with pytest.warns(DeprecationWarning, match="held_back is now called validation_questions") as told:
        student = train.sft(
            rows, tiny, out=tmp_path / "out", steps=1, samples=0, length=128, batch=2, held_back=2,
            report=Reporter(quiet=True),
        )  # fmt: skip
    assert {warning.filename for warning in told if " is now called " in str(warning.message)} == {__file__}
    assert (student.settings.max_seq_len, student.settings.batch_size, student.settings.validation_questions) == (
        128,
        2,
        2,
    )


def test_the_record_of_an_older_version_has_the_names_of_today(tmp_path):
    old = {
        "base": {"name": "tiny", "fingerprint": "f" * 64},
        "settings": {"method": "lora", **VALUES},
        "data": {
            "key": "k" * 64,
            "datasets": [],
            "domains": [{"name": "even", "rows": 6, "held_back": 1, "tokens": 30, "learnt": 20, "dropped": {}}],
        },
        "losses": {"first": 2.0, "held_back_first": 3.0, "held_back_last": 1.5},
        "evidence": {"before": None},
    }
    (tmp_path / record.FILE).write_text(json.dumps(old))
    found = record.read(tmp_path)
    assert found.settings == Settings(**{new: VALUES[name] for name, new in SETTINGS.items()})
    assert found.data.domains[0].validation_rows == 1
    assert found.losses == {"first": 2.0, "validation_first": 3.0, "validation_last": 1.5}
    assert found.validation == {"before": None}


def test_old_lines_of_metrics_have_the_names_of_today(tmp_path):
    (tmp_path / metrics.FILE).write_text('{"step": 1, "loss": 2.0, "fill": 0.5}\n')
    assert metrics.read(tmp_path) == [{"step": 1, "loss": 2.0, "packing_efficiency": 0.5}]


def test_the_tokens_of_an_older_version_are_not_made_anew(tmp_path):
    data = token_set([4, 5, 6], validation=[1])
    written = TokenWriter()
    for row in range(len(data)):
        written.add(data.row(row))
    known = {field.name: getattr(data, field.name) for field in fields(Facts)}
    written.finish(Facts(**known))
    written.save(tmp_path / "new.npz")
    written.close()
    with np.load(tmp_path / "new.npz") as file:
        arrays = {("held_back" if name == "validation" else name): file[name] for name in file.files}
    with (tmp_path / "old.npz").open("wb") as opened:
        np.savez(opened, **arrays)
    read = token_sets.load(tmp_path / "old.npz", data.key, data.weights)
    assert read is not None
    np.testing.assert_array_equal(read.validation, data.validation)


def test_values_are_left_alone():
    assert renamed_options(["a", "--system", "length", "--rank=4"]) == ["a", "--system", "length", "--lora-rank=4"]
