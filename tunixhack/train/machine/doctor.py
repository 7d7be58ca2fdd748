"""The problems that keep a machine from training, each with the one command that mends it.

Versions are the usual cause: Tunix's dependencies break each other without pip finding anything wrong. Those that
were not tested together are tried, by a step of training on the CPU, and are a problem where that fails. The other
cause is an accelerator that jax does not see: it trains on the CPU then, a thousand times slower, and says nothing.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError
from tunixhack.train.machine.facts import ROOT, Device, Facts, ProbeResult, find_accelerators, gather, probe
from tunixhack.train.machine.findings import (
    BESIDE,
    MEMORY_FRACTION,
    TESTED,
    Finding,
    clashing_versions,
    judge,
    judge_devices,
)
from tunixhack.train.optional_imports import import_optional

_JUDGED = ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", MEMORY_FRACTION)
"""Of the environment's variables, those whose values are shown."""


@dataclass(frozen=True)
class Report:
    """The doctor's report: the facts about a machine, and what was found wrong with it."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """True if a training can start."""
        return not any(one.grave for one in self.findings)

    def as_lines(self) -> list[str]:
        """Return it for a terminal."""
        facts = self.facts
        installed = [f"{name} {number}" for name, number in facts.versions.items() if number]
        hardware = [f"{one.name} ({one.source})" for one in facts.accelerators]
        lines = [
            f"jax sees    {'nothing' if facts.devices is None else describe(facts.devices)}",
            f"hardware    {'; '.join(hardware) or 'no accelerator'}",
            f"held by     {'; '.join(f'{one.pid} {one.command}' for one in facts.holders) or 'no process'}",
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
    if facts.tunix_error is None and clashing_versions(facts):
        facts = replace(facts, trial=probe("trial"))
    return Report(facts, tuple(judge(facts)))


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
    jax = import_optional("jax", "training")
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
        facts = gather([*TESTED, *BESIDE], root=root, jax=ProbeResult(devices, error))
        for one in judge_devices(facts):
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
    return f"{count}{first.kind}{memory}{' for jax' if memory and first.platform == 'gpu' else ''}"


def _memory(device: Any) -> int | None:
    found: int | None = (device.memory_stats() or {}).get("bytes_limit")
    return found
