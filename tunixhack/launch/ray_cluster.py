"""The connection to a Ray cluster, within bounds: what Ray itself waits for minutes for, or ends the process over."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tunixhack.errors import MissingExtra, UserError

AUTO = "auto"
CLIENT = "ray://"
REACH_SECONDS = 10.0
"""Seconds within which the head of a cluster has to take a connection."""
JOIN_SECONDS = 90.0
"""Seconds within which a cluster is joined, which takes two or three."""
LONGEST = 500
"""Characters of what Ray says that are shown: it adds its own tracebacks."""
TOLD = "told: "
TRY = f"""
import logging, sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
except Exception as error:
    print("{TOLD}" + " ".join(str(error).split()), flush=True)
"""
NOT_INSTALLED = "this package is not installed on a machine of the cluster: install it on all of them"


def imported_ray() -> Any:
    """Return the module of Ray.

    Raises:
        MissingExtra: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("ray", "launching on a Ray cluster")
    return importlib.import_module("ray")


def lacks_this_package(error: Exception) -> bool:
    """Tell whether a task failed since this package is not on the machine that it came to."""
    return "No module named 'tunixhack'" in str(error)


@contextmanager
def connected(address: str, log: Path) -> Iterator[Any]:
    """Connect to a cluster while the body runs, which ends what was started on it.

    Args:
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        log: the file for what Ray itself prints, such as why a machine was lost.

    Yields:
        Ray's module.

    Raises:
        UserError: there is no such cluster, it does not answer, or it is of another version of Ray or Python.
    """
    ray = imported_ray()
    check_reachable(os.environ.get("RAY_ADDRESS", AUTO) if address == AUTO else address)
    _try_to_join(address)
    handler = signal.getsignal(signal.SIGTERM)
    with log.open("a", encoding="utf-8", buffering=1) as output, redirect_stdout(output):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:  # after it was joined a moment ago
            raise UserError(_why(address, " ".join(str(error).split())[:LONGEST])) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own in place, which ends without a word
        try:
            yield ray
        finally:
            ray.shutdown()


def check_reachable(address: str) -> None:
    """See that the head of a cluster takes connections.

    Raises:
        UserError: it does not, or the address is none.
    """
    if address == AUTO:
        return  # Ray looks for a cluster of this machine, and knows at once
    try:
        parts = urlsplit(f"//{address.removeprefix(CLIENT)}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise UserError(f"--address {address} is no address of a cluster: give auto, HOST:6379 or ray://HOST:10001")
    try:
        socket.create_connection((host, port), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"the Ray cluster at {address} does not take connections ({error.strerror or error}): nothing was started, "
            "and what there is stays"
        ) from error


def _try_to_join(address: str) -> None:
    """Join a cluster in a process of its own, since Ray waits for some for ever, and for others ends the process.

    Raises:
        UserError: there is no such cluster, it does not answer, or it is of another version of Ray or Python.
    """
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", TRY, address], capture_output=True, timeout=JOIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(_why(address, f"it has not answered for {JOIN_SECONDS:.0f} s")) from error
    told = [line for line in tried.stdout.decode(errors="replace").splitlines() if line.startswith(TOLD)]
    if tried.returncode or told:
        raise UserError(_why(address, told[-1].removeprefix(TOLD)[:LONGEST] if told else "Ray gives it up"))


def _why(address: str, told: str) -> str:
    if "Could not find any running Ray" in told:
        return (
            "there is no Ray cluster on this machine: start one with ray start --head, run this in a job of a cluster "
            "(ray job submit), or give its --address"
        )
    return f"the Ray cluster at {address} cannot be joined: {told}"
