"""What the facts about a machine say of it: each thing that is not as it should be, with what mends it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet

from tunixhack.installation import install_command, pip_install
from tunixhack.train.machine import LOCKFILE, MEMORY_FRACTION, Accelerator, Facts, share_of_memory

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
OLDEST_DRIVER = {"jax-cuda12-plugin": ("CUDA 12", 525), "jax-cuda13-plugin": ("CUDA 13", 580)}
"""What each plugin brings, and the oldest driver of NVIDIA that it runs on."""

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
    protobuf = facts.versions.get("protobuf")
    older = facts.tunix_error and facts.gencode and protobuf and not _runs(facts.gencode, protobuf)
    if older and facts.gencode:
        yield Finding(
            f"perfetto {facts.versions.get('perfetto')} needs protobuf {'.'.join(map(str, facts.gencode))} or later, "
            f"and {protobuf} is installed: Tunix cannot be imported",
            f"{pip_install('perfetto<0.50')}{_RESTART}",
        )
    clashing = clashing_versions(facts)
    failed = (None if older else facts.tunix_error) or (facts.trial and facts.trial.error)
    if clashing:
        told = ", ".join(f"{name} is {facts.versions[name]}, tested {spec}" for name, spec in clashing.items())
        sentence = f"versions that were not tested together: {told}"
        mend = pip_install(*(f"{name}{spec}" for name, spec in clashing.items()))
        if failed:
            yield Finding(f"{sentence}, and with them training fails ({failed})", f"{mend}{_RESTART}")
        else:
            works = "; a step of training on the CPU works with them" if facts.trial else ""
            yield Finding(f"{sentence}{works}", f"{mend}  # only if a training fails", grave=False)
    elif failed:
        yield Finding(
            f"Tunix cannot be imported ({failed})",
            f"{install_command(extra, options='--upgrade --force-reinstall')}{_RESTART}",
        )


def clashing_versions(facts: Facts) -> dict[str, str]:
    """Name what is installed in a version that was not tested with the others: distribution to tested versions."""
    wanted = {**TESTED, **facts.plugins}
    return {
        name: spec
        for name, spec in wanted.items()
        if facts.versions.get(name) and not _fits(facts.versions[name], spec)
    }


def judge_devices(facts: Facts) -> Iterator[Finding]:
    """Find why jax does not see what is here."""
    seen = {one.platform for one in facts.devices or ()}
    for one in facts.accelerators:
        if one.platform == "cuda" and "gpu" in seen:
            continue
        if one.platform not in seen:
            what = f"{_article(one.name)} is here ({one.evidence})"
            if not one.here:
                what = f"{one.evidence} tells of a TPU"
            # where jax sees another accelerator, a training has one
            yield replace(_unseen(one, what, facts), grave=not seen - {"cpu"})
    if facts.devices is None and not any(one.here for one in facts.accelerators) and facts.versions.get("jax"):
        blamed = facts.environment.get("JAX_PLATFORMS")
        mend = "unset JAX_PLATFORMS" if blamed else install_command("train", options="--upgrade")
        yield Finding(f"jax has no device at all ({facts.jax_error})", f"{mend}{_RESTART}")
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
            f"{install_command(one.platform)}{_RESTART}",
        )
    for name in installed:
        wanted = facts.plugins.get(name)
        if wanted and not _fits(facts.versions[name], wanted):
            return Finding(
                f"{but}, whose version {facts.versions.get('jax')} needs {name}{wanted}, and {facts.versions[name]} is "
                "installed",
                f"{pip_install(f'{name}{wanted}')}{_RESTART}",
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
    elif one.driver is not None:
        needs = [OLDEST_DRIVER[name] for name in installed]
        if all(one.driver < oldest for _, oldest in needs):
            told = " or ".join(f"{cuda} needs {oldest}" for cuda, oldest in needs)
            return Finding(
                f"{but}, because its driver is version {one.driver}, and {told}",
                "update NVIDIA's driver to its latest version",
            )
    return Finding(
        f"{but} ({facts.jax_error or 'it tells no reason'})",
        f"{install_command(one.platform, options='--upgrade --force-reinstall')}{_RESTART}",
    )


def _notes(facts: Facts) -> Iterator[Finding]:
    first = next(iter(facts.devices or ()), None)
    if first is not None and first.platform == "gpu" and first.memory:
        share = share_of_memory(first.platform, facts.environment)
        yield Finding(
            f"a training has {first.memory / 1e9:.1f} GB on each GPU, {share}",
            f"export {MEMORY_FRACTION}=0.9  # before jax starts, for more; other programs on the GPU have the rest",
            grave=False,
        )
    if facts.sentencepiece_extra is False:
        yield Finding(
            f"sentencepiece {facts.versions.get('sentencepiece')} has no SetEncodeExtraOptions, which Tunix's own "
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


def _fits(installed: str | None, wanted: str) -> bool:
    return installed is not None and SpecifierSet(wanted).contains(installed, prereleases=True)


def _runs(gencode: tuple[int, int, int], protobuf: str) -> bool:
    """Tell whether protobuf runs what was generated for a version: that one or later, up to the next major one."""
    digits = [int(part) for part in protobuf.split(".")[:3] if part.isdigit()]
    installed = tuple(digits + [0] * (3 - len(digits)))
    return gencode <= installed and installed[0] - gencode[0] <= 1


def _article(name: str) -> str:
    return f"{'an' if name.startswith('N') else 'a'} {name}"
