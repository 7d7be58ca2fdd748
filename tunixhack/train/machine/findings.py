"""The findings from the facts about a machine: each thing that is not as it should be, with what mends it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from tunixhack._util.installation import install_command, pip_install
from tunixhack.train.machine.facts import LOCKFILE, Accelerator, Facts

TESTED: Mapping[str, str] = {
    "google-tunix": "==0.1.7",
    "jax": ">=0.10,<0.12",
    "flax": "==0.12.*",
    "qwix": "==0.1.8",
    "grain": "==0.2.*",
    "optax": "==0.2.*",
    "orbax-checkpoint": "==0.12.*",
}
"""The versions of the extra `[train]`, which were tested together."""
DRIVERS = {"jax-cuda12-plugin": ("CUDA 12", 525), "jax-cuda13-plugin": ("CUDA 13", 580)}
"""What each plugin brings, and the oldest driver of NVIDIA that it runs on."""
BESIDE = ("jaxlib", "libtpu", *DRIVERS, "perfetto", "protobuf", "sentencepiece", "wandb")
"""What else decides whether these work."""
MEMORY_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"
"""The environment variable for the share of a GPU's memory that jax takes at its start; 0.75 unless it is set."""

_OLD_PROTOBUF = re.compile(r".*VersionError: .*/perfetto/\S*: gencode (\S+) runtime (\S+)\. ")
_RESTART = "  # in a notebook, restart the kernel then"
_REINSTALL = "--upgrade --force-reinstall"


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


def judge(facts: Facts) -> list[Finding]:
    """Find what is not as it should be; the first is what to mend first."""
    return [*_versions(facts), *judge_devices(facts), *_notes(facts)]


def _versions(facts: Facts) -> Iterator[Finding]:
    """Find what was not tested together, and what is known to break."""
    extra = next((one.platform for one in facts.accelerators if one.here), "train")
    missing = [name for name in TESTED if facts.versions.get(name) is None]
    if missing:
        yield Finding(f"{', '.join(missing)} not installed", f"{install_command(extra)}{_RESTART}")
        return
    failed = facts.tunix_error or (facts.trial and facts.trial.error)
    if older := _OLD_PROTOBUF.match(facts.tunix_error or ""):
        failed = None
        yield Finding(
            f"perfetto {facts.versions.get('perfetto')} needs protobuf {older[1]} or later, and {older[2]} is "
            "installed: Tunix cannot be imported",
            f"{pip_install('perfetto<0.50')}{_RESTART}",
        )
    clashing = clashing_versions(facts)
    versions = ", ".join(f"{name} is {facts.versions[name]}, tested {spec}" for name, spec in clashing.items())
    mend = pip_install(*(f"{name}{spec}" for name, spec in clashing.items()))
    sentence = f"versions that were not tested together: {versions}"
    if clashing and failed:
        yield Finding(f"{sentence}, and with them training fails ({failed})", f"{mend}{_RESTART}")
    elif clashing:
        works = "; a step of training on the CPU works with them" if facts.trial else ""
        yield Finding(f"{sentence}{works}", f"{mend}  # only if a training fails", grave=False)
    elif failed:
        mend = install_command(extra, options=_REINSTALL)
        yield Finding(f"Tunix cannot be imported ({failed})", f"{mend}{_RESTART}")


def clashing_versions(facts: Facts) -> dict[str, str]:
    """Name what is installed in a version that was not tested with the others: distribution to tested versions."""
    return {
        name: spec
        for name, spec in {**TESTED, **facts.plugins}.items()
        if facts.versions.get(name) and not _fits(facts, name, spec)
    }


def judge_devices(facts: Facts) -> Iterator[Finding]:
    """Find why jax does not see what is here."""
    seen = {"cuda" if one.platform == "gpu" else one.platform for one in facts.devices or ()}
    for one in facts.accelerators:
        if one.platform not in seen:
            article = "an" if one.name.startswith("N") else "a"
            what = f"{article} {one.name} is here ({one.source})" if one.here else f"{one.source} tells of a TPU"
            reason, mend = next(_reasons(one, facts))
            sentence = f"{what}, but jax sees {'only the CPU' if facts.devices else 'no device'}{reason}"
            # where jax sees another accelerator, a training has one
            yield Finding(sentence, mend, grave=not seen - {"cpu"})
    if facts.devices is None and not any(one.here for one in facts.accelerators) and facts.versions.get("jax"):
        blamed = facts.environment.get("JAX_PLATFORMS")
        mend = "unset JAX_PLATFORMS" if blamed else install_command("train", options="--upgrade")
        yield Finding(f"jax has no device at all ({facts.jax_error})", f"{mend}{_RESTART}")
    elif not facts.accelerators and seen == {"cpu"}:
        yield Finding("no accelerator is here: a training on the CPU is for trying out", grave=False)


def _reasons(one: Accelerator, facts: Facts) -> Iterator[tuple[str, str]]:
    """Name the known reasons why jax does not see an accelerator, each with what mends it; the first one counts."""
    platforms = facts.environment.get("JAX_PLATFORMS", "")
    if platforms and not {one.platform, "tpu" if one.platform == "tpu" else "gpu"} & set(platforms.split(",")):
        yield f", because JAX_PLATFORMS is {platforms}", f"unset JAX_PLATFORMS{_RESTART}"
    if not one.here:
        yield (
            ", and there is no device file: it is one of the old TPUs behind the network, which jax no longer reaches, "
            "or the variable is left over",
            "choose a runtime whose TPU is in the machine (Colab: v5e-1 or v6e-1; Kaggle: TPU VM v5e-8), or unset "
            f"{one.source}",
        )
    if one.platform == "cuda" and facts.environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        yield ", because CUDA_VISIBLE_DEVICES hides it", f"unset CUDA_VISIBLE_DEVICES{_RESTART}"
    plugins = ["libtpu"] if one.platform == "tpu" else list(DRIVERS)
    installed = [name for name in plugins if facts.versions.get(name)]
    if not installed:
        yield f", because {' or '.join(plugins)} is not installed", f"{install_command(one.platform)}{_RESTART}"
    for name in installed:
        wanted = facts.plugins.get(name)
        if wanted and not _fits(facts, name, wanted):
            jax = facts.versions.get("jax")
            yield (
                f", whose version {jax} needs {name}{wanted}, and {facts.versions[name]} is installed",
                f"{pip_install(f'{name}{wanted}')}{_RESTART}",
            )
    for holder in facts.holders if one.platform == "tpu" else ():
        if holder.pid != os.getpid():
            yield (
                f", because process {holder.pid} ({holder.command}) holds it",
                f"kill {holder.pid}  # or, if it is a notebook, restart its kernel",
            )
    if one.platform == "tpu" and facts.lockfile and not facts.holders:
        yield (
            f", and /{LOCKFILE} is left from a process that is gone or another user's",
            f"rm -f /{LOCKFILE}  # with sudo, if it is another user's",
        )
    needs = [DRIVERS[name] for name in installed if name in DRIVERS]
    if one.driver is not None and needs and all(one.driver < oldest for _, oldest in needs):
        oldest = " or ".join(f"{cuda} needs {driver}" for cuda, driver in needs)
        yield (
            f", because its driver is version {one.driver}, and {oldest}",
            "update NVIDIA's driver to its latest version",
        )
    yield (
        f" ({facts.jax_error or 'it gives no reason'})",
        f"{install_command(one.platform, options=_REINSTALL)}{_RESTART}",
    )


def _notes(facts: Facts) -> Iterator[Finding]:
    first = next(iter(facts.devices or ()), None)
    if first is not None and first.platform == "gpu" and first.memory:
        yield Finding(
            f"a training has {first.memory / 1e9:.1f} GB on each GPU, {memory_share('gpu', facts.environment)}",
            f"export {MEMORY_FRACTION}=0.9  # before jax starts, for more; other programs on the GPU have the rest",
            grave=False,
        )
    if _fits(facts, "sentencepiece", ">=0.2.2"):
        yield Finding(
            f"sentencepiece {facts.versions['sentencepiece']} has no SetEncodeExtraOptions, which Tunix's own "
            "tokenizer calls; ours does not use it",
            f"{pip_install('sentencepiece<0.2.2')}  # only if your own code makes Tunix's tokenizer",
            grave=False,
        )
    if facts.versions.get("wandb") and "COLAB_RELEASE_TAG" in facts.environment:
        yield Finding(
            "wandb is installed, as Colab has it, and Tunix's own trainer logs to it unasked; ours does not",
            "pip uninstall -y wandb  # only if your own code makes Tunix's trainer",
            grave=False,
        )


def memory_share(platform: str, environ: Mapping[str, str]) -> str:
    """Say what share of a device's memory jax has; nothing where it has all of it.

    Args:
        platform: as jax names it; of a ``gpu`` it takes a part at its start, and never more.
        environ: the environment that jax was started in.

    >>> memory_share("gpu", {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.9"})
    'by XLA_PYTHON_CLIENT_MEM_FRACTION, which is 0.9'
    >>> memory_share("tpu", {})
    ''
    """
    if platform != "gpu":
        return ""
    if environ.get(MEMORY_FRACTION):
        return f"by {MEMORY_FRACTION}, which is {environ[MEMORY_FRACTION]}"
    return f"three quarters of the GPU's memory, which is jax's share unless {MEMORY_FRACTION} says otherwise"


def _fits(facts: Facts, name: str, wanted: str) -> bool:
    installed = facts.versions.get(name)
    return installed is not None and SpecifierSet(wanted).contains(installed, prereleases=True)
