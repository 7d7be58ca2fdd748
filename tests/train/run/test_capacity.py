"""A training that cannot fit is refused before its first step, and one that may not is begun with a warning."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train.toy import SETTINGS, write_toy
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core import memory_estimate
from tunixhack.train.models.load import find
from tunixhack.train.run import capacity
from tunixhack.train.settings import settings


class Device:
    """A device with so much memory, and what is said of it."""

    def __init__(self, monkeypatch):
        self._patch = monkeypatch
        self.said = ""

    def needed(self, base, chosen, *, remat, devices=1):
        shape = memory_estimate.shape_of(base.family.tensors(base.config), settings=chosen)
        return memory_estimate.estimate_memory(shape, chosen, devices=devices, remat=remat)

    def check(self, base, chosen, free, devices=1):
        told = io.StringIO()
        self._patch.setattr(capacity, "free_memory", lambda: int(free))
        try:
            return capacity.check_memory(base, chosen, devices, Reporter(told))
        finally:
            self.said = told.getvalue()


@pytest.fixture
def device(monkeypatch):
    return Device(monkeypatch)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return find(str(write_tiny_student(tmp_path_factory.mktemp("tiny") / "tiny", "llama")))


def test_a_gpu_without_room_is_told_with_the_share_of_it_that_jax_has(tmp_path, monkeypatch):
    rows, tiny = write_toy(tmp_path, count=24)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    monkeypatch.setattr(capacity.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(capacity, "free_memory", lambda: 1000)
    with pytest.raises(UserError, match=r"has 0\.0 MB \(three quarters .*XLA_PYTHON_CLIENT_MEM_FRACTION"):
        train.sft(rows, tiny, out=tmp_path / "out", **SETTINGS, report=Reporter(quiet=True))


def test_memory_is_refused_where_it_is_certain_and_warned_of_where_the_estimate_may_err(base, device):
    chosen = settings(max_seq_len=1024)
    plain, remat = (device.needed(base, chosen, remat=twice) for twice in (False, True))
    for free in (1.01 * remat.least, 0.99 * remat.most):
        checked, told = device.check(base, chosen, free)
        assert checked.config != base.config, "each layer is computed twice"
        assert told == remat.total
        assert "memory may not suffice" in device.said
        assert "Where it runs out: give " in device.said
    checked, told = device.check(base, chosen, 2 * plain.total)
    assert checked.config == base.config
    assert told == plain.total
    assert "may not suffice" not in device.said
    with pytest.raises(
        UserError, match=r"a step of 8 rows of 1,024 tokens needs about .*remat.*, and it has .*: give "
    ):
        device.check(base, chosen, 0.99 * remat.least)
    with pytest.raises(UserError, match=r"does not fit with any option: take a smaller student, or a larger machine"):
        device.check(base, chosen, 1000)


def ways_out(device, base, chosen, share, devices=1):
    """Return what the refusal tells to give, on devices with a share of what a step takes."""
    free = share * device.needed(base, chosen, remat=True, devices=devices).least
    with pytest.raises(UserError) as refused:
        device.check(base, chosen, free, devices)
    told = str(refused.value).partition(": give ")[2]
    return free, [dict(re.findall(r"(\w+)=(\w+)", way)) for way in told.split(", or ")]


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
@pytest.mark.parametrize(("micro", "devices"), [(None, 1), (2, 1), (1, 1), (8, 8), (None, 2)])
def test_every_way_out_that_is_told_fits_and_the_longest_row_is_the_longest(
    base, device, method, share, micro, devices
):
    chosen = settings(method, max_seq_len=2048, batch_size=8, micro_batch_size=micro)
    free, ways = ways_out(device, base, chosen, share, devices)
    assert ways[0]
    for way in ways:
        numbers = {name: value if name == "method" else int(value) for name, value in way.items()}
        changed = replace(chosen, **numbers)
        assert device.needed(base, changed, remat=True, devices=devices).total <= free * memory_estimate.SPARE
        assert numbers.get("micro_batch_size", devices) % devices == 0
        if "max_seq_len" in numbers:
            longer = replace(changed, max_seq_len=changed.max_seq_len + memory_estimate.STEP)
            assert device.needed(base, longer, remat=True, devices=devices).total > free * memory_estimate.SPARE


def test_a_row_too_long_for_the_memory_is_told_the_longest_that_fits_and_the_options_that_make_it_fit(base, device):
    chosen = settings("lora", max_seq_len=4096, batch_size=8)
    _, ways = ways_out(device, base, chosen, 0.5)
    assert [sorted(way) for way in ways][:2] == [["micro_batch_size"], ["max_seq_len"]]
    _, ways = ways_out(device, base, replace(chosen, micro_batch_size=1), 0.5)
    assert all("micro_batch_size" not in way for way in ways)  # there are no fewer rows than one
    assert "max_seq_len" in ways[0]
    _, ways = ways_out(device, base, chosen, 0.1)
    assert {"micro_batch_size", "max_seq_len"} <= set(ways[-1]) | set(ways[1])


def test_where_only_another_method_fits_at_all_its_longest_row_is_told(base, device, monkeypatch):
    def shape(tensors, *, settings):
        adapters = 0 if settings.method == "full" else 13_000_000
        return memory_estimate.ModelShape(
            parameters=10**9,
            adapters=adapters,
            layers=26,
            width=1152,
            products=17_664,
            attended=1024,
            vocabulary=262_144,
        )

    monkeypatch.setattr(capacity, "shape_of", shape)
    chosen = settings("full", max_seq_len=4096, batch_size=2)
    told = (
        r"give method=lora and micro_batch_size=1 and max_seq_len=\d+ \(the longest row that fits so\), or method=qlora"
    )
    with pytest.raises(UserError, match=told):
        device.check(base, chosen, 2.8e9)


def test_another_method_is_told_of_where_it_takes_less_and_fits(base, device):
    chosen = settings("full", max_seq_len=128, batch_size=1)
    _, ways = ways_out(device, base, chosen, 0.9)
    assert {"method": "lora"} in ways
    lora = settings("lora", max_seq_len=128, batch_size=1)
    free = device.needed(base, replace(lora, method="qlora"), remat=True).total / memory_estimate.SPARE
    if free < device.needed(base, lora, remat=True).least:
        assert {"method": "qlora"} in ways_out(device, base, lora, free / device.needed(base, lora, remat=True).least)[
            1
        ]
    _, ways = ways_out(device, base, settings("qlora", max_seq_len=128, batch_size=4), 0.8)
    assert all("method" not in way for way in ways)
