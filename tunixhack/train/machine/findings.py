"""The findings from the facts about a machine: each thing that is not as it should be, with what mends it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from tunixhack._util.installation import install_command, pip_install
from tunixhack.train.machine.facts import LOCKFILE, MEMORY_FRACTION, Accelerator, Facts
from tunixhack.train.machine.versions import DRIVERS, TESTED

_OLD_PROTOBUF = re.compile(r".*VersionError: .*/perfetto/\S*: gencode (\S+) runtime (\S+)\. ")
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
    if missing := [name for name in TESTED if not facts.versions.get(name)]:
        yield Finding(f"{', '.join(missing)} not installed", install_command(extra))
        return
    error = facts.tunix_error or (facts.trial and facts.trial.error)
    if older := _OLD_PROTOBUF.match(facts.tunix_error or ""):
        error = None
        yield Finding(
            f"perfetto {facts.versions.get('perfetto')} needs protobuf {older[1]} or later, and {older[2]} is "
            "installed: Tunix cannot be imported",
            pip_install("perfetto<0.50"),
        )
    if clashing := clashing_versions(facts):
        versions = ", ".join(f"{name} is {facts.versions[name]}, tested {spec}" for name, spec in clashing.items())
        outcome = "; a step of training on the CPU works with them" if facts.trial else ""
        outcome = f", and with them training fails ({error})" if error else outcome
        mend = pip_install(*(f"{name}{spec}" for name, spec in clashing.items()))
        yield Finding(
            f"versions that were not tested together: {versions}{outcome}",
            mend if error else f"{mend}  # only if a training fails",
            grave=bool(error),
        )
    elif error:
        yield Finding(f"Tunix cannot be imported ({error})", install_command(extra, options=_REINSTALL))


def clashing_versions(facts: Facts) -> dict[str, str]:
    """Name what is installed in a version that was not tested with the others: distribution to tested versions."""
    wanted = {**TESTED, **facts.plugins}
    return {name: spec for name, spec in wanted.items() if _installed_outside(facts, name, spec)}


def judge_devices(facts: Facts) -> Iterator[Finding]:
    """Find why jax does not see what is here."""
    seen = {"cuda" if one.platform == "gpu" else one.platform for one in facts.devices or ()}
    for one in facts.accelerators:
        if one.platform not in seen:
            what = f"{one.name} is here ({one.source})" if one.here else f"{one.source} tells of a TPU"
            reason, mend = _reason(one, facts)
            sentence = f"{what}, but jax sees {'only the CPU' if facts.devices else 'no device'}{reason}"
            # where jax sees another accelerator, a training has one
            yield Finding(sentence, mend, grave=not seen - {"cpu"})
    if facts.devices is None and not any(one.here for one in facts.accelerators) and facts.versions.get("jax"):
        blamed = facts.environment.get("JAX_PLATFORMS")
        mend = "unset JAX_PLATFORMS" if blamed else install_command("train", options="--upgrade")
        yield Finding(f"jax has no device at all ({facts.jax_error})", mend)
    elif not facts.accelerators and seen == {"cpu"}:
        yield Finding("no accelerator is here: a training on the CPU is for trying out", grave=False)


def _reason(one: Accelerator, facts: Facts) -> tuple[str, str]:
    """Return the first known reason why jax does not see an accelerator, and what mends it."""
    tpu = one.platform == "tpu"
    platforms = facts.environment.get("JAX_PLATFORMS", "")
    if platforms and not {one.platform, "tpu" if tpu else "gpu"} & set(platforms.split(",")):
        return f", because JAX_PLATFORMS is {platforms}", "unset JAX_PLATFORMS"
    if not one.here:
        return (
            ", and there is no device file: it is one of the old TPUs behind the network, which jax no longer reaches, "
            "or the variable is left over",
            "choose a runtime whose TPU is in the machine (Colab: v5e-1 or v6e-1; Kaggle: TPU VM v5e-8), or unset "
            f"{one.source}",
        )
    if not tpu and facts.environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return ", because CUDA_VISIBLE_DEVICES hides it", "unset CUDA_VISIBLE_DEVICES"
    plugins = ["libtpu"] if tpu else list(DRIVERS)
    installed = [name for name in plugins if facts.versions.get(name)]
    if not installed:
        return f", because {' or '.join(plugins)} is not installed", install_command(one.platform)
    for name in installed:
        needed = f"{name}{facts.plugins.get(name, '')}"
        if name in clashing_versions(facts):
            jax, found = facts.versions.get("jax"), facts.versions[name]
            return f", whose version {jax} needs {needed}, and {found} is installed", pip_install(needed)
    other = next((holder for holder in facts.holders if holder.pid != os.getpid()), None)
    if tpu and other:
        reason = f", because process {other.pid} ({other.command}) holds it"
        return reason, f"kill {other.pid}  # or, if it is a notebook, restart its kernel"
    if tpu and facts.lockfile and not facts.holders:
        return (
            f", and /{LOCKFILE} is left from a process that is gone or another user's",
            f"rm -f /{LOCKFILE}  # with sudo, if it is another user's",
        )
    needs = [DRIVERS[name] for name in installed if name in DRIVERS]
    if one.driver is not None and needs and all(one.driver < oldest for _, oldest in needs):
        oldest = " or ".join(f"{cuda} needs {driver}" for cuda, driver in needs)
        reason = f", because its driver is version {one.driver}, and {oldest}"
        return reason, "update NVIDIA's driver to its latest version"
    return f" ({facts.jax_error or 'it gives no reason'})", install_command(one.platform, options=_REINSTALL)


def _notes(facts: Facts) -> Iterator[Finding]:
    """Find what keeps no training from starting."""
    first = next(iter(facts.devices or ()), None)
    if first is not None and first.platform == "gpu" and first.memory:
        yield Finding(
            f"a training has {first.memory / 1e9:.1f} GB on each GPU, {gpu_memory_share(facts.environment)}",
            f"export {MEMORY_FRACTION}=0.9  # before jax starts, for more; other programs on the GPU have the rest",
            grave=False,
        )
    if _installed_outside(facts, "sentencepiece", "<0.2.2"):
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


def gpu_memory_share(environ: Mapping[str, str]) -> str:
    """Say what share of a GPU's memory jax has: it takes a part at its start, and never more.

    >>> gpu_memory_share({"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.9"})
    'by XLA_PYTHON_CLIENT_MEM_FRACTION, which is 0.9'
    """
    if environ.get(MEMORY_FRACTION):
        return f"by {MEMORY_FRACTION}, which is {environ[MEMORY_FRACTION]}"
    return f"three quarters of the GPU's memory, which is jax's share unless {MEMORY_FRACTION} says otherwise"


def _installed_outside(facts: Facts, name: str, wanted: str) -> bool:
    """Tell whether a package is installed, and in none of the versions wanted."""
    installed = facts.versions.get(name)
    return installed is not None and not SpecifierSet(wanted).contains(installed, prereleases=True)
