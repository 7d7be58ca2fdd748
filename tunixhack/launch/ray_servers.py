"""Servers of a model that a Ray cluster places: an actor a server, and the list of addresses that the shards read.

Where there is a GPU free is Ray's to know, and that an actor whose machine died is started elsewhere. The list is a
file, ``--teacher @FILE#MODEL``, which builds read again while they run.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack._util.child_process import end, spawn
from tunixhack._util.files import write_text
from tunixhack.errors import UserError
from tunixhack.launch import kept_process
from tunixhack.launch.part import last_sentence
from tunixhack.launch.ray_cluster import NOT_INSTALLED, imported_ray, lacks_this_package
from tunixhack.launch.sharded_build import ShardedBuild

HEADER = "# written by tunixhack launch: the servers that a cluster runs now"
"""The first line of a list that is written here; any other file is left alone."""
START_SECONDS = 3600.0
"""Seconds within which the first server has to answer: models of hundreds of gigabytes are fetched first."""
TELL_EVERY = 60.0
"""Seconds between two sentences about servers that are waited for."""
FAILED_STARTS = 3
"""Starts in a row that end before the server has answered once, after which its command is taken for wrong."""
LOOK = 2.0
"""Seconds that a server has to tell its models in."""
NOTICE_SECONDS = 15.0
"""Seconds within which it is seen that a server has gone."""


@dataclass(frozen=True, kw_only=True)
class ServersWanted:
    """Servers that a cluster is to run.

    Args:
        count: how many.
        command: that starts one; ``{port}`` stands for the port that it is to listen on, ``{host}`` for the address of
            the machine.
        needs: what Ray has to find free for each, by its names of resources.

    Raises:
        UserError: there is no number of servers, or no port in the command.

    >>> ServersWanted(count=2, command="vllm serve Qwen/Qwen3-14B --port {port}").needs
    {'GPU': 1.0}
    """

    count: int
    command: str
    needs: Mapping[str, float] = field(default_factory=lambda: {"GPU": 1.0})

    def __post_init__(self) -> None:
        """Check the command."""
        if self.count < 1:
            raise UserError(f"--servers {self.count}: give at least one")
        if "{port}" not in self.command:
            raise UserError(
                "--serve needs {port} where the server is told its port, as in: "
                "--serve 'vllm serve MODEL --port {port}'"
            )
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise UserError(f"--serve cannot be read as a command ({error}): {self.command}") from error

    def file(self, build: ShardedBuild) -> Path:
        """Return the list of servers that a build asks.

        Raises:
            UserError: it asks something else, or the list is somebody's own.
        """
        spec = build.option("--teacher") or ""
        if not spec.startswith("@"):
            raise UserError(
                f"--servers writes their addresses into a list that the build has to ask, and it has --teacher "
                f"{spec or 'local'}: give it --teacher @servers.txt#MODEL"
            )
        path = Path((spec.rpartition("#")[0] or spec)[1:]).expanduser()
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(HEADER):
            raise UserError(f"{path} lists servers that were not launched here, and stays as it is: name another file")
        return path

    def options(self) -> dict[str, Any]:
        """Return what Ray is told of an actor's needs."""
        others = {name: amount for name, amount in self.needs.items() if name not in ("CPU", "GPU")}
        return {
            "num_cpus": self.needs.get("CPU", 0.0),
            "num_gpus": self.needs.get("GPU", 0.0),
            "resources": others,
            "max_restarts": -1,
        }


def read_needs(texts: Sequence[str]) -> dict[str, float]:
    """Read ``GPU=1`` and the like.

    Raises:
        UserError: it is no amount of anything.

    >>> read_needs(["GPU=2", "big_memory=0.5"])
    {'GPU': 2.0, 'big_memory': 0.5}
    """
    found = {}
    for text in texts:
        name, sign, amount = text.partition("=")
        try:
            found[name.strip()] = float(amount)
        except ValueError:
            sign = ""
        if not (sign and name.strip()):
            raise UserError(f"--server-needs {text}: write a resource of Ray's and how much of it, such as GPU=1")
    return found


class ServerProcess:
    """One server, on the machine that Ray chose: started, looked at, and started again when it ends.

    Args:
        command: as of `ServersWanted`.
        host: the address under which other machines reach this one.
        log: the file for its output.
        folder: its working folder.
    """

    def __init__(self, command: str, host: str, log: Path, folder: Path) -> None:
        self._command, self._host, self._log, self._folder = command, host, log, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._ready, self._failed = False, 0

    def look(self) -> dict[str, Any]:
        """Start it where it does not run, and return how it is: ``url``, empty while it does not answer, and ``why``.

        ``why`` is None unless it has ended several times before it answered.
        """
        if self._process is None or self._process.poll() is not None:
            if self._process is not None:
                self._failed = 1 if self._ready else self._failed + 1
                self.stop()
            if self._failed >= FAILED_STARTS:
                return {"url": "", "why": last_sentence(self._log)}
            self._start()
        self._ready = self._ready or _answers(self._url)
        return {"url": self._url if self._ready else "", "why": None}

    def stop(self) -> None:
        """End it, with all that it started."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def _start(self) -> None:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        self._url, self._ready = f"http://{self._host}:{port}/v1", False
        words = [word.replace("{port}", str(port)).replace("{host}", self._host) for word in shlex.split(self._command)]
        self._process = spawn(kept_process.MODULE, str(self._log), str(self._folder), *words)


def _answers(url: str) -> bool:
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is in the cluster
    try:
        with straight.open(f"{url}/models", timeout=LOOK) as response:
            return bool(response.status == 200)
    except OSError:
        return False


class RayServer(ServerProcess):
    """A server as an actor: what Ray makes where there is room, and anew where its machine died."""

    def __init__(self, command: str, log: Path, folder: Path) -> None:
        host = imported_ray().util.get_node_ip_address()
        super().__init__(command, host, log, folder)


class RayServers:
    """The servers of one launch, as who launched them sees them.

    Args:
        ray: the connected module.
        wanted: the servers.
        build: that asks them.
        logs: the folder of their logs.
        say: takes sentences for the user.
    """

    def __init__(
        self, ray: Any, wanted: ServersWanted, build: ShardedBuild, logs: Path, say: Callable[[str], None]
    ) -> None:
        self._ray, self._say = ray, say
        self._file, self._count = wanted.file(build), wanted.count
        here, actor = Path.cwd(), ray.remote(**wanted.options())(RayServer)
        self._actors = {
            number: actor.remote(wanted.command, here / logs / f"server-{number}.log", here)
            for number in range(1, wanted.count + 1)
        }
        self._asked: dict[int, Any] = {}
        self._urls: dict[int, str] = {}
        self._why: dict[int, str] = {}
        self._listed: list[str] = []
        self.gone = 0
        """How often a server that answered has gone, to come back under another address."""

    def look(self) -> None:
        """Take in what the servers have said since the last look, and write the list anew where it has changed.

        Raises:
            UserError: none is there, and the command of one ends again and again.
        """
        for number, actor in self._actors.items():
            asked = self._asked.get(number)
            if asked is None:
                self._asked[number] = actor.look.remote()
                continue
            if not self._ray.wait([asked], timeout=0)[0]:
                continue  # it waits for room, or loads
            try:
                told = self._ray.get(asked)
            except self._ray.exceptions.RayError as error:
                # its machine is gone: Ray makes it anew, and its next address counts
                told = {"url": "", "why": NOT_INSTALLED if lacks_this_package(error) else None}
            self._take(number, told)
            self._asked[number] = actor.look.remote()
        self._write()

    def wait_for_first(self) -> None:
        """Wait until a server answers.

        Raises:
            UserError: none does within an hour, or its command ends again and again.
        """
        end_of_patience, tell_next = time.monotonic() + START_SECONDS, time.monotonic() + TELL_EVERY
        while not self._urls:
            self.look()
            if time.monotonic() > end_of_patience:
                raise UserError(f"no server has answered within {START_SECONDS / 60:.0f} minutes: see their logs")
            if time.monotonic() > tell_next:
                tell_next += TELL_EVERY
                self._say("no server answers yet: they wait for room on the cluster, or load their model")
            time.sleep(0.5)

    def have_gone(self, before: int) -> bool:
        """Look whether a server has gone since there were so many losses, which is not seen at once."""
        end_of_patience = time.monotonic() + NOTICE_SECONDS
        while self.gone == before and time.monotonic() < end_of_patience:
            self.look()
            time.sleep(0.5)
        return self.gone != before

    def _take(self, number: int, told: Mapping[str, Any]) -> None:
        url, why = told["url"], told["why"]
        if why and number not in self._why:
            self._why[number] = why
            self._say(f"server {number} does not start: {why}")
        if url == self._urls.get(number, ""):
            return
        self.gone += number in self._urls
        if url:
            self._say(f"server {number} answers at {url}")
            self._urls[number] = url
        else:
            self._urls.pop(number)

    def _write(self) -> None:
        """Write the list anew where it has changed.

        Raises:
            UserError: no server is there, and none will be.
        """
        if not self._urls and len(self._why) == self._count:
            number, why = next(iter(self._why.items()))
            raise UserError(f"no server starts; server {number} says: {why}")
        urls = [self._urls[number] for number in sorted(self._urls)]
        if urls and urls != self._listed:  # a list without any would be no list, and the gone ones may come back
            self._listed = urls
            write_text(self._file, "\n".join([HEADER, *urls, ""]))
