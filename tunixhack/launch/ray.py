"""A build in shards on a Ray cluster: a task for each part, started again elsewhere when its machine dies.

A task runs the command that a person would type, as a process. What it has asked lies in the shard's folder on storage
that all machines see, or at an address, so that whoever runs it next goes on from there. Retries, and where there is
room, are Ray's [1].

[1] Moritz et al., Ray: A Distributed Framework for Emerging AI Applications, 2018, https://arxiv.org/abs/1712.05889
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunixhack._util.files import make_folder, write_json
from tunixhack._util.lock import locked
from tunixhack._util.wording import counted
from tunixhack.errors import NearlyAllDropped, TeacherFailed, TunixHackError, UserError
from tunixhack.launch.part import Outcome, Part, PartLost, Parts, run_part
from tunixhack.launch.ray_cluster import NOT_INSTALLED, connected, imported_ray, lacks_this_package
from tunixhack.launch.ray_servers import RayServers, ServersWanted
from tunixhack.launch.sharded_build import ShardedBuild
from tunixhack.runs.shard_names import PREPARED
from tunixhack.storage.look import is_done

FOLDER = "ray"
"""The folder of the logs, in that of the build."""
FINISHED = "finished.json"
"""The file, among the logs, that says with which words each part has ended."""
LOOK = 2.0
"""Seconds between two looks at the tasks and the servers."""
ERRORS: dict[int, type[TunixHackError]] = {3: TeacherFailed, 4: NearlyAllDropped}
"""The error of a part's exit code; `UserError` for the others."""


@dataclass(frozen=True)
class _Started:
    """A part as a task, and how many servers had gone when it began."""

    part: Part
    gone: int


@dataclass(frozen=True, kw_only=True)
class RayBuild:
    """A build in shards on a Ray cluster.

    Args:
        build: that is cut.
        cpus: of each task, which are Ray's to count: a shard waits for its teacher most of the time.
        retries: how often a part is started again whose machine or process died.
        servers: the servers that the cluster runs; None where they are somebody else's.
        say: takes sentences for the user.

    Raises:
        MissingExtra: Ray is not installed.
        UserError: the list of servers is not one that the build asks.
    """

    build: ShardedBuild
    cpus: float = 1.0
    retries: int = 3
    servers: ServersWanted | None = None
    say: Callable[[str], None] = field(default=lambda sentence: None, repr=False)

    def __post_init__(self) -> None:
        """Check what can be checked without a cluster."""
        imported_ray()
        if self.servers:
            self.servers.file(self.build)
        if self.servers and self.build.address is not None:
            raise UserError(
                f"--out {self.build.address}: with --servers, launch ray keeps their list in a folder that all "
                "machines see, so build in one, too; or start servers apart from it, and build at the address"
            )
        if self.retries < 0:
            raise UserError(f"--retries {self.retries}: give 0 or more")

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.build.out / FOLDER

    def run(self, address: str = "auto") -> Path | str:
        """Run all parts that have not ended yet; returns the folder of the merged run, or its address.

        Args:
            address: of the cluster: ``auto`` for that of this machine or of the job, ``HOST:6379``, or
                ``ray://HOST:10001``.

        Raises:
            UserError: there is no such cluster, the build is launched already, or a part failed for something that the
                user can mend.
            TeacherFailed: answers are missing, as of a build.
            NearlyAllDropped: as of a build.
        """
        make_folder(self.logs)
        parts = Parts.of(self.build, self.logs, PREPARED)
        with locked(self.logs, self.say), connected(address, self.logs / "ray.log") as ray:
            self._tell_of_room(ray)
            started = RayServers(ray, self.servers, self.build, self.logs, self.say) if self.servers else None
            if started:
                self.say("starting servers; their addresses are in the list that the build asks as soon as they answer")
                started.wait_for_first()
            stages = [[parts.prepare], [*parts.shards], [parts.merge]]
            ran = 0
            for stage in stages:
                ran += self._run_stage(ray, stage, started, again=ran > 0 and stage == [parts.merge])
        return self.build.whole

    def _tell_of_room(self, ray: Any) -> None:
        most = max((node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
        if most < self.cpus:
            self.say(f"no machine of the cluster has {self.cpus:g} CPUs: the shards wait until one comes")

    def _run_stage(self, ray: Any, parts: Sequence[Part], servers: RayServers | None, *, again: bool) -> int:
        """Run the parts of a stage beside one another; returns how many had to be.

        Args:
            ray: the connected module.
            parts: of the stage.
            servers: that this launch runs; None where it runs none.
            again: run them even where they have ended.
        """
        task = ray.remote(
            num_cpus=self.cpus,
            max_retries=self.retries,
            retry_exceptions=[PartLost],
            scheduling_strategy="SPREAD",
        )(run_part)
        here, waiting, tries, failed = Path.cwd(), dict[Any, _Started](), Counter[Part](), dict[Part, Outcome]()

        def start(part: Part) -> None:
            tries[part] += 1
            waiting[task.remote(part, here)] = _Started(part, servers.gone if servers else 0)

        for part in parts:
            if again or not self._ended(part):
                start(part)
        if len(waiting) < len(parts) > 1:
            self.say(
                f"{counted(len(parts) - len(waiting), 'shard')} of {len(parts)} ended before, and stay as they are"
            )
        while waiting:
            ended, _ = ray.wait(list(waiting), timeout=LOOK)
            if servers:
                servers.look()
            for reference in ended:
                started = waiting.pop(reference)
                part, outcome = started.part, self._outcome(ray, reference)
                if outcome.code == 0:
                    self._note_end(part)
                    left = f"; {counted(len(waiting), 'shard')} to go" if waiting else ""
                    self.say(f"{part.name} has ended on {outcome.machine} after {outcome.seconds:,.0f} s{left}")
                elif servers and tries[part] <= self.retries and servers.have_gone(started.gone):
                    self.say(f"{part.name} stopped as a server went, and goes on: {outcome.sentence}")
                    servers.wait_for_first()
                    start(part)
                else:
                    failed[part] = outcome
                    self.say(f"{part.name} failed on {outcome.machine}: {outcome.sentence}")
        if failed:
            raise self._failure(failed)
        return len(tries)

    def _outcome(self, ray: Any, reference: Any) -> Outcome:
        """Return how a task ended; one that Ray gave up is a failed one."""
        try:
            outcome: Outcome = ray.get(reference)
        except (PartLost, ray.exceptions.RayError) as error:
            why = NOT_INSTALLED if lacks_this_package(error) else self._why_lost(error)
            return Outcome(code=UserError.exit_code, sentence=why, machine="the cluster", seconds=0.0)
        return outcome

    def _why_lost(self, error: Exception) -> str:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # the last line of an error of our own has it, and the first of one of Ray's
        told = lines[-1].partition("PartLost: ")[2] if isinstance(error, PartLost) else lines[0] if lines else ""
        return f"it was lost {counted(self.retries + 1, 'time')}: {told or type(error).__name__}"

    def _failure(self, failed: Mapping[Part, Outcome]) -> TunixHackError:
        """Return the error of parts that failed."""
        codes = {outcome.code for outcome in failed.values()}
        part, outcome = next(iter(failed.items()))
        more = f" (and {counted(len(failed) - 1, 'other part')})" if len(failed) > 1 else ""
        kind = ERRORS.get(codes.pop(), UserError) if len(codes) == 1 else UserError
        return kind(
            f"{part.name}{more} failed: {outcome.sentence}; what there is stays, its log is in {self.logs}, and the "
            "same command goes on from here"
        )

    def _finished(self) -> dict[str, list[str]]:
        try:
            found = json.loads((self.logs / FINISHED).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # then a part is run once more, and finds all that it has
        return found if isinstance(found, dict) else {}

    def _ended(self, part: Part) -> bool:
        """Tell whether a part has ended under the same words, and nothing has been done to it since."""
        return self._finished().get(part.name) == [*part.words] and is_done(part.run)

    def _note_end(self, part: Part) -> None:
        write_json(self.logs / FINISHED, self._finished() | {part.name: [*part.words]})
