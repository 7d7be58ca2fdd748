"""The doctor's report, and the devices that a training takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunixhack.errors import UserError
from tunixhack.train.machine import doctor
from tunixhack.train.machine.doctor import Report, describe, examine, require_device
from tunixhack.train.machine.facts import Device, Facts, ProbeResult, gather
from tunixhack.train.machine.findings import judge
from tunixhack.train.machine.versions import TESTED

CPU, TPU, GPU = Device("cpu", "cpu", None), Device("tpu", "TPU v5 lite", 16 * 10**9), Device("gpu", "Tesla T4", 10**10)
VERSIONS: dict[str, str | None] = {name: spec.removeprefix("==").replace("*", "8") for name, spec in TESTED.items()} | {
    "jax": "0.11.2"
}
WELL = Facts(devices=(CPU,), versions=VERSIONS)


def test_json_tells_no_variable_that_was_not_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    facts = gather(root=tmp_path, jax=ProbeResult((CPU,), None))
    told = Report(facts, tuple(judge(facts))).as_dict()
    assert told["facts"]["environment"] == {"JAX_PLATFORMS": "cpu"}
    assert "hf_secret" not in str(told)


@pytest.mark.parametrize("error", [None, "TypeError: no such argument"])
def test_versions_that_were_not_tested_together_are_tried_and_a_problem_only_where_that_fails(
    monkeypatch: pytest.MonkeyPatch, error: str | None
):
    asked: list[str] = []

    def trial(question: str) -> ProbeResult:
        asked.append(question)
        return ProbeResult(None, error)

    monkeypatch.setattr(doctor, "probe", trial)
    monkeypatch.setattr(doctor, "gather", lambda root: WELL)
    assert examine().well
    assert not asked, "these were tested"
    newer = dataclasses.replace(WELL, versions=VERSIONS | {"jax": "0.12.0.1"})
    monkeypatch.setattr(doctor, "gather", lambda root: newer)
    report = examine()
    assert asked == ["trial"]
    assert report.well is (error is None)
    first = report.findings[0]
    assert "jax is 0.12.0.1, tested >=0.10,<0.12" in first.sentence
    assert (error or "a step of training on the CPU works with them") in first.sentence


def test_what_cannot_be_imported_is_not_tried(monkeypatch: pytest.MonkeyPatch):
    broken = dataclasses.replace(WELL, versions=VERSIONS | {"flax": "0.10.0"}, tunix_error="ImportError: no name")
    monkeypatch.setattr(doctor, "gather", lambda root: broken)
    monkeypatch.setattr(doctor, "probe", lambda question: pytest.fail("nothing to try"))
    assert not examine().well


def test_a_gpus_memory_is_told_as_what_jax_has_of_it():
    assert describe((GPU,)) == "Tesla T4, 10.0 GB for jax"
    assert describe((TPU,) * 8) == "8 × TPU v5 lite, 16.0 GB each"


# before a training


@pytest.fixture
def jax(monkeypatch: pytest.MonkeyPatch):
    """A jax that sees what a test says, and keeps what it is told."""

    def devices():
        if isinstance(fake.seen, str):
            raise RuntimeError(fake.seen)
        return [
            SimpleNamespace(
                platform=one.platform,
                device_kind=one.kind,
                process_index=0,
                memory_stats=lambda: {"bytes_limit": 10**9},
            )
            for one in fake.seen
        ]

    told: dict[str, str] = {}
    config = SimpleNamespace(update=told.__setitem__)
    fake = SimpleNamespace(seen=(CPU,), devices=devices, process_index=lambda: 0, config=config, told=told)
    monkeypatch.setattr(doctor, "import_optional", lambda module, what: fake)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    return fake


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine with eight TPU chips."""
    (tmp_path / "dev").mkdir()
    for chip in range(8):
        (tmp_path / "dev" / f"accel{chip}").touch()
    return tmp_path


def test_an_accelerator_that_jax_sees_is_taken(jax, machine):
    jax.seen = (TPU,) * 8
    assert require_device(root=machine) == "8 × TPU v5 lite, 1.0 GB each"


def test_an_accelerator_that_jax_does_not_see_is_refused_with_the_command(jax, machine, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(UserError, match=r"JAX_PLATFORMS is cpu: unset JAX_PLATFORMS.*insist on the CPU: --cpu"):
        require_device(root=machine)
    assert not jax.told


def test_jax_without_any_device_is_refused(jax, tmp_path):
    jax.seen = "Unable to initialize backend 'tpu'"
    with pytest.raises(UserError, match=r"no device at all \(Unable to initialize backend 'tpu'\)"):
        require_device(root=tmp_path)


def test_a_platform_that_is_not_here_is_refused_though_jax_only_asserts(jax, tmp_path, monkeypatch):
    def devices():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UserError, match=r"no device at all \(nothing that JAX_PLATFORMS names is here\): unset JAX_P"):
        require_device(root=tmp_path)


def test_whoever_insists_trains_on_the_cpu_beside_an_accelerator(jax, machine):
    assert require_device(cpu=True, root=machine) == "the CPU"
    assert jax.told == {"jax_platforms": "cpu"}


def test_a_process_that_has_the_accelerator_already_cannot_change_to_the_cpu(jax, machine):
    jax.seen = (TPU,)
    with pytest.raises(UserError, match="restart it"):
        require_device(cpu=True, root=machine)


def test_a_machine_without_accelerators_trains_on_its_cpu(jax, tmp_path):
    assert require_device(root=tmp_path) == "the CPU"
