"""One process at a time on a folder of an object store, as far as that can be had without locks.

Each process writes a claim: an object of a name of its own, which tells who it is and is written anew every few seconds
with a higher number, a beat. Who wants the folder writes its own first, as one that enters, and lists the claims then.
Of two that enter at once the smaller token goes on and the other withdraws; one that finds a claim that holds withdraws
as well, unless its owner is dead. That is seen at once where its process can be seen, and counted by missing beats
elsewhere, on the clock of who looks. It needs listings that show what was written before, as those of S3, Google and
Azure do.

What it cannot do is stop a process that stood still, or was cut off from the network, for longer than that: it goes on
until it sees at its next beat that its claim was taken away. So nothing relies on claims but what is paid for: answers
are kept under names of who received them, and both are read.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from tunixhack._util.owner import Owner
from tunixhack.errors import UserError
from tunixhack.runs.shard_names import PREPARED, is_shard
from tunixhack.storage.failures import StorageFailed
from tunixhack.storage.objects import Objects

FOLDER = ".claims"
"""The folder of all claims of a build, at its address: a shard's own folder begins with what is received."""
WHOLE = "whole"
"""What a run that is no shard is called among claims."""
BEAT = 10.0
"""Seconds between two beats."""
LOOK = 5.0
"""Seconds between two looks at an owner that cannot be seen from here."""
LOOKS = 12
"""Looks without a beat after which it counts as dead."""


@dataclass(frozen=True)
class Claim(Owner):
    """A claim, as its object tells."""

    enters: bool = True
    """Whether its owner does not hold the folder yet."""
    beat: int = 0
    when: str = ""
    """The time of the last beat, by the owner's clock: for people, and compared with nothing."""

    @classmethod
    def read(cls, content: bytes) -> Claim | None:
        """Read an object; None where it is no claim."""
        try:
            told = cls(**json.loads(content))
        except (ValueError, TypeError, RecursionError):
            return None
        numbered = type(told.beat) is int and type(told.when) is str and told.when.isprintable()
        # the token names an object
        return told if told.plausible and numbered and re.fullmatch(r"[0-9a-f]{32}", told.token) else None


@dataclass
class Held:
    """A folder that this process holds."""

    objects: Objects
    name: str
    mine: Claim
    say: Callable[[str], None]
    on_loss: Callable[[], None]
    lost: bool = False
    """Whether another process has taken the folder over."""
    dead: set[str] = field(default_factory=set)
    """Tokens of owners that were found dead."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def place(self) -> str:
        """The address of the folder."""
        return f"{self.objects.address}/{self.name}".rstrip("/")

    def path(self, token: str) -> str:
        """Return the name of a claim's object."""
        return f"{_folder(self.name)}/{token}.json"

    def write(self, **changes: object) -> None:
        """Write the claim anew, with a higher beat."""
        with self._lock:
            when = datetime.now(UTC).isoformat(timespec="seconds")
            self.mine = replace(self.mine, **changes, beat=self.mine.beat + 1, when=when)  # type: ignore[arg-type]
            self.objects.write(self.path(self.mine.token), json.dumps(asdict(self.mine)).encode())

    def others(self) -> list[Claim]:
        """Return the claims of others that are not known to be dead."""
        return [claim for claim in claims(self.objects, self.name) if claim.token not in {*self.dead, self.mine.token}]

    def bury(self, claim: Claim) -> None:
        """Remove the claim of an owner that is dead."""
        self.dead.add(claim.token)
        self.objects.remove(self.path(claim.token))

    def beat(self, stop: threading.Event) -> None:
        """Write the claim anew until told to stop, and see that no other process holds the folder."""
        while not stop.wait(BEAT):
            try:
                there = claims(self.objects, self.name)
                gone = self.mine.token not in {claim.token for claim in there}
                taker = next((claim for claim in self.others() if not claim.enters), None)
                if not self.mine.enters and (gone or taker):
                    self.lost = True
                    self.say(
                        f"{self.place} was taken over by {taker or 'another process, or its claim was deleted'}: this "
                        "one stops, and carries up what it has received"
                    )
                    return self.on_loss()
                self.write()
            except StorageFailed:
                continue  # who wants the folder meanwhile takes this process for dead, and what is up there stays whole


def claims(objects: Objects, name: str) -> list[Claim]:
    """Return the claims on a folder, sorted by token."""
    found = []
    for one in objects.sizes(_folder(name)):
        content = objects.read(f"{_folder(name)}/{one}")
        claim = None if content is None else Claim.read(content)
        if claim is not None:
            found.append(claim)
    return sorted(found, key=lambda claim: claim.token)


def holder(address: str) -> Claim | None:
    """Return the claim of who holds a run at an address, alive or not; None if nobody does.

    Args:
        address: of a whole run, or of a shard, whose claim stands beside all shards.
    """
    above, _, last = address.rpartition("/")
    is_part = "://" in above and (is_shard(last) or last == PREPARED)
    found = claims(Objects(above if is_part else address), last if is_part else "")
    return next((claim for claim in found if not claim.enters), None)


@contextmanager
def claimed(
    objects: Objects, name: str, say: Callable[[str], None], on_loss: Callable[[], None] = lambda: None
) -> Iterator[Held]:
    """Hold a folder while the body runs.

    Args:
        objects: where it is.
        name: of the folder; empty for all of it.
        say: gets a sentence before the minute that it takes to learn of an owner that cannot be seen.
        on_loss: called, in another thread, when the folder was taken over.

    Raises:
        UserError: another living process holds it.
        StorageFailed: the store cannot be written.
    """
    with Claim.this_process() as mine:
        held, stop = Held(objects, name, mine, say, on_loss), threading.Event()
        beats = threading.Thread(target=held.beat, args=(stop,), name="claim", daemon=True)
        try:
            held.write()
            beats.start()
            _enter(held)
            held.write(enters=False)
            _enter(held)  # once more: this process may have stood still meanwhile
            yield held
        finally:
            stop.set()
            if beats.ident is not None:
                beats.join()
            with suppress(StorageFailed):  # then others find it without beats
                objects.remove(held.path(mine.token))


def _enter(held: Held) -> None:
    """Return when no other process holds the folder.

    Raises:
        UserError: one does.
    """
    while others := held.others():
        for claim in others:
            if not _alive(held, claim):
                held.bury(claim)
            elif not claim.enters or (held.mine.enters and claim.token < held.mine.token):
                raise UserError(
                    f"{held.place} is in use by {claim}, last heard of at {claim.when} by its clock: wait for it, "
                    f"or stop it; if it is no more, the same command takes over after {LOOKS * LOOK:.0f} seconds "
                    "without a sign of life"
                )
            else:
                time.sleep(LOOK)  # it withdraws when it sees this one


def _alive(held: Held, claim: Claim) -> bool:
    """Tell whether a claim's owner is alive; where that cannot be seen, whether it beats."""
    running = claim.running()
    if running is not None:
        return running
    held.say(
        f"{held.place} is held by {claim}, which cannot be seen from here: looking for a sign of life for "
        f"{LOOKS * LOOK:.0f} seconds"
    )
    for _ in range(LOOKS):
        time.sleep(LOOK)
        content = held.objects.read(held.path(claim.token))
        now = None if content is None else Claim.read(content)
        if now is None:
            return False
        if now.beat != claim.beat:
            return True
    return False


def _folder(name: str) -> str:
    return f"{FOLDER}/{name or WHOLE}"
