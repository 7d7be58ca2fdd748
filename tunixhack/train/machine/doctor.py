"""The problems that keep a machine from training, each with the one command that mends it.

Versions are the usual cause: Tunix's dependencies break each other without pip finding anything wrong. Those that
were not tested together are tried, by a step of training on the CPU, and are a problem where that fails. The other
cause is an accelerator that jax does not see: it trains on the CPU then, a thousand times slower, and says nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tunixhack.errors import UserError
from tunixhack.train.machine.facts import ROOT, Device, Facts, ProbeResult, devices_of, gather, probe
from tunixhack.train.machine.findings import Finding, clashing_versions, judge, judge_devices
from tunixhack.train.optional_imports import import_optional

_RESTART = "in a notebook, restart the kernel after mending"


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
        return [*lines, "", "ready to train" if self.well else f"mend the first problem, then ask again; {_RESTART}"]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"well": self.well, **asdict(self)}


def examine(root: Path = ROOT) -> Report:
    """Look at this machine, which takes some seconds, and judge.

    Args:
        root: where ``dev``, ``proc``, ``sys`` and ``tmp`` are.
    """
    facts = gather(root=root)
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
    try:
        seen = ProbeResult(devices_of(jax), None)
    except RuntimeError as raised:  # jax's word for a backend that does not start
        seen = ProbeResult(None, str(raised))
    devices = seen.devices or ()
    accelerated = any(one.platform != "cpu" for one in devices)
    if cpu and accelerated:
        raise UserError(
            f"this process has {describe(devices)} already, and cannot change to the CPU: restart it (in a notebook, "
            "the kernel), and ask for the CPU first"
        )
    if not devices or not (cpu or accelerated):
        for one in judge_devices(gather(root=root, jax=seen)):
            if one.grave:
                raise UserError(f"{one.line()} ({_RESTART}; or insist on the CPU: --cpu, in Python cpu=True)")
    return describe(devices)


def describe(devices: tuple[Device, ...]) -> str:
    """Say in words what jax has.

    >>> describe((Device("tpu", "TPU v5 lite", 16 * 10**9),) * 8)
    '8 × TPU v5 lite, 16.0 GB each'
    >>> describe((Device("cpu", "cpu", None),))
    'the CPU'
    """
    if all(one.platform == "cpu" for one in devices):
        return "the CPU" if len(devices) < 2 else f"the CPU as {len(devices)} devices"
    first, many = devices[0], len(devices) > 1
    told = f"{len(devices)} × {first.kind}" if many else first.kind
    if not first.memory:
        return told
    return (
        f"{told}, {first.memory / 1e9:.1f} GB{' each' if many else ''}{' for jax' if first.platform == 'gpu' else ''}"
    )
