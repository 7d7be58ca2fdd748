"""The numbers of steps, summed up."""

from __future__ import annotations

import pytest

from tunixhack.train.record import Performance
from tunixhack.train.report.performance import in_words, summed_up


def line(step: int, **numbers: float) -> dict[str, float]:
    usual = {"step": step, "loss": 1.0, "tokens": 100, "seconds": 2.0, "compile_seconds": 0.0, "data_wait_seconds": 0.1}
    return usual | numbers


def test_speed_is_that_of_steps_for_which_nothing_was_compiled():
    lines = [
        line(1, seconds=50.0, compile_seconds=45.0, mfu=0.001),
        line(2, mfu=0.2, peak_memory_bytes=7),
        line(3, seconds=6.0, mfu=0.4, peak_memory_bytes=9),
        line(3, validation_loss=1.0, seconds=0.0),
        line(4, seconds=20.0, compile_seconds=5.0, peak_memory_bytes=8),
    ]
    found = summed_up(lines, estimated_memory=11)
    assert found == Performance(
        tokens_per_second=200 / 8,
        mfu=pytest.approx((0.2 * 2 + 0.4 * 6) / 8),
        step_seconds=4.0,
        data_wait_seconds=pytest.approx(0.5),
        compile_seconds=50.0,
        peak_memory_bytes=9,
        estimated_memory_bytes=11,
    )


def test_where_a_device_is_not_known_there_is_no_share_of_its_peak():
    found = summed_up([line(1), line(2)])
    assert (found.mfu, found.peak_memory_bytes, found.estimated_memory_bytes) == (None, None, None)
    assert found.tokens_per_second == 50
    assert in_words(found) == "50 tokens/s without padding, 0.2 s waiting for data, 0.0 s compiling"


def test_lines_of_an_older_version_say_nothing_of_it():
    old = [{"step": 1, "loss": 1.0, "tokens": 9, "seconds": 48.0}, {"step": 1, "validation_loss": 2.0}]
    assert summed_up(old) == Performance()
    assert summed_up([]) == Performance()
    assert in_words(Performance()) == ""


def test_all_of_it_in_words():
    found = Performance(
        tokens_per_second=47_500.0,
        mfu=0.171,
        step_seconds=0.17,
        data_wait_seconds=0.3,
        compile_seconds=48.2,
        peak_memory_bytes=30_200_000_000,
        estimated_memory_bytes=29_500_000_000,
    )
    assert in_words(found) == (
        "47,500 tokens/s without padding, MFU 17%, 0.3 s waiting for data, 48.2 s compiling, at most 30.2 GB of a "
        "device's memory (29.5 GB told before)"
    )
