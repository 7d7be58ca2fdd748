"""The facts about what this machine has to train on: hardware, versions, who holds the TPU. The doctor judges them.

Nothing here imports jax into this process: asking jax for its devices takes the TPU, and no other process gets it
until this one ends. A child asks instead.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement

from tunixhack._util.child_process import end, spawn

ROOT = Path("/")
LOCKFILE = Path("tmp/libtpu_lockfile")
"""What libtpu locks while a process has the TPU; it stays behind, and one that another user left bars the TPU."""
PATIENCE = 300.0
"""Seconds that a child may take, a minute or so on a machine that reads its packages for the first time."""

_TPU_CHIPS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}
"""PCI ids of Google's TPUs, by which jax tells one as well (`jax._src.hardware_utils`)."""
_TPU_VARIABLES = ("COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE", "TPU_NAME")
_EXCEPTION = re.compile(r"[\w.]+: .+|[\w.]+(Error|Exception|Interrupt)")


@dataclass(frozen=True)
class Accelerator:
    """Hardware that training could use."""

    platform: Literal["tpu", "cuda"]
    """As jax names it."""
    source: str
    """The device files, or else the environment variable, that it is known by."""
    here: bool = True
    """False where it is known by an environment variable alone."""
    driver: int | None = None
    """The major version of NVIDIA's driver, where that can be read."""

    @property
    def name(self) -> str:
        """The name that a user knows it by."""
        return "TPU" if self.platform == "tpu" else "NVIDIA GPU"


@dataclass(frozen=True)
class Holder:
    """A process that has a TPU's device file open."""

    pid: int
    command: str


@dataclass(frozen=True)
class Device:
    """A device as jax sees it."""

    platform: str
    kind: str
    memory: int | None
    """Bytes; None where jax does not know, as on a CPU."""


@dataclass(frozen=True)
class ProbeResult:
    """The result of what a child process tried."""

    devices: tuple[Device, ...] | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts that the doctor judges."""

    accelerators: tuple[Accelerator, ...] = ()
    devices: tuple[Device, ...] | None = None
    """What jax sees; None where it could not be asked."""
    jax_error: str | None = None
    """In jax's own words, why it sees no device, or not the accelerator that is here."""
    tunix_error: str | None = None
    """In Python's words, why Tunix, or the trainer that uses it, cannot be imported."""
    trial: ProbeResult | None = None
    """What came of a step of training, where one was made."""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    """Distribution to installed version; None where it is not installed."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """What the installed jax asks of its plugins: distribution to versions, such as ``==0.0.42.*``."""
    holders: tuple[Holder, ...] = ()
    lockfile: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def gather(names: Iterable[str], *, root: Path = ROOT, jax: ProbeResult | None = None) -> Facts:
    """Look at everything, which takes some seconds.

    Args:
        names: the distributions whose versions matter.
        root: where ``dev``, ``proc``, ``sys`` and ``tmp`` are.
        jax: what is known of jax's devices already; then no child is asked, and Tunix is not looked at.
    """
    accelerators = find_accelerators(root, os.environ)
    tunix_error = None
    if jax is None:
        with ThreadPoolExecutor() as children:
            tunix = children.submit(probe, "tunix")
            devices = children.submit(probe, "devices", *(one.platform for one in accelerators if one.here))
        jax, tunix_error = devices.result(), tunix.result().error
    return Facts(
        accelerators=accelerators,
        devices=jax.devices,
        jax_error=jax.error,
        tunix_error=tunix_error,
        versions={name: _version(name) for name in names},
        plugins=_plugins(),
        holders=find_holders(root),
        lockfile=(root / LOCKFILE).exists(),
        environment=dict(os.environ),
    )


def find_accelerators(root: Path, environ: Mapping[str, str]) -> tuple[Accelerator, ...]:
    """Find the accelerators of this machine without asking jax."""
    found = []
    chips = sum(
        _text(device).strip() in _TPU_CHIPS and _text(device.with_name("vendor")).strip() == "0x1ae0"
        for device in (root / "sys/bus/pci/devices").glob("*/device")
    )
    nodes = _nodes(root, "dev/accel") or (_nodes(root, "dev/vfio/") if chips else "")
    variable = next((name for name in _TPU_VARIABLES if environ.get(name)), None)
    if nodes or chips:
        found.append(Accelerator("tpu", nodes or f"{chips} chips on the PCI bus"))
    elif variable:
        found.append(Accelerator("tpu", variable, here=False))
    nodes = _nodes(root, "dev/nvidia")
    if not nodes and all((root / name).exists() for name in ("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1")):
        nodes = "/dev/dxg"  # WSL2, where Windows' driver stands behind one device for all
    if nodes:
        driver = re.search(r"\b(\d{3})\.\d+", _text(root / "proc/driver/nvidia/version"))
        found.append(Accelerator("cuda", nodes, driver=int(driver[1]) if driver else None))
    return tuple(found)


def find_holders(root: Path) -> tuple[Holder, ...]:
    """Find the processes that have a TPU's device file open, as far as this user may look."""
    holders = []
    for process in sorted((root / "proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):  # it ended, or is another user's
            if any(re.fullmatch(r"/dev/(accel|vfio/)\d+", os.readlink(link)) for link in (process / "fd").iterdir()):
                command = _text(process / "cmdline").replace("\0", " ").strip()
                holders.append(Holder(int(process.name), command[:120]))
    return tuple(holders)


def probe(question: Literal["tunix", "devices", "trial"], *platforms: str) -> ProbeResult:
    """Let a child of ours try something, and return jax's devices where it found them, or how it failed.

    Args:
        question: see `tunixhack.train.device_probe.main`.
        platforms: likewise.
    """
    with tempfile.TemporaryFile() as errors:
        child = spawn("tunixhack.train.device_probe", question, *platforms, stderr=errors)
        assert child.stdout is not None
        late = threading.Timer(PATIENCE, child.kill)
        late.start()
        try:
            output, code = child.stdout.read(), child.wait()
        finally:
            in_time = late.is_alive()
            late.cancel()
            end(child)
        errors.seek(0)
        error = last_raised(errors.read().decode(errors="replace")) if code else None
    if not in_time:
        return ProbeResult(None, f"no answer within {PATIENCE:.0f} s")
    if code and not error:
        error = f"ended with signal {-code}" if code < 0 else f"ended with code {code}"
    lines = output.decode().splitlines()
    return ProbeResult(tuple(Device(*one) for one in json.loads(lines[-1])) if lines else None, error)


def last_raised(output: str) -> str | None:
    r"""Find the exception that ended a Python process in its standard error.

    >>> last_raised("Traceback …\n  File …\nImportError: no name\n  found in x\nbye")
    'ImportError: no name'
    """
    raised = [line for line in output.splitlines() if _EXCEPTION.fullmatch(line)]
    return raised[-1][:400] if raised else None


def _nodes(root: Path, stem: str) -> str:
    """Name the first and the last of numbered device files; empty without any."""
    numbers = sorted(
        int(number) for path in root.glob(f"{stem}*") if (number := str(path.relative_to(root))[len(stem) :]).isdigit()
    )
    ends = [f"/{stem}{number}" for number in dict.fromkeys((*numbers[:1], *numbers[-1:]))]
    return " to ".join(ends)


def _text(path: Path) -> str:
    """Read a file of the system's; empty where it is missing, or a container may not read it."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plugins() -> dict[str, str]:
    """Read in the installed jax's own metadata which versions of its plugins it takes."""
    plugins = {}
    with suppress(PackageNotFoundError):
        for line in requires("jax") or []:
            with suppress(InvalidRequirement):  # of a later pip: the versions that were tested have none
                need = Requirement(line)
                if re.fullmatch(r"libtpu|jax-cuda\d+-plugin", need.name):
                    plugins[need.name] = str(need.specifier)
    return plugins
