"""The facts about what this machine has to train on: hardware, versions, who holds the TPU. The doctor judges them.

Nothing here imports jax into this process: asking jax for its devices takes the TPU, and no other process gets it
until this one ends. A child asks instead.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any, Literal, cast

from packaging.requirements import Requirement

from tunixhack._util.child_process import end, spawn
from tunixhack._util.installation import installed_version
from tunixhack.train.machine.versions import DECISIVE

ROOT = Path("/")
LOCKFILE = Path("tmp/libtpu_lockfile")
"""What libtpu locks while a process has the TPU; it stays behind, and one that another user left bars the TPU."""
PATIENCE = 300.0
"""Seconds that a child may take, a minute or so on a machine that reads its packages for the first time."""

_TPU_CHIPS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}
"""PCI ids of Google's TPUs, by which jax tells one as well (`jax._src.hardware_utils`)."""
_TPU_VARIABLES = ("COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE", "TPU_NAME")
MEMORY_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"
"""The environment variable for the share of a GPU's memory that jax takes at its start; 0.75 unless it is set."""
_JUDGED = ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", MEMORY_FRACTION, "COLAB_RELEASE_TAG")


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
        return "a TPU" if self.platform == "tpu" else "an NVIDIA GPU"


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
    """The variables that are judged, and no others: they are shown."""


def gather(*, root: Path = ROOT, jax: ProbeResult | None = None) -> Facts:
    """Look at everything, which takes some seconds.

    Args:
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
        versions={name: installed_version(name) for name in DECISIVE},
        plugins=_plugins(),
        holders=find_holders(root),
        lockfile=(root / LOCKFILE).exists(),
        environment={name: os.environ[name] for name in _JUDGED if name in os.environ},
    )


def find_accelerators(root: Path, environ: Mapping[str, str]) -> tuple[Accelerator, ...]:
    """Find the accelerators of this machine without asking jax."""
    found = []
    chips = sum(
        _text(device).strip() in _TPU_CHIPS and _text(device.with_name("vendor")).strip() == "0x1ae0"
        for device in (root / "sys/bus/pci/devices").glob("*/device")
    )
    # virtual machines use vfio for other devices as well
    files = _device_files(root, "dev/accel[0-9]*") or (_device_files(root, "dev/vfio/[0-9]*") if chips else "")
    variable = next((name for name in _TPU_VARIABLES if environ.get(name)), None)
    if files or chips:
        found.append(Accelerator("tpu", files or f"{chips} chips on the PCI bus"))
    elif variable:
        found.append(Accelerator("tpu", variable, here=False))
    files = _device_files(root, "dev/nvidia[0-9]*")
    if not files and all((root / name).exists() for name in ("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1")):
        files = "/dev/dxg"  # WSL2, where Windows' driver stands behind one device for all
    if files:
        driver = re.search(r"\b(\d{3})\.\d+", _text(root / "proc/driver/nvidia/version"))
        found.append(Accelerator("cuda", files, driver=int(driver[1]) if driver else None))
    return tuple(found)


def tpu_is_here(root: Path = ROOT) -> bool:
    """Tell whether the chips of a TPU are in this machine, without asking jax."""
    return any(one.platform == "tpu" and one.here for one in find_accelerators(root, os.environ))


def count_gpus(root: Path = ROOT) -> int:
    """Count this machine's NVIDIA GPUs by their device files, without asking jax."""
    return len(list(root.glob("dev/nvidia[0-9]*")))


def find_holders(root: Path) -> tuple[Holder, ...]:
    """Find the processes that have a TPU's device file open, as far as this user may look."""
    # psutil's open_files() names regular files alone
    pids = set()
    for link in root.glob("proc/[0-9]*/fd/*"):
        with suppress(OSError):  # it was closed, or is another user's
            if re.fullmatch(r"/dev/(accel|vfio/)\d+", os.readlink(link)):
                pids.add(int(link.parent.parent.name))
    return tuple(
        Holder(pid, _text(root / f"proc/{pid}/cmdline").replace("\0", " ").strip()[:120]) for pid in sorted(pids)
    )


def devices_of(jax: Any) -> tuple[Device, ...]:
    """Ask jax for the devices that it sees, which takes them for this process.

    Those of other processes do not tell their memory; they are taken to have what the first one here has.

    Raises:
        RuntimeError: jax's own, where no device starts.
    """
    try:
        devices, here = jax.devices(), jax.process_index()
    except AssertionError as error:  # in place of its own, where JAX_PLATFORMS names CUDA and there is no GPU
        raise RuntimeError("nothing that JAX_PLATFORMS names is here") from error
    first = next((one for one in devices if one.process_index == here), None)

    def memory(one: Any) -> int | None:
        there = one if one.process_index == here else first
        told = there.memory_stats() or {} if there is not None else {}
        return cast("int | None", told.get("bytes_limit"))

    return tuple(Device(one.platform, one.device_kind, memory(one)) for one in devices)


def probe(question: Literal["tunix", "devices", "trial"], *platforms: str) -> ProbeResult:
    """Let a child of ours try something, and return jax's devices where it found them, or how it failed.

    Args:
        question: see `tunixhack.train.device_probe.answer`.
        platforms: likewise.
    """
    with open(os.devnull, "wb") as nothing:
        child = spawn("tunixhack.train.device_probe", question, *platforms, stderr=nothing)
    assert child.stdout is not None
    try:
        code = child.wait(PATIENCE)
        lines = child.stdout.read().decode().splitlines()
    except subprocess.TimeoutExpired:
        return ProbeResult(None, f"no answer within {PATIENCE:.0f} s")
    finally:
        end(child)
    if not lines:
        return ProbeResult(None, f"ended with signal {-code}" if code < 0 else f"ended with code {code}")
    devices, error = json.loads(lines[-1])
    return ProbeResult(None if devices is None else tuple(Device(*one) for one in devices), error)


def _device_files(root: Path, pattern: str) -> str:
    """Name the first and the last of numbered device files; empty without any."""
    found = sorted((f"/{path.relative_to(root)}" for path in root.glob(pattern)), key=lambda name: (len(name), name))
    return " to ".join(dict.fromkeys(found[:1] + found[-1:]))


def _text(path: Path) -> str:
    """Read a file of the system's; empty where it is missing, or a container may not read it."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _plugins() -> dict[str, str]:
    """Read in the installed jax's own metadata which versions of its plugins it takes."""
    with suppress(PackageNotFoundError):
        needs = [Requirement(line) for line in requires("jax") or []]
        return {one.name: str(one.specifier) for one in needs if re.fullmatch(r"libtpu|jax-cuda\d+-plugin", one.name)}
    return {}
