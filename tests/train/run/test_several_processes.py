"""What processes must have in common before they train together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train.core.test_process_group import together as together
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.record import BaseModel, DatasetSummary, DataSummary, TrainingRecord
from tunixhack.train.run import several_processes
from tunixhack.train.run.several_processes import (
    require_same,
    require_shared_storage,
    shared_attention,
    shared_remat,
    shared_resume,
)
from tunixhack.train.settings import settings


def training():
    return TrainingRecord(
        base=BaseModel(name="tiny", fingerprint="f" * 64),
        settings=settings("lora"),
        data=DataSummary(key="k" * 64, datasets=[DatasetSummary(name="sums", weight=1.0)]),
        versions={"tunixhack": "1", "jax": "0.10.2"},
    )


def options(folder: Path, scratch: Path | None = None) -> SimpleNamespace:
    return SimpleNamespace(out=folder, scratch=scratch or folder)


def refused(function):
    def tried(group):
        try:
            function(group)
        except UserError as error:
            return str(error)
        return None

    return tried


COMMAND = {"seed": 0, "steps": None, "the version of jax": "0.10.2"}


def test_the_same_command_in_all_is_fine(together):
    assert together(refused(lambda group: require_same(group, "command", COMMAND))) == [None] * 3


def test_another_command_is_refused_by_all_with_its_process_and_every_difference(together):
    other = {"seed": 5, "steps": 7, "the version of jax": "0.11.2", "wandb": "mine"}
    told = together(refused(lambda group: require_same(group, "command", other if group.index == 2 else COMMAND)))
    assert told[0] == told[1] == told[2]
    assert told[0].startswith("process 2 was started with something else than process 0: ")
    for difference in (
        "seed is 5 there and 0",
        "steps is 7 there and None",
        "the version of jax is 0.11.2 there",
        "wandb is mine there and None",
    ):
        assert difference in told[0]


def test_one_that_was_told_of_more_processes_is_told_so_and_waits_for_none(together):
    def check(group):
        group.count += group.index == 2
        require_same(group, "command", COMMAND, within=0)

    told = together(refused(check))
    assert told[2].startswith("process 2 was told of 4 processes, and process 0 of 3: give all of them the same number")


def test_one_that_never_says_what_it_trains_is_not_waited_for_for_ever(together):
    def check(group):
        if group.index != 1:
            require_same(group, "command", COMMAND, within=0)

    assert together(refused(check))[0].startswith("process 1 of 3 did not come within 0 seconds to say what")


def test_a_folder_that_all_see_is_shared_and_left_as_it_was(together, tmp_path):
    assert together(refused(lambda group: require_shared_storage(group, options(tmp_path)))) == [None] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_one_does_not_see_is_refused_by_all(together, tmp_path, monkeypatch):
    monkeypatch.setattr(several_processes, "SEEN_WITHIN", 0.0)
    for name in ("out", "scratch", "own"):
        (tmp_path / name).mkdir()

    def check(group):
        scratch = tmp_path / ("own" if group.index == 1 else "scratch")
        require_shared_storage(group, options(tmp_path / "out", scratch))

    told = together(refused(check))
    assert all("is another folder for process 1 than for process 0" in one for one in told)
    assert [list((tmp_path / name).iterdir()) for name in ("out", "scratch", "own")] == [[], [], []]


def test_the_first_process_resumes_and_all_have_its_record(together, tmp_path):
    asked = []

    def resume(group):
        def look():
            asked.append(group.index)
            return replace(training(), status="stopped", steps=7), 7

        return shared_resume(group, options(tmp_path), training(), look)

    told = together(resume)
    assert asked == [0]
    assert told[0] == told[1] == told[2]
    assert told[0][0] == replace(training(), status="stopped", steps=7)
    assert record.compared(told[0][0]) == record.compared(training())


def test_where_one_is_short_of_memory_all_compute_twice(together):
    base = SimpleNamespace(with_remat=lambda: "remat")
    assert together(lambda group: shared_remat(group, base, base)) == [base] * 3
    told = together(lambda group: shared_remat(group, base, "remat" if group.index else base), run="again")
    assert told == ["remat"] * 3


def test_where_one_host_lacks_an_attention_all_take_the_one_that_it_has(together):
    asked = []

    def attend(group, names):
        def choose(name):
            asked.append((group.index, name))
            return SimpleNamespace(name=name or names[group.index])

        return shared_attention(group, None, choose).name

    assert together(lambda group: attend(group, ["cudnn"] * 3)) == ["cudnn"] * 3
    assert len(asked) == 3
    apart = ["cudnn", "chunked", "cudnn-masked"]
    assert together(lambda group: attend(group, apart), run="apart") == ["chunked"] * 3
    assert (1, "chunked") not in asked
