"""The scripted teacher's HTTP server: a bare asyncio protocol, so that it is faster than its clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tunixhack.testing.batches import BatchDesk
from tunixhack.testing.behaviour import ANSWERED, Behaviour, behaviour_from
from tunixhack.testing.dialects import page, tokenize
from tunixhack.testing.replies import PAGE, ChatRequest, chat, error, read

Answer = Callable[[list[dict[str, Any]], int], str]
"""From messages and a seed to the whole content of a choice."""
KEPT_BODIES = 50
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass
class Stats:
    """The requests that a scripted teacher has seen."""

    requests: int = 0
    """Chat requests with messages."""
    answered: int = 0
    """Those that got their whole answer."""
    choices: int = 0
    batches: int = 0
    """Batches handed in, since the server was started."""
    tokenized: int = 0
    """Requests to count tokens; only as llama.cpp."""
    cancelled: int = 0
    """Requests whose client went away before the answer."""
    max_concurrency: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """What was answered to chat requests, by HTTP status."""
    messages: Counter[str] = field(default_factory=Counter)
    """Requests by the hash of their messages."""
    seeds: Counter[str] = field(default_factory=Counter)
    """Choices given, by ``<hash of the messages>:<seed>``."""
    bodies: deque[Any] = field(default_factory=lambda: deque(maxlen=KEPT_BODIES))
    """The latest request bodies, the last one last."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return vars(self) | {"bodies": list(self.bodies)}


class Server:
    """The state that all connections share: behaviour, counters, and the answers to every address.

    Args:
        behaviour: what the teacher is like.
        answer: says what it says instead of the script.
    """

    def __init__(self, behaviour: Behaviour, answer: Answer | None = None) -> None:
        self.behaviour, self.answer = behaviour, answer
        self.stats = Stats()
        self.started = time.monotonic()
        self.running = 0
        self.given = 0  # choices of all time: what makes each choice of a server that ignores seeds another one
        self.connections: set[Connection] = set()
        self._attempts: Counter[int] = Counter()
        self._free_at: list[float] = []  # when each slot that is in use is free again
        self._desk = BatchDesk(self.reply)

    async def listen(self, port: int = 0, host: str = "127.0.0.1") -> asyncio.Server:
        """Start to listen."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self), host, port, backlog=4096)

    def hang_up(self) -> None:
        """End all connections."""
        for connection in list(self.connections):
            connection.abort()

    def other(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Any]:
        """Answer everything that is no chat request."""
        known = self.behaviour
        if path == "/stats":
            return 200, self.stats.plain()
        if (method, path) == ("POST", "/reset"):
            self.stats = Stats()
            self._attempts.clear()
            return 200, {}
        if (method, path) == ("POST", "/behaviour"):
            self.behaviour = behaviour_from(json.loads(body))
            return 200, {}
        if (method, path, known.dialect) == ("POST", "/tokenize", "llamacpp"):
            self.stats.tokenized += 1
            return 200, tokenize(json.loads(body))
        if known.batch_seconds is not None and path.startswith("/v1/"):
            asked = dict(parse_qsl(query))
            told = self._desk.answer(method, path, asked, body, known.batch_seconds, known.batch_ends)
            if told is not None:
                self.stats.batches = len(self._desk.batches)
                return told
        models = {name: known.loaded is None or name in known.loaded for name in known.models}
        found = page(known.dialect, path, models, known.context, known.slots)
        if found is not None:
            return 200, found
        return 404, error(404, f"there is nothing at {path}")

    def reply(self, body: bytes) -> tuple[int, Any]:
        """Answer one request of a batch."""
        request = read(body)
        if isinstance(request, str):
            return 400, error(400, request)
        fault = self.fate(body)
        self.stats.messages[request.name] += 1
        if fault.isdigit():
            return int(fault), error(int(fault), f"scripted {fault}")
        return self.completion(request, fault)

    def completion(self, request: ChatRequest, fault: str) -> tuple[int, Any]:
        """Answer a request that can be answered, and count its choices."""
        status, content, seeds = chat(self.behaviour, request, fault, self.given, self.answer)
        if status == 200:
            self.given += len(seeds)
            self.stats.answered += 1
            self.stats.choices += len(seeds)
            self.stats.seeds.update(f"{request.name}:{seed}" for seed in seeds)
        return status, content

    def fate(self, body: bytes) -> str:
        """Decide what happens to a chat request, and count it."""
        attempt = self._attempts[hash(body)]
        self._attempts[hash(body)] += 1
        fault = self.behaviour.faults.of_request(body, self.stats.requests, attempt)
        self.stats.requests += 1
        return fault

    def delay(self) -> float:
        """Take a slot for a request; returns the seconds until its answer."""
        known, now = self.behaviour, time.monotonic()
        if known.slots is None:
            return known.faults.latency
        self._free_at = sorted(free for free in self._free_at if free > now)
        begin = self._free_at[-known.slots] if len(self._free_at) >= known.slots else now
        self._free_at.append(begin + known.faults.latency)
        return self._free_at[-1] - now

    def refusal(self, headers: Mapping[bytes, bytes]) -> tuple[int, Any] | None:
        """Answer what is answered whatever was asked: loading, a wrong key, or a server that is broken for good."""
        known = self.behaviour
        if time.monotonic() - self.started < known.loading_seconds:
            return 503, error(503, "Loading model")
        if known.api_key is not None and headers.get(b"authorization") != f"Bearer {known.api_key}".encode():
            return 401, error(401, "invalid API key")
        return None


class Connection(asyncio.Protocol):
    """One client connection, one request at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.add(self)

    def abort(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a client that did not wait for its answer."""
        self.transport = None
        self.server.connections.discard(self)
        if self.waiting:
            self._done()
            self.server.stats.cancelled += 1

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer once a request is complete."""
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator or self.waiting:
            return
        first, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        body, self.buffer = rest[:length], rest[length:]
        method, target, _ = first.decode("latin-1").split(" ", 2)
        path, _, query = target.partition("?")
        self._route(method, path, query, headers, body)

    def _route(self, method: str, path: str, query: str, headers: Mapping[bytes, bytes], body: bytes) -> None:
        server = self.server
        refused = None if path in ("/stats", "/reset", "/behaviour") else server.refusal(headers)
        if refused:
            self._send(*refused)
        elif (method, path) == ("POST", "/v1/chat/completions"):
            self._chat(body)
        elif server.behaviour.faults.always and path not in ("/stats", "/reset", "/behaviour"):
            self._fail(server.behaviour.faults.always)
        else:
            self._send(*server.other(method, path, query, body))

    def _chat(self, body: bytes) -> None:
        request = read(body)
        if isinstance(request, str):
            self._send(400, error(400, request))
            return
        server, stats = self.server, self.server.stats
        fault = server.fate(body)
        stats.messages[request.name] += 1
        stats.bodies.append(request.body)
        server.running += 1
        stats.max_concurrency = max(stats.max_concurrency, server.running)
        self.waiting = True
        if fault == "hang":
            return

        def answer() -> None:
            if self.waiting:
                self._done()
                self._answer(request, fault)

        if server.behaviour.faults.latency:
            asyncio.get_running_loop().call_later(server.delay(), answer)
        else:
            answer()

    def _answer(self, request: Any, fault: str) -> None:
        server, stats = self.server, self.server.stats
        if fault not in (ANSWERED, "no_usage", "short"):
            stats.statuses[self._fail(fault)] += 1
            return
        status, content = server.completion(request, fault)
        stats.statuses[str(status)] += 1
        self._send(status, content)

    def _fail(self, fault: str) -> str:
        """Answer with a fault; returns the HTTP status."""
        if fault == "broken":
            self._write(200, b'{"id": "chatcmpl-1", "choices": [{"mess', "application/json")
        elif fault == "html":
            self._write(200, PAGE, "text/html")
        elif fault.isdigit():
            wait = self.server.behaviour.faults.retry_after
            extra = f"Retry-After: {wait:g}\r\n" if fault == "429" and wait is not None else ""
            self._send(int(fault), error(int(fault), f"scripted {fault}"), extra)
        return fault if fault.isdigit() else "200"

    def _done(self) -> None:
        self.waiting = False
        self.server.running -= 1

    def _send(self, status: int, content: Any, extra: str = "") -> None:
        if isinstance(content, bytes):
            self._write(status, content, "application/octet-stream", extra)
        else:
            self._write(status, json.dumps(content).encode(), "application/json", extra)

    def _write(self, status: int, body: bytes, kind: str, extra: str = "") -> None:
        if self.transport is None:
            return
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\nContent-Type: {kind}\r\n{extra}"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
