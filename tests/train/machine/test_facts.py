"""What a machine has is found in its device files, processes and packages, on fabricated ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunixhack.train.machine import facts as machine
from tunixhack.train.machine.facts import (
    Accelerator,
    Holder,
    ProbeResult,
    count_gpus,
    find_accelerators,
    find_holders,
    probe,
)
from tunixhack.train.machine.versions import DECISIVE


def put(root: Path, *files: str) -> None:
    for name in files:
        path, _, text = name.partition(" ")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_a_machine_without_any_has_none(tmp_path):
    assert find_accelerators(tmp_path, {}) == ()


def test_the_tpu_of_a_kaggle_session_is_found_by_its_device_files(tmp_path):
    put(tmp_path, *(f"dev/accel{chip}" for chip in range(8)))
    assert find_accelerators(tmp_path, {}) == (Accelerator("tpu", "/dev/accel0 to /dev/accel7"),)


def test_vfio_is_a_tpu_where_the_bus_has_one(tmp_path):
    put(tmp_path, "dev/vfio/vfio", *(f"dev/vfio/{chip}" for chip in (0, 1, 10)))
    assert find_accelerators(tmp_path, {}) == (), "virtual machines use it for other devices as well"
    put(tmp_path, "sys/bus/pci/devices/0/vendor 0x1ae0\n", "sys/bus/pci/devices/0/device 0x0063\n")
    assert find_accelerators(tmp_path, {}) == (Accelerator("tpu", "/dev/vfio/0 to /dev/vfio/10"),)


def test_gpus_are_counted_by_their_device_files_and_by_no_others(tmp_path):
    put(tmp_path, "dev/nvidiactl", "dev/nvidia-uvm", "dev/nvidia-caps/nvidia-cap1")
    assert count_gpus(tmp_path) == 0
    put(tmp_path, *(f"dev/nvidia{card}" for card in (0, 1, 10)))
    assert count_gpus(tmp_path) == 3


def test_a_network_card_of_googles_is_no_tpu(tmp_path):
    put(tmp_path, "sys/bus/pci/devices/0/vendor 0x1ae0\n", "sys/bus/pci/devices/0/device 0x0042\n")
    assert find_accelerators(tmp_path, {}) == ()


def test_a_tpu_that_only_a_variable_tells_of_is_not_here(tmp_path):
    assert find_accelerators(tmp_path, {"COLAB_TPU_ADDR": "10.0.0.2"}) == (
        Accelerator("tpu", "COLAB_TPU_ADDR", here=False),
    )
    put(tmp_path, "dev/accel0")
    assert find_accelerators(tmp_path, {"TPU_NAME": "local"}) == (Accelerator("tpu", "/dev/accel0"),)


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n", 535),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build\n", 570),
        ("", None),
    ],
)
def test_nvidias_driver_is_read_where_it_tells(tmp_path, text, driver):
    put(tmp_path, "dev/nvidia0", "dev/nvidiactl", "dev/nvidia-uvm")
    if text:
        put(tmp_path, f"proc/driver/nvidia/version {text}")
    assert find_accelerators(tmp_path, {}) == (Accelerator("cuda", "/dev/nvidia0", driver=driver),)


def test_under_windows_the_gpu_is_one_device_and_a_library(tmp_path):
    put(tmp_path, "dev/dxg")
    assert find_accelerators(tmp_path, {}) == (), "a Windows without NVIDIA's driver has it, too"
    put(tmp_path, "usr/lib/wsl/lib/libcuda.so.1")
    assert find_accelerators(tmp_path, {}) == (Accelerator("cuda", "/dev/dxg"),)


def test_whoever_has_a_device_file_open_holds_the_tpu(tmp_path):
    for pid, target in (("7", "/dev/null"), ("42", "/dev/accel3"), ("100", "/dev/vfio/1"), ("9", "/dev/vfio/vfio")):
        put(tmp_path, f"proc/{pid}/cmdline python\0-m\0{pid}\0")
        (tmp_path / "proc" / pid / "fd").mkdir()
        os.symlink(target, tmp_path / "proc" / pid / "fd" / "5")
    put(tmp_path, "proc/meminfo", "proc/77/cmdline gone")
    assert find_holders(tmp_path) == (Holder(42, "python -m 42"), Holder(100, "python -m 100"))


def test_a_child_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(machine, "PATIENCE", 0.0)
    assert probe("devices") == ProbeResult(None, "no answer within 0 s")


def test_a_child_tells_of_jaxs_devices_and_why_another_is_not_among_them(monkeypatch):
    pytest.importorskip("jax", reason="needs tunixhack[train]")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    told = probe("devices", "tpu")
    assert told.devices
    assert {one.platform for one in told.devices} == {"cpu"}
    assert told.error
    assert "tpu" in told.error


def test_a_child_tells_why_tunix_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "tunix.py").write_text("raise ImportError('no name in it')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probe("tunix") == ProbeResult(None, "ImportError: no name in it")


def test_a_child_tells_of_an_error_its_first_line_whatever_else_it_prints(monkeypatch, tmp_path):
    (tmp_path / "tunix.py").write_text(
        "import os, sys\nprint('loading')\nos.write(1, b'{}' * 10**6)\nprint('W: x', file=sys.stderr)\n"
        "raise type('VersionError', (Exception,), {})('Detected\\n more')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probe("tunix") == ProbeResult(None, "VersionError: Detected")


@pytest.mark.parametrize(
    ("ending", "told"),
    [("os.kill(os.getpid(), 6)", "ended with signal 6"), ("sys.exit(3)", "ended with code 3")],
)
def test_a_child_that_ends_without_an_answer_is_told_by_how_it_ended(monkeypatch, tmp_path, ending, told):
    (tmp_path / "tunix.py").write_text(f"import os, sys\n{ending}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert probe("tunix") == ProbeResult(None, told)


def test_a_child_trains_for_a_step_and_tells_nothing_where_that_works():
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    assert probe("trial") == ProbeResult(None, None)


def test_a_child_tells_why_a_step_of_training_fails(monkeypatch, tmp_path):
    (tmp_path / "qwix.py").write_text("raise TypeError('another version')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    assert probe("trial") == ProbeResult(None, "TypeError: another version")


def test_what_is_installed_here_is_read(tmp_path):
    facts = machine.gather(root=tmp_path, jax=ProbeResult(None, "unasked"))
    assert facts.versions["protobuf"]
    assert set(facts.versions) == set(DECISIVE)
    assert not facts.lockfile


def test_jaxs_own_metadata_says_which_plugins_fit():
    pytest.importorskip("jax", reason="needs tunixhack[train]")
    assert {"libtpu", "jax-cuda12-plugin"} <= set(machine.gather(jax=ProbeResult(None, None)).plugins)
