"""What keeps a machine from training is found in the facts about it, and told with the command that mends it."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tunixhack.train.machine import findings
from tunixhack.train.machine.doctor import Report
from tunixhack.train.machine.facts import Accelerator, Device, Facts, Holder, ProbeResult
from tunixhack.train.machine.findings import judge
from tunixhack.train.machine.versions import DECISIVE, TESTED

ROOT = Path(__file__).resolve().parents[3]
CPU, TPU, GPU = Device("cpu", "cpu", None), Device("tpu", "TPU v5 lite", 16 * 10**9), Device("gpu", "Tesla T4", 10**10)
TPU_HERE, GPU_HERE = Accelerator("tpu", "/dev/accel0 to /dev/accel7"), Accelerator("cuda", "/dev/nvidia0", driver=550)
VERSIONS: dict[str, str | None] = {name: spec.removeprefix("==").replace("*", "8") for name, spec in TESTED.items()} | {
    "jax": "0.10.8",
    "jaxlib": "0.10.8",
    "libtpu": "0.0.42.1",
    "jax-cuda12-plugin": "0.10.8",
    "perfetto": "0.16.0",
    "protobuf": "5.29.6",
}
PLUGINS = {"libtpu": "==0.0.42.*", "jax-cuda12-plugin": "<=0.10.8,>=0.10.8"}
WELL = Facts(devices=(CPU,), versions=VERSIONS, plugins=PLUGINS)
"""A desk without an accelerator, where everything fits."""
BLIND = dataclasses.replace(WELL, accelerators=(TPU_HERE,))
"""A machine whose TPU jax does not see."""
BLIND_GPU = dataclasses.replace(WELL, accelerators=(GPU_HERE,))


OLD_PROTOBUF = (
    "google.protobuf.runtime_version.VersionError: Detected incompatible Protobuf Gencode/Runtime versions when "
    "loading protos/perfetto/trace/perfetto_trace.proto: gencode 6.31.1 runtime 5.29.6. Runtime version cannot be "
    "older than the linked gencode version. See Protobuf version guarantees at https://protobuf.dev/support/"
)
"""What Python says where Tunix imports perfetto beside an older protobuf."""


def without(facts: Facts, *names: str) -> Facts:
    return dataclasses.replace(facts, versions=facts.versions | dict.fromkeys(names))


def installed(facts: Facts, **versions: str) -> Facts:
    return dataclasses.replace(
        facts, versions=facts.versions | {name.replace("_", "-"): number for name, number in versions.items()}
    )


def environment(facts: Facts, **variables: str) -> Facts:
    return dataclasses.replace(facts, environment=variables)


@pytest.fixture(autouse=True)
def from_an_index(monkeypatch: pytest.MonkeyPatch):
    """What is installed here came from a package index; tests/_util/test_installation.py has the other ways."""

    def install_command(*extras: str, options: str = "") -> str:
        return f'pip install {options}{" " if options else ""}"tunixhack[{",".join(extras)}]"'

    monkeypatch.setattr(findings, "install_command", install_command)
    monkeypatch.setattr(findings, "pip_install", lambda *names: " ".join(["pip install", *(f'"{n}"' for n in names)]))


@pytest.mark.parametrize(
    ("facts", "devices"),
    [(WELL, (CPU,)), (BLIND, (TPU,) * 8), (BLIND_GPU, (GPU,))],
    ids=["cpu", "tpu", "gpu"],
)
def test_a_machine_that_can_train_has_no_problem(facts, devices):
    report = Report(facts, tuple(judge(dataclasses.replace(facts, devices=devices))))
    assert report.well
    assert report.as_lines()[-1] == "ready to train"


def test_without_an_accelerator_it_says_what_the_cpu_is_for():
    (note,) = judge(WELL)
    assert "for trying out" in note.sentence
    assert not note.grave


PROBLEMS = {
    "not installed": (without(WELL, *TESTED), "google-tunix, jax, flax", 'pip install "tunixhack[train]"'),
    "not installed on a TPU": (without(BLIND, *TESTED), "google-tunix", 'pip install "tunixhack[tpu]"'),
    "not installed with a GPU": (without(BLIND_GPU, "jax"), "jax not installed", 'pip install "tunixhack[cuda]"'),
    "another Tunix and flax": (
        dataclasses.replace(
            installed(WELL, google_tunix="0.1.5", flax="0.11.2"),
            trial=ProbeResult(None, "TypeError: unexpected argument"),
        ),
        "google-tunix is 0.1.5, tested ==0.1.7, flax is 0.11.2, tested ==0.12.*, and with them training fails (Type",
        'pip install "google-tunix==0.1.7" "flax==0.12.*"',
    ),
    "another flax that Tunix cannot be imported with": (
        dataclasses.replace(installed(WELL, flax="0.11.2"), tunix_error="ImportError: no name"),
        "flax is 0.11.2, tested ==0.12.*, and with them training fails (ImportError: no name)",
        'pip install "flax==0.12.*"',
    ),
    "libtpu of another jax": (
        installed(BLIND, libtpu="0.0.30"),
        "jax sees only the CPU, whose version 0.10.8 needs libtpu==0.0.42.*, and 0.0.30 is installed",
        'pip install "libtpu==0.0.42.*"',
    ),
    "perfetto beside Curator's protobuf": (
        dataclasses.replace(installed(WELL, perfetto="0.59.1"), tunix_error=OLD_PROTOBUF),
        "perfetto 0.59.1 needs protobuf 6.31.1 or later, and 5.29.6 is installed",
        'pip install "perfetto<0.50"',
    ),
    "a broken import": (
        dataclasses.replace(WELL, tunix_error="ImportError: no name"),
        "Tunix cannot be imported (ImportError: no name)",
        "pip install --upgrade --force-reinstall",
    ),
    "jax's platforms": (
        environment(BLIND, JAX_PLATFORMS="cpu"),
        "a TPU is here (/dev/accel0 to /dev/accel7), but jax sees only the CPU, because JAX_PLATFORMS is cpu",
        "unset JAX_PLATFORMS",
    ),
    "no libtpu": (without(BLIND, "libtpu"), "because libtpu is not installed", 'pip install "tunixhack[tpu]"'),
    "no CUDA plugin": (
        without(BLIND_GPU, "jax-cuda12-plugin"),
        "an NVIDIA GPU is here (/dev/nvidia0), but jax sees only the CPU, because jax-cuda12-plugin or",
        'pip install "tunixhack[cuda]"',
    ),
    "a hidden GPU": (
        environment(BLIND_GPU, CUDA_VISIBLE_DEVICES="-1"),
        "because CUDA_VISIBLE_DEVICES hides it",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    "an old driver": (
        dataclasses.replace(BLIND_GPU, accelerators=(Accelerator("cuda", "/dev/nvidia0", driver=470),)),
        "because its driver is version 470, and CUDA 12 needs 525",
        "update NVIDIA's driver",
    ),
    "a driver that is too old for CUDA 13": (
        installed(without(BLIND_GPU, "jax-cuda12-plugin"), jax_cuda13_plugin="0.10.8"),
        "because its driver is version 550, and CUDA 13 needs 580",
        "update NVIDIA's driver",
    ),
    "a TPU that another process holds": (
        dataclasses.replace(BLIND, devices=None, holders=(Holder(42, "python -m ipykernel"),)),
        "but jax sees no device, because process 42 (python -m ipykernel) holds it",
        "kill 42",
    ),
    "a lock that was left": (
        dataclasses.replace(BLIND, lockfile=True),
        "/tmp/libtpu_lockfile is left",
        "rm -f /tmp/libtpu_lockfile",
    ),
    "a reason of jax's own": (
        dataclasses.replace(BLIND, jax_error="RuntimeError: no chips"),
        "(RuntimeError: no chips)",
        'pip install --upgrade --force-reinstall "tunixhack[tpu]"',
    ),
    "a TPU that only a variable tells of": (
        dataclasses.replace(WELL, accelerators=(Accelerator("tpu", "COLAB_TPU_ADDR", here=False),)),
        "COLAB_TPU_ADDR tells of a TPU, but jax sees only the CPU",
        "choose a runtime whose TPU is in the machine",
    ),
    "no device at all": (
        dataclasses.replace(environment(WELL, JAX_PLATFORMS="tpu"), devices=None, jax_error="RuntimeError: no tpu"),
        "jax has no device at all (RuntimeError: no tpu)",
        "unset JAX_PLATFORMS",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_problem_is_told_first_and_with_the_command_that_mends_it(case: str):
    facts, sentence, command = PROBLEMS[case]
    first, *others = sorted(judge(facts), key=lambda one: not one.grave)
    assert sentence in first.sentence
    assert first.mend
    assert first.mend.startswith(command)
    assert first.grave
    assert not any(sentence in other.sentence for other in others), "told once"
    report = Report(facts, (first, *others))
    assert not report.well
    assert f"  {first.mend}" in report.as_lines()


NO_PROBLEMS = {
    "versions that work": (
        dataclasses.replace(installed(WELL, jax="0.12.0", flax="0.12.12"), trial=ProbeResult(None, None)),
        "jax is 0.12.0, tested >=0.10,<0.12; a step of training on the CPU works with them",
    ),
    "versions that nobody has tried": (installed(WELL, optax="0.3.1"), "optax is 0.3.1, tested ==0.2.*"),
    "libtpu of another jax, which sees the TPU": (
        dataclasses.replace(installed(BLIND, libtpu="0.0.30"), devices=(TPU,), trial=ProbeResult(None, None)),
        "libtpu is 0.0.30, tested ==0.0.42.*",
    ),
    "a GPU beside the TPU that jax sees": (
        dataclasses.replace(WELL, accelerators=(TPU_HERE, GPU_HERE), devices=(TPU,)),
        "an NVIDIA GPU is here",
    ),
    "a variable that tells of a TPU where jax sees a GPU": (
        dataclasses.replace(WELL, accelerators=(Accelerator("tpu", "TPU_NAME", here=False), GPU_HERE), devices=(GPU,)),
        "TPU_NAME tells of a TPU",
    ),
}


@pytest.mark.parametrize("case", NO_PROBLEMS)
def test_what_keeps_no_training_from_starting_is_a_note(case: str):
    facts, sentence = NO_PROBLEMS[case]
    told = judge(facts)
    assert any(sentence in one.sentence for one in told)
    assert not any(one.grave for one in told)


@pytest.mark.parametrize(
    ("variables", "share"),
    [
        ({}, "three quarters of the GPU's memory, which is jax's share unless XLA_PYTHON_CLIENT_MEM_FRACTION"),
        ({"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5"}, "by XLA_PYTHON_CLIENT_MEM_FRACTION, which is 0.5"),
    ],
)
def test_what_jax_has_of_a_gpus_memory_is_told_with_the_variable_that_changes_it(variables: dict[str, str], share: str):
    (note,) = judge(dataclasses.replace(environment(BLIND_GPU, **variables), devices=(GPU,)))
    assert f"a training has 10.0 GB on each GPU, {share}" in note.sentence
    assert note.mend
    assert note.mend.startswith("export XLA_PYTHON_CLIENT_MEM_FRACTION=0.9")
    assert not note.grave


def test_only_jax_platforms_that_leave_the_accelerator_out_are_blamed():
    tpu, gpu = environment(BLIND, JAX_PLATFORMS="tpu,cpu"), environment(BLIND_GPU, JAX_PLATFORMS="gpu")
    assert all("JAX_PLATFORMS" not in judge(facts)[0].sentence for facts in (tpu, gpu))


def test_a_process_that_holds_the_tpu_is_no_problem_where_jax_sees_it():
    assert not judge(dataclasses.replace(BLIND, devices=(TPU,), holders=(Holder(1, "me"),), lockfile=True))


def test_notes_keep_no_training_from_starting():
    facts = dataclasses.replace(environment(installed(WELL, wandb="0.19"), COLAB_RELEASE_TAG="x"), devices=(TPU,))
    assert not any("sentencepiece" in one.sentence for one in judge(installed(facts, sentencepiece="0.2.1")))
    told = judge(installed(facts, sentencepiece="0.2.3"))
    assert [("SetEncodeExtraOptions" in one.sentence, "wandb" in one.sentence) for one in told] == [
        (True, False),
        (False, True),
    ]
    assert not any(one.grave for one in told)


def test_the_tested_versions_are_those_of_the_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    train = {Requirement(line).name: Requirement(line).specifier for line in extras["train"]}
    assert {name: train.get(name) for name in TESTED} == {name: SpecifierSet(spec) for name, spec in TESTED.items()}
    for extra in ("tpu", "cuda"):
        (jax,) = [Requirement(line) for line in extras[extra] if line.startswith("jax")]
        assert jax.specifier == SpecifierSet(TESTED["jax"])


def test_every_plugin_is_among_the_versions_that_are_told():
    assert {"libtpu", "jax-cuda12-plugin", "jax-cuda13-plugin", "perfetto", "protobuf"} <= set(DECISIVE)
