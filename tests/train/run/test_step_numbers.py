"""The numbers of a step, on devices that are known and on others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core.trainer import GivenBatch, TrainingStep
from tunixhack.train.data.packing import PackedBatch
from tunixhack.train.models.base_model import Base
from tunixhack.train.models.load import find
from tunixhack.train.run import step_numbers
from tunixhack.train.run.step_numbers import StepNumbers, peak_memory
from tunixhack.train.settings import Method, settings


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return find(str(write_tiny_student(tmp_path_factory.mktemp("tiny") / "tiny", "llama")))


def step() -> TrainingStep:
    """A step of half a second, in which 60 of 80 places have a token, and 40 are learnt."""
    segments = np.repeat(np.array([[1] * 15 + [0] * 5], np.int32), 4, axis=0)
    mask = np.repeat(np.array([[False] * 5 + [True] * 10 + [False] * 5]), 4, axis=0)
    batch = PackedBatch(segments, mask, segments, segments, segments.astype(np.int64))
    return TrainingStep(7, 0.5, 1.25, 3.5, 0.0, GivenBatch(batch, 1e-4, waited=0.125))


def numbers(base: Base, kinds: list[str], method: Method = "full") -> dict[str, Any]:
    devices = np.array([SimpleNamespace(device_kind=kind) for kind in kinds]).reshape(-1, 1)
    student: Any = SimpleNamespace(base=base, settings=settings(method), mesh=SimpleNamespace(devices=devices))
    return StepNumbers(student).of(step())


def test_mfu_counts_real_tokens_over_the_peak_of_all_devices(base):
    found = numbers(base, ["NVIDIA L4", "NVIDIA L4"])
    assert found["tokens_per_second"] == 120
    assert found["mfu"] == pytest.approx(120 * 6 * base.parameters / (2 * 121e12))
    assert (found["tokens"], found["learnt"], found["packing_efficiency"]) == (60, 40, 0.75)
    assert (found["data_wait_seconds"], found["compile_seconds"], found["seconds"]) == (0.125, 0.0, 0.5)
    lora = numbers(base, ["NVIDIA L4", "NVIDIA L4"], "lora")
    assert 4 / 6 < lora["mfu"] / found["mfu"] < 1.5  # a tiny student's adapters are not small


@pytest.mark.parametrize("kinds", [["cpu"], ["a card of tomorrow"], ["NVIDIA L4", "a card of tomorrow"]])
def test_where_one_device_is_not_known_there_is_no_mfu(base, kinds):
    assert numbers(base, kinds)["mfu"] is None


@pytest.mark.parametrize(
    ("stats", "peak"),
    [
        ([None], None),
        ([{}], None),
        ([{"bytes_in_use": 5}], None),
        ([{"peak_bytes_in_use": 5}, {"peak_bytes_in_use": 9}], 9),
        ([None, {"peak_bytes_in_use": 5}], 5),
    ],
)
def test_the_peak_of_memory_is_that_of_the_fullest_device_that_tells_it(monkeypatch, stats, peak):
    devices = [SimpleNamespace(memory_stats=lambda told=told: told) for told in stats]
    monkeypatch.setattr(step_numbers.jax, "local_devices", lambda: devices)
    assert peak_memory() == peak
