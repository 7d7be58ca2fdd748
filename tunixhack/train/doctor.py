"""What keeps a machine from training, each with the one command that mends it.

Versions are the usual trouble: Tunix's dependencies break each other without pip finding anything wrong. The other one
is an accelerator that jax does not see: it trains on the CPU then, a thousand times slower, and says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from tunixhack.errors import UserError
from tunixhack.train.extra import load
from tunixhack.train.machine import LOCKFILE, ROOT, Accelerator, Device, Facts, Told, find_accelerators, gather, look

TESTED: Mapping[str, str] = {
    "google-tunix": "==0.1.7",
    "jax": "==0.10.*",
    "flax": "==0.12.*",
    "qwix": "==0.1.8",
    "grain": "==0.2.*",
    "optax": "==0.2.*",
    "orbax-checkpoint": "==0.12.*",
}
"""The versions of the extra `[train]`, which were tested together."""
BESIDE = (
    "jaxlib",
    "libtpu",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
    "perfetto",
    "protobuf",
    "sentencepiece",
    "wandb",
)
"""What else decides whether these work."""
CUDA_12_DRIVER = 525
"""The oldest driver of NVIDIA that CUDA 12 runs on."""

_JUDGED = ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES")
"""Of the environment's variables, those whose values are told."""
_RESTART = "  # in a notebook, restart the kernel then"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    sentence: str
    mend: str | None = None
    """The command that mends it, or what to do where no command can."""
    grave: bool = True
    """Whether training cannot work, or not on the accelerator, before it is mended."""

    def line(self) -> str:
        """Return both as one sentence."""
        return f"{self.sentence}: {self.mend}" if self.mend else self.sentence


@dataclass(frozen=True)
class Report:
    """What the doctor found."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether a training can start."""
        return not any(one.grave for one in self.findings)

    def as_lines(self) -> list[str]:
        """Return it for a terminal."""
        facts = self.facts
        installed = [f"{name} {number}" for name, number in facts.versions.items() if number]
        hardware = [f"{one.name} ({one.evidence})" for one in facts.accelerators]
        lines = [
            f"jax sees    {'nothing' if facts.devices is None else describe(facts.devices)}",
            f"hardware    {'; '.join(hardware) or 'no accelerator'}",
            f"held by     {'; '.join(f'{one.pid} {one.command}' for one in facts.holders) or 'nobody'}",
            f"installed   {', '.join(installed) or 'nothing of the extra [train]'}",
        ]
        for one in self.findings:
            lines += ["", f"{'PROBLEM' if one.grave else 'note'}: {one.sentence}"]
            lines += [f"  {one.mend}"] if one.mend else []
        return [*lines, "", "ready to train" if self.well else "mend the first problem, then ask again"]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; of the environment nothing but what was judged."""
        facts = asdict(self.facts)
        environment = facts.pop("environment")
        facts["environment"] = {name: environment[name] for name in _JUDGED if name in environment}
        return {"well": self.well, "findings": [asdict(one) for one in self.findings], "facts": facts}


def examine(root: Path = ROOT) -> Report:
    """Look at this machine, which takes some seconds, and judge.

    Args:
        root: where ``dev``, ``proc``, ``sys`` and ``tmp`` are.
    """
    facts = gather([*TESTED, *BESIDE], root=root)
    return Report(facts, tuple(judge(facts)))


def judge(facts: Facts) -> list[Finding]:
    """Find what is not as it should be; the first is what to mend first."""
    return [*_versions(facts), *_devices(facts), *_notes(facts)]


def require_device(cpu: bool = False, *, root: Path = ROOT) -> str:
    """Take the devices to train on, which are this process's from now on.

    Args:
        cpu: insist on the CPU, whatever else is there.
        root: where ``dev``, ``proc``, ``sys`` and ``tmp`` are.

    Returns:
        What jax has, in words, such as ``8 × TPU v5 lite, 16.0 GB each``.

    Raises:
        UserError: an accelerator is here and jax sees only the CPU, or no device at all; the sentence has the command
            that mends it.
    """
    jax = load("jax", "training")
    if cpu:
        jax.config.update("jax_platforms", "cpu")
    devices: tuple[Device, ...] | None = None
    error = None
    try:
        devices = tuple(Device(one.platform, one.device_kind, _memory(one)) for one in jax.devices())
    except RuntimeError as raised:  # jax's word for a backend that does not start
        error = str(raised)
    if devices and cpu and any(one.platform != "cpu" for one in devices):
        raise UserError(
            f"this process has {describe(devices)} already, and cannot change to the CPU: restart it (in a notebook, "
            "the kernel), and ask for the CPU first"
        )
    if devices and (cpu or any(one.platform != "cpu" for one in devices)):
        return describe(devices)
    if devices is None or find_accelerators(root, os.environ):
        facts = look([*TESTED, *BESIDE], root=root, jax=Told(devices, error))
        for one in _devices(facts):
            if one.grave:
                raise UserError(f"{one.line()} (or insist on the CPU: --cpu, in Python cpu=True)")
    return describe(devices or ())


def describe(devices: tuple[Device, ...]) -> str:
    """Say in words what jax has.

    >>> describe((Device("tpu", "TPU v5 lite", 16 * 10**9),) * 8)
    '8 × TPU v5 lite, 16.0 GB each'
    >>> describe((Device("cpu", "cpu", None),))
    'the CPU'
    """
    if all(one.platform == "cpu" for one in devices):
        return "the CPU" if len(devices) < 2 else f"the CPU as {len(devices)} devices"
    first = devices[0]
    count = f"{len(devices)} × " if len(devices) > 1 else ""
    memory = f", {first.memory / 1e9:.1f} GB{' each' if count else ''}" if first.memory else ""
    return f"{count}{first.kind}{memory}"


def _versions(facts: Facts) -> Iterator[Finding]:
    """Find what was not tested together, and what is known to break."""
    extra = next((one.platform for one in facts.accelerators if one.here), "train")
    missing = [name for name in TESTED if facts.versions.get(name) is None]
    if missing:
        yield Finding(f"{', '.join(missing)} not installed", f'pip install "tunixhack[{extra}]"{_RESTART}')
        return
    clashing = {name: spec for name, spec in TESTED.items() if not _fits(facts.versions[name], spec)}
    for name, spec in facts.plugins.items():
        if facts.versions.get(name) and not _fits(facts.versions[name], spec):
            clashing[name] = spec
    if clashing:
        told = ", ".join(f"{name} is {facts.versions[name]}, tested {spec}" for name, spec in clashing.items())
        names = " ".join(f'"{name}{spec}"' for name, spec in clashing.items())
        yield Finding(f"versions that were not tested together: {told}", f"pip install {names}{_RESTART}")
    protobuf = facts.versions.get("protobuf")
    if facts.gencode and protobuf and not _runs(facts.gencode, protobuf):
        yield Finding(
            f"perfetto {facts.versions.get('perfetto')} needs protobuf {'.'.join(map(str, facts.gencode))} or later, "
            f"and {protobuf} is installed: Tunix cannot be imported",
            f'pip install "perfetto<0.50"{_RESTART}',
        )
    elif facts.tunix_error and not clashing:
        yield Finding(
            f"Tunix cannot be imported ({facts.tunix_error})",
            f'pip install --upgrade --force-reinstall "tunixhack[{extra}]"{_RESTART}',
        )


def _devices(facts: Facts) -> Iterator[Finding]:
    """Find why jax does not see what is here."""
    seen = {one.platform for one in facts.devices or ()}
    for one in facts.accelerators:
        if one.platform == "cuda" and "gpu" in seen:
            continue
        if one.platform not in seen:
            what = f"{_article(one.name)} is here ({one.evidence})"
            if not one.here:
                what = f"{one.evidence} tells of a TPU"
            yield _unseen(one, what, facts)
    if facts.devices is None and not any(one.here for one in facts.accelerators) and facts.versions.get("jax"):
        platforms = facts.environment.get("JAX_PLATFORMS")
        yield Finding(
            f"jax has no device at all ({facts.jax_error})",
            f"unset JAX_PLATFORMS{_RESTART}" if platforms else f'pip install --upgrade "tunixhack[train]"{_RESTART}',
        )
    elif not facts.accelerators and seen == {"cpu"}:
        yield Finding("no accelerator is here: a training on the CPU is for trying out", grave=False)


def _unseen(one: Accelerator, what: str, facts: Facts) -> Finding:
    """Name the first of the known reasons why jax does not see an accelerator."""
    but = f"{what}, but jax sees {'only the CPU' if facts.devices else 'no device'}"
    platforms = facts.environment.get("JAX_PLATFORMS", "")
    if platforms and not {one.platform, "gpu" if one.platform == "cuda" else "tpu"} & set(platforms.split(",")):
        return Finding(f"{but}, because JAX_PLATFORMS is {platforms}", f"unset JAX_PLATFORMS{_RESTART}")
    if not one.here:
        return Finding(
            f"{but}, and there is no device file: it is one of the old TPUs behind the network, which jax no longer "
            "reaches, or the variable is left over",
            "choose a runtime whose TPU is in the machine (Colab: v5e-1 or v6e-1; Kaggle: TPU VM v5e-8), or unset "
            f"{one.evidence}",
        )
    hidden = facts.environment.get("CUDA_VISIBLE_DEVICES")
    if one.platform == "cuda" and hidden is not None and hidden.strip() in ("", "-1"):
        return Finding(f"{but}, because CUDA_VISIBLE_DEVICES hides it", f"unset CUDA_VISIBLE_DEVICES{_RESTART}")
    plugins = ["libtpu"] if one.platform == "tpu" else ["jax-cuda12-plugin", "jax-cuda13-plugin"]
    installed = [name for name in plugins if facts.versions.get(name)]
    if not installed:
        return Finding(
            f"{but}, because {' or '.join(plugins)} is not installed",
            f'pip install "tunixhack[{one.platform}]"{_RESTART}',
        )
    for name in installed:
        wanted = facts.plugins.get(name)
        if wanted and not _fits(facts.versions[name], wanted):
            return Finding(
                f"{but}, whose version {facts.versions.get('jax')} needs {name}{wanted}, and {facts.versions[name]} is "
                "installed",
                f'pip install "{name}{wanted}"{_RESTART}',
            )
    if one.platform == "tpu":
        others = [holder for holder in facts.holders if holder.pid != os.getpid()]
        if others:
            return Finding(
                f"{but}, because process {others[0].pid} ({others[0].command}) holds it",
                f"kill {others[0].pid}  # or, if it is a notebook, restart its kernel",
            )
        if facts.lockfile and not facts.holders:
            return Finding(
                f"{but}, and /{LOCKFILE} is left from a process that nobody sees",
                f"rm -f /{LOCKFILE}  # with sudo, if it is another user's",
            )
    elif one.driver is not None and one.driver < CUDA_12_DRIVER:
        return Finding(
            f"{but}, because its driver is version {one.driver}, and CUDA 12 needs {CUDA_12_DRIVER}",
            "update NVIDIA's driver to its latest version",
        )
    return Finding(
        f"{but} ({facts.jax_error or 'it tells no reason'})",
        f'pip install --upgrade --force-reinstall "tunixhack[{one.platform}]"{_RESTART}',
    )


def _notes(facts: Facts) -> Iterator[Finding]:
    if facts.sentencepiece_extra is False:
        yield Finding(
            f"sentencepiece {facts.versions.get('sentencepiece')} has no SetEncodeExtraOptions, which Tunix's own "
            "tokenizer calls; ours does not use it",
            'pip install "sentencepiece<0.2.2"  # only if your own code makes Tunix\'s tokenizer',
            grave=False,
        )
    if facts.versions.get("wandb") and "COLAB_RELEASE_TAG" in facts.environment:
        yield Finding(
            "wandb is installed, as Colab has it, and Tunix's own trainer logs to it unasked; ours does not",
            "pip uninstall -y wandb  # only if your own code makes Tunix's trainer",
            grave=False,
        )


def _fits(installed: str | None, wanted: str) -> bool:
    return installed is not None and SpecifierSet(wanted).contains(installed, prereleases=True)


def _runs(gencode: tuple[int, int, int], protobuf: str) -> bool:
    """Tell whether protobuf runs what was generated for a version: that one or later, up to the next major one."""
    digits = [int(part) for part in protobuf.split(".")[:3] if part.isdigit()]
    installed = tuple(digits + [0] * (3 - len(digits)))
    return gencode <= installed and installed[0] - gencode[0] <= 1


def _memory(device: Any) -> int | None:
    found: int | None = (device.memory_stats() or {}).get("bytes_limit")
    return found


def _article(name: str) -> str:
    return f"{'an' if name.startswith('N') else 'a'} {name}"
