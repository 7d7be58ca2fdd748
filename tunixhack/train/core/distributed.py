"""Whether this process is one of several that train together, by its environment, and their meeting.

================= ====================================================================================================
by hand           ``JAX_COORDINATOR_ADDRESS``, ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID``. jax reads the first of
                  these by itself and leaves the others to the program; Kubeflow's trainer, for one, sets all three
Slurm             a task of a step (``srun``) of several: ``SLURM_STEP_NODELIST``, ``SLURM_STEP_NUM_TASKS``,
                  ``SLURM_PROCID``. A batch script outside of ``srun`` is none, whatever the job's number of tasks
a TPU pod         chips, and several workers in ``TPU_WORKER_HOSTNAMES`` (GKE) or the machine's metadata (Compute
                  Engine)
Ray Train, others whoever called ``jax.distributed.initialize`` before, as Ray's JaxTrainer does, has decided
================= ====================================================================================================

Anything else is one process, in which nothing is different.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import jax

from tunixhack.errors import UserError
from tunixhack.train.core.last_word import last_word

TIMEOUT = 300
"""Seconds that the processes have to find one another."""
HEARTBEAT = 60
"""Seconds without a sign of life after which jax takes a process for dead, and ends all."""
_GRACE = 60
"""Seconds that jax waits longer than we do: where its own time is up it aborts the process, without a sentence."""
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "SLURM_STEP_NODELIST")
"""Without these, a process trains alone wherever it is started: they say that there are others, but for a TPU's."""
_EXPLICIT = VARIABLES[:3]
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID")
_METADATA = "/computeMetadata/v1/instance/attributes/worker-network-endpoints"


@dataclass(frozen=True)
class Cluster:
    """How processes find one another."""

    source: str
    """What says so, in words."""
    address: str | None = None
    """Of process 0, ``host:port``; None for jax to find out."""
    count: int | None = None
    index: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """More for ``jax.distributed.initialize``."""


def meet(say: Callable[[str], None], *, cpu: bool = False, tpu: bool = False) -> None:
    """Meet the other processes, where the environment says that there are any; before jax looks at its devices.

    Args:
        say: is told in a sentence.
        cpu: an accelerator is not to be used.
        tpu: the chips of a TPU are here.

    Raises:
        UserError: the environment contradicts itself, jax has looked at its devices already, or process 0 cannot be
            reached.
    """
    if jax.distributed.is_initialized():
        return
    found = find_cluster(os.environ, tpu=tpu and not cpu)
    if found is None:
        return
    say(f"one of several processes, by {found.source}: looking for process 0 for up to {TIMEOUT} s")
    if found.address is not None and found.index:
        _wait_for(found.address)
    _initialize(found)


def find_cluster(environ: Mapping[str, str], *, tpu: bool = False) -> Cluster | None:
    """Find out whether there are several processes; None for one alone.

    Args:
        environ: the environment's variables.
        tpu: whether the chips of a TPU are here and are to be used.

    Raises:
        UserError: a variable is missing beside the others, or has no such value.

    >>> find_cluster({}) is None
    True
    >>> told = {"JAX_COORDINATOR_ADDRESS": "a:1234", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"}
    >>> found = find_cluster(told)
    >>> found.address, found.count, found.index
    ('a:1234', 2, 1)
    """
    if any(environ.get(name) for name in _EXPLICIT[1:]):
        return _by_hand(environ)
    slurm = _of_slurm(environ)
    if slurm is not None:
        return slurm
    if tpu:
        return _of_pod(environ)
    if environ.get(_EXPLICIT[0]):
        return _by_hand(environ)
    return None


def _by_hand(environ: Mapping[str, str]) -> Cluster | None:
    missing = [name for name in _EXPLICIT if not environ.get(name)]
    if missing:
        given = [name for name in _EXPLICIT if environ.get(name)]
        raise UserError(
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} set and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not: set all three for a training of several processes, or none"
        )
    address, count, index = environ[_EXPLICIT[0]], _number(environ, _EXPLICIT[1]), _number(environ, _EXPLICIT[2])
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"JAX_COORDINATOR_ADDRESS is {address!r}: it must be HOST:PORT of process 0, as in host1:12345")
    if not 0 <= index < count:
        raise UserError(
            f"JAX_PROCESS_ID is {index} and JAX_NUM_PROCESSES is {count}: number the processes from 0 to {count - 1}"
        )
    options = {"cluster_detection_method": "deactivate"}
    return Cluster("JAX_COORDINATOR_ADDRESS", address, count, index, options) if count > 1 else None


def _of_slurm(environ: Mapping[str, str]) -> Cluster | None:
    if not all(environ.get(name) for name in _SLURM):
        return None
    name = "SLURM_STEP_NUM_TASKS" if environ.get("SLURM_STEP_NUM_TASKS") else "SLURM_NTASKS"
    count = _number(environ, name) if environ.get(name) else 1
    if count < 2:
        return None
    nodes = environ.get("SLURM_STEP_NUM_NODES", "")
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    gpus = len(visible.split(",")) if visible else 0
    options: dict[str, Any] = {}
    # jax gives a task the GPU of its number on its node. That is wrong for the only task of a node, which would have
    # one of its GPUs, and where Slurm lets a task see no GPU but its own.
    if gpus and (nodes == str(count) or gpus == 1):
        options["local_device_ids"] = list(range(gpus))
    step = f"{environ['SLURM_JOB_ID']}.{environ.get('SLURM_STEP_ID', '?')}"
    return Cluster(f"Slurm's step {step}", None, count, _number(environ, "SLURM_PROCID"), options)


def _of_pod(environ: Mapping[str, str]) -> Cluster | None:
    names = environ.get("TPU_PROCESS_ADDRESSES") or environ.get("TPU_WORKER_HOSTNAMES") or ""
    if len(names.split(",")) > 1:
        return Cluster("TPU_WORKER_HOSTNAMES")
    if environ.get("MEGASCALE_COORDINATOR_ADDRESS"):
        return Cluster("MEGASCALE_COORDINATOR_ADDRESS")
    if names or environ.get("TPU_SKIP_MDS_QUERY"):
        return None
    host = environ.get("GCE_METADATA_IP", "metadata.google.internal")
    request = urllib.request.Request(f"http://{host}{_METADATA}", headers={"Metadata-Flavor": "Google"})
    with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(request, timeout=5) as answer:
        if len(answer.read().decode().split(",")) > 1:
            return Cluster("the metadata of this TPU's machine")
    return None


def _number(environ: Mapping[str, str], name: str) -> int:
    try:
        return int(environ[name])
    except ValueError as error:
        raise UserError(f"{name} is {environ[name]!r}, which is no number: see who sets it") from error


def _wait_for(address: str) -> None:
    """Wait until somebody listens at process 0's address: jax would abort this process where nobody does."""
    host, _, port = address.rpartition(":")
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
                return
        except OSError as error:
            if time.monotonic() >= end:
                raise UserError(_unreachable(address, error.strerror or str(error))) from error
        time.sleep(min(1.0, TIMEOUT / 10))


def _unreachable(address: str, why: str) -> str:
    return (
        f"process 0 was not reached at {address} within {TIMEOUT} seconds ({why}): start the same command in all "
        "processes, see that JAX_COORDINATOR_ADDRESS names the host of process 0, and that no firewall is between them"
    )


def _initialize(found: Cluster) -> None:
    """Let jax meet the other processes, in a thread: in its own call no signal is heard, nor the end of our time."""
    place = found.address or "the address that jax found"
    failed: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(
                found.address,
                found.count,
                found.index,
                initialization_timeout=TIMEOUT + _GRACE,
                heartbeat_timeout_seconds=HEARTBEAT,
                **found.options,
            )
        except (RuntimeError, ValueError) as error:  # jax.errors.JaxRuntimeError is a RuntimeError
            failed.append(error)

    # that service would hear SIGTERM in our place, and have Orbax save a step while the training goes on
    jax.config.update("jax_enable_preemption_service", False)
    with last_word(
        "this process ended while the processes met: it was killed, or jax ended it, which its lines above say. See "
        "that each of them has a number of its own (JAX_PROCESS_ID, or what the launcher sets), and that nothing else "
        "uses the address of process 0"
    ):
        meeting = threading.Thread(target=initialize, name="meeting", daemon=True)
        meeting.start()
        meeting.join(TIMEOUT)
    if meeting.is_alive():
        missing = f"not all {found.count} processes" if found.count else "not all processes"
        raise UserError(
            f"{missing} met at {place} within {TIMEOUT} seconds: start the same command in all of them, and see that "
            "no firewall is between their hosts"
        )
    for error in failed:
        if "before any JAX calls" in str(error):
            raise UserError(
                "jax has looked at its devices already, and cannot meet other processes any more: train before "
                "anything else is computed, or call jax.distributed.initialize() first"
            ) from error
        why = str(error).strip().partition("\n")[0]
        raise UserError(
            f"process {found.index} cannot meet the others at {place} ({why}): see that the port is free, and that "
            "the address is that of process 0's host"
        ) from error
