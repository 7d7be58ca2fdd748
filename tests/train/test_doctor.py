"""The doctor: what keeps a machine from training is found and told with the command that mends it."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from tunixhack.errors import UserError
from tunixhack.train import doctor
from tunixhack.train.doctor import BESIDE, TESTED, Report, judge, require_device
from tunixhack.train.machine import Accelerator, Device, Facts, Holder

ROOT = Path(__file__).resolve().parents[2]
CPU, TPU, GPU = Device("cpu", "cpu", None), Device("tpu", "TPU v5 lite", 16 * 10**9), Device("gpu", "Tesla T4", 10**10)
TPU_HERE, GPU_HERE = Accelerator("tpu", "/dev/accel0 to /dev/accel7"), Accelerator("cuda", "/dev/nvidia0", driver=550)
VERSIONS: dict[str, str | None] = {name: spec.removeprefix("==").replace("*", "8") for name, spec in TESTED.items()} | {
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


def without(facts: Facts, *names: str) -> Facts:
    return dataclasses.replace(facts, versions=facts.versions | dict.fromkeys(names))


def installed(facts: Facts, **versions: str) -> Facts:
    return dataclasses.replace(
        facts, versions=facts.versions | {name.replace("_", "-"): number for name, number in versions.items()}
    )


def environment(facts: Facts, **variables: str) -> Facts:
    return dataclasses.replace(facts, environment=variables)


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
        installed(WELL, google_tunix="0.1.5", flax="0.11.2"),
        "google-tunix is 0.1.5, tested ==0.1.7, flax is 0.11.2",
        'pip install "google-tunix==0.1.7" "flax==0.12.*"',
    ),
    "libtpu of another jax": (
        dataclasses.replace(installed(BLIND, libtpu="0.0.30"), devices=(TPU,)),
        "libtpu is 0.0.30, tested ==0.0.42.*",
        'pip install "libtpu==0.0.42.*"',
    ),
    "perfetto beside Curator's protobuf": (
        dataclasses.replace(installed(WELL, perfetto="0.59.1"), gencode=(6, 31, 1), tunix_error="VersionError: …"),
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
        "because its driver is version 470",
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
    first, *others = judge(facts)
    assert sentence in first.sentence
    assert first.mend
    assert first.mend.startswith(command)
    assert first.grave
    assert not any(sentence in other.sentence for other in others), "told once"
    report = Report(facts, (first, *others))
    assert not report.well
    assert f"  {first.mend}" in report.as_lines()


def test_only_jax_platforms_that_leave_the_accelerator_out_are_blamed():
    tpu, gpu = environment(BLIND, JAX_PLATFORMS="tpu,cpu"), environment(BLIND_GPU, JAX_PLATFORMS="gpu")
    assert all("JAX_PLATFORMS" not in judge(facts)[0].sentence for facts in (tpu, gpu))


def test_a_process_that_holds_the_tpu_is_no_problem_where_jax_sees_it():
    assert not judge(dataclasses.replace(BLIND, devices=(TPU,), holders=(Holder(1, "me"),), lockfile=True))


@pytest.mark.parametrize(
    ("gencode", "protobuf", "runs"),
    [((6, 31, 1), "5.29.6", False), ((6, 31, 1), "6.31.0", False), ((6, 31, 1), "6.33", True),
     ((6, 31, 1), "7.30.0", True), ((5, 26, 0), "7.1.0", False), ((4, 0, 0), "5.0.0rc1", True)],
)  # fmt: skip
def test_protobuf_runs_code_that_is_older_by_one_major_version_at_most(gencode, protobuf, runs):
    told = judge(dataclasses.replace(installed(WELL, protobuf=protobuf), gencode=gencode))
    assert any(finding.grave for finding in told) is not runs


def test_notes_keep_nobody_from_training():
    facts = dataclasses.replace(environment(installed(WELL, wandb="0.19"), COLAB_RELEASE_TAG="x"), devices=(TPU,))
    told = judge(dataclasses.replace(facts, sentencepiece_extra=False))
    assert [("SetEncodeExtraOptions" in one.sentence, "wandb" in one.sentence) for one in told] == [
        (True, False),
        (False, True),
    ]
    assert not any(one.grave for one in told)


def test_the_tested_versions_are_those_of_the_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    train = {Requirement(line).name: str(Requirement(line).specifier) for line in extras["train"]}
    assert {name: train.get(name) for name in TESTED} == TESTED
    for extra in ("tpu", "cuda"):
        (jax,) = [Requirement(line) for line in extras[extra] if line.startswith("jax")]
        assert str(jax.specifier) == TESTED["jax"]


def test_json_tells_no_variable_that_was_not_judged():
    facts = environment(WELL, JAX_PLATFORMS="cpu", HF_TOKEN="hf_secret")
    told = Report(facts, tuple(judge(facts))).as_dict()
    assert told["facts"]["environment"] == {"JAX_PLATFORMS": "cpu"}
    assert "hf_secret" not in str(told)


# before a training


@pytest.fixture
def jax(monkeypatch: pytest.MonkeyPatch):
    """A jax that sees what a test says, and keeps what it is told."""

    def devices():
        if isinstance(fake.seen, str):
            raise RuntimeError(fake.seen)
        return [
            SimpleNamespace(platform=one.platform, device_kind=one.kind, memory_stats=lambda: {"bytes_limit": 10**9})
            for one in fake.seen
        ]

    told: dict[str, str] = {}
    config = SimpleNamespace(update=told.__setitem__)
    fake = SimpleNamespace(seen=(CPU,), devices=devices, config=config, told=told)
    monkeypatch.setattr(doctor, "load", lambda module, what: fake)
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


def test_whoever_insists_trains_on_the_cpu_beside_an_accelerator(jax, machine):
    assert require_device(cpu=True, root=machine) == "the CPU"
    assert jax.told == {"jax_platforms": "cpu"}


def test_a_process_that_has_the_accelerator_already_cannot_change_to_the_cpu(jax, machine):
    jax.seen = (TPU,)
    with pytest.raises(UserError, match="restart it"):
        require_device(cpu=True, root=machine)


def test_a_machine_without_accelerators_trains_on_its_cpu(jax, tmp_path):
    assert require_device(root=tmp_path) == "the CPU"


def test_every_plugin_is_among_the_versions_that_are_told():
    assert {"libtpu", "jax-cuda12-plugin", "jax-cuda13-plugin", "perfetto", "protobuf"} <= set(BESIDE)
