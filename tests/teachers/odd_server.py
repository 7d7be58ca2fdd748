"""A server whose every answer a test writes itself: for what no scripted teacher says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.serving import serving

Reply = tuple[int, Any]
"""An HTTP status, and bytes or something that becomes JSON."""


@dataclass
class OddServer:
    """Where it answers, and what it was asked."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all POST requests."""


@contextmanager
def odd_server(
    reply: Callable[[dict[str, Any], Mapping[str, str]], Reply],
    models: Callable[[], Reply] | None = None,
    headers: Mapping[str, str] | None = None,
    get: Callable[[str], Reply] | None = None,
) -> Iterator[OddServer]:
    """Serve ``reply(body, headers)`` to every POST, and ``models()`` (default: one model) to every GET.

    Every answer to a POST has ``headers``. ``get(path)`` answers to a GET by its path instead.
    """
    seen = OddServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.asked.append(body)
            self._send(*reply(body, self.headers), headers or {})

        def do_GET(self) -> None:
            if get:
                self._send(*get(self.path), {})
            else:
                self._send(*(models() if models else (200, {"data": [{"id": "odd"}]})), {})

        def _send(self, status: int, content: Any, more: Mapping[str, str]) -> None:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

    with serving(Handler) as address:
        seen.url = f"{address}/v1"
        yield seen


def completion(*contents: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """A completion with one choice for each content."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
        for index, content in enumerate(contents)
    ]
    return {"id": "x", "choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 4}} | more


GOOD = "<reasoning>Thought through.</reasoning><answer>Said.</answer>"
