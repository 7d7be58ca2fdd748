"""The behaviour of a scripted teacher and its faults: decided by hashes and never by luck."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from tunixhack.testing.dialects import Dialect

Ends = Literal["completed", "failed", "expired"]
ANSWERED = "ok"
FAULTS = ("429", "500", "hang", "broken", "html", "401", "404", "no_usage", "short")
"""What can happen to a request: an HTTP status; no answer at all; half a JSON document; a web page; an answer without
``usage``; an answer with fewer choices than asked for."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults of a scripted teacher, and how often each occurs.

    Faults of requests come in three ways, tried in this order: ``always`` (a server that is down for good),
    ``script`` (the fate of the first requests in the order of their arrival), ``share``. Which requests a share hits
    depends on the body and ``seed`` alone. Faults of choices (``truncated``, ``filtered``, ``empty``, ``finish``) are
    part of the answer: the same messages and seed are hit again when they are asked again.

    >>> once = Faults(script=("500",))
    >>> once.of_request(b"{}", arrival=0, attempt=0), once.of_request(b"{}", arrival=1, attempt=1)
    ('500', 'ok')
    """

    always: str | None = None
    """One of `FAULTS`, for every request and every address, the list of models included."""
    script: tuple[str, ...] = ()
    """For the first requests one of `FAULTS` or "ok" each."""
    share: Mapping[str, float] = field(default_factory=dict)
    """Of `FAULTS` the share of request bodies that meet it, 0 to 1; together at most 1."""
    first_attempt_only: bool = True
    """Whether a share hits a body only the first time it is sent, so that trying again helps."""
    retry_after: float | None = None
    """Seconds in the Retry-After header of a 429; None for no such header."""
    truncated: float = 0.0
    """Share of choices that are cut in the middle, with finish_reason length."""
    filtered: float = 0.0
    """Share of choices that end with finish_reason content_filter."""
    empty: float = 0.0
    """Share of choices whose content is null."""
    finish: Mapping[int, str] = field(default_factory=dict)
    """The finish_reason of the choice at an index of the response; ``length`` cuts it in the middle, too."""
    latency: float = 0.0
    """Seconds before an answer."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse names of faults that do not exist, which would silently never happen."""
        named = {*self.share, *self.script, *filter(None, [self.always])}
        unknown = sorted(named - {*FAULTS, ANSWERED})
        if unknown:
            raise ValueError(f"unknown fault {unknown[0]!r}: one of {', '.join(FAULTS)}")
        if sum(self.share.values()) > 1:
            raise ValueError(f"the shares of faults sum to {sum(self.share.values())}, which is more than 1")

    def of_request(self, body: bytes, arrival: int, attempt: int) -> str:
        """Decide what happens to a request.

        Args:
            body: as received.
            arrival: requests that came before this one.
            attempt: how often this very body came before.

        Returns:
            One of `FAULTS`, or "ok".
        """
        if self.always is not None:
            return self.always
        if arrival < len(self.script):
            return self.script[arrival]
        if not self.share or (attempt and self.first_attempt_only):
            return ANSWERED
        left = share_of(self.seed, body if not attempt else body + b"#%d" % attempt)
        for fault, share in self.share.items():
            left -= share
            if left < 0:
                return fault
        return ANSWERED

    def of_choice(self, messages: bytes, seed: int, index: int) -> str:
        """Decide what happens to a choice: its finish_reason, or "empty" for content null."""
        if index in self.finish:
            return self.finish[index]
        if not (self.truncated or self.filtered or self.empty):
            return "stop"
        left = share_of(self.seed, messages + b"#%d" % seed)
        for fault, share in (("length", self.truncated), ("content_filter", self.filtered), ("empty", self.empty)):
            left -= share
            if left < 0:
                return fault
        return "stop"


NO_FAULTS = Faults()


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The behaviour of a scripted teacher."""

    style: Literal["written", "reasoning_content", "reasoning", "think", "none"] = "written"
    """Where the trace is: in ``<reasoning>`` tags, in a field of its own, in ``<think>`` tags, or nowhere."""
    seeds: Literal["consecutive", "own", "ignored"] = "consecutive"
    """n choices of seed s are those of seeds s … s+n-1 (llama.cpp); the first is that of s and the others are their
    own (vLLM); or no choice is like another whatever the seed."""
    n_supported: bool = True
    """False for a server that gives one choice whatever ``n`` is (Ollama, LM Studio)."""
    usage: Literal["all", "one", "none"] = "all"
    """Whether ``usage`` counts all choices, the first alone (llama.cpp), or is left out."""
    dialect: Dialect = "plain"
    """Whose other addresses are served (LM Studio's /api/v0/models, Ollama's /api/ps, llama.cpp's /props and
    /tokenize), and who refuses what, as `tunixhack.testing.dialects` has it; ``plain`` takes everything."""
    batch_seconds: float | None = None
    """How long a batch takes, one that is under way included; None for a server that knows no batches."""
    batch_ends: Ends = "completed"
    """How batches end; an expired one has answers to the first half of its requests."""
    models: tuple[str, ...] = ("scripted",)
    loaded: tuple[str, ...] | None = None
    """The models that LM Studio or Ollama has loaded; None for all."""
    context: int = 8192
    """Tokens of context, as servers tell; a longer prompt is refused with 400."""
    slots: int | None = None
    """Requests that are worked on at once, each for ``faults.latency`` seconds; None for all that come."""
    loading_seconds: float = 0.0
    """How long after its start the server answers 503, as llama.cpp does while it loads."""
    api_key: str | None = None
    """What must follow ``Authorization: Bearer``; None for no key."""
    faults: Faults = NO_FAULTS


def behaviour_from(plain: Mapping[str, Any]) -> Behaviour:
    """Build a behaviour from its JSON form, in which tuples are lists and keys strings.

    >>> behaviour_from({"style": "think", "faults": {"finish": {"2": "length"}}}).faults.finish
    {2: 'length'}
    """
    given = {name: _tuple(value) for name, value in plain.items() if name != "faults"}
    faults = {name: _tuple(value) for name, value in dict(plain.get("faults") or {}).items()}
    unknown = sorted(set(given) - {entry.name for entry in fields(Behaviour)})
    if unknown:
        raise ValueError(f"a scripted teacher has no {unknown[0]!r}")
    if "finish" in faults:
        faults["finish"] = {int(index): reason for index, reason in faults["finish"].items()}
    return Behaviour(**given, faults=Faults(**faults))


def share_of(seed: int, content: bytes) -> float:
    """Hash content to a number in [0, 1), evenly."""
    return int.from_bytes(hashlib.sha256(b"%d:" % seed + content).digest()[:8]) / 2**64


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
