"""Replies that no server should send, drawn from a seed: for tests and the benchmark of what a build makes of them.

Each is a good reply that was damaged in one to three places: in its data (another type, a null, a huge number, a list
within lists, choices too many, too few, out of order or numbered twice), in its bytes (letters cut in two, half a
document, another encoding), or on its way (a body that breaks off, or drips).
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.serving import serving
from tunixhack.teachers.engine.preflight import SEEDS, TINY

SLOW = 0.02
"""Seconds between two pieces of a body that drips."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What goes over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    way: Literal["whole", "half", "slow"] = "whole"
    """Whether the body comes as a whole, breaks off, or drips."""


def _nested(levels: int) -> Any:
    nested: Any = "deep"
    for _ in range(levels):
        nested = [nested]
    return nested


VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    2**31,
    4294967295,
    10**9,
    2**63 - 1,
    2**63,
    2**70,
    -(2**63) - 1,
    3.5,
    float("nan"),
    float("inf"),
    1e308,
    "",
    " ",
    "8192",
    "text",
    "\x00\x1b[31m\u2028\ufeff",
    "\ud83d",
    "x" * 70_000,
    [],
    {},
    [None],
    [[]],
    [1, "two", None, {"three": 3}],
    {"text": "part"},
    {"error": {"message": "no", "code": 502}},
    _nested(300),
)
USAGES = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "by_choice",
    "of_choices",
    "batch",
)
FINISHES = (
    "stop",
    "STOP",
    "length",
    "MAX_TOKENS",
    "content_filter",
    "error",
    "abort",
    "tool_calls",
    "",
    "null",
    None,
    7,
)
ERRORS = (
    {"message": "Provider returned error", "code": 502, "metadata": {"raw": "upstream"}},
    {"message": "slow down", "code": 429},
    {"message": "slow down", "type": "rate_limit_error"},
    {"message": None, "code": "???"},
    {"code": [1]},
    "plain text",
    ["a list"],
    {"message": "too long", "code": 400},
)


def completion(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a chat request as one should, each seed by another text."""
    n, seed = int(request.get("n") or 1), int(request.get("seed") or 0)
    choices = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": f"<reasoning>I thought of {seed + index}.</reasoning><answer>It is {seed + index}.</answer>",
            },
            "finish_reason": "length" if request.get("max_tokens") == TINY else "stop",
        }
        for index in range(n)
    ]
    usage = {"prompt_tokens": 20, "completion_tokens": 30 * n, "total_tokens": 20 + 30 * n}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": request.get("model"),
        "choices": choices,
        "usage": usage,
    }


def model_list(path: str) -> dict[str, Any]:
    """Answer a question for the models that are served, as the servers of the presets do."""
    entry = {"id": "odd", "name": "odd", "state": "loaded", "type": "llm", "max_model_len": 8192, "root": "odd-q4"}
    entry |= {"meta": {"n_ctx_train": 8192, "n_ctx": 8192, "size": 12345}, "loaded_context_length": 8192}
    entry |= {
        "quantization": "Q4_0",
        "digest": "ab12",
        "details": {"quantization_level": "Q4_0"},
        "context_length": 8192,
    }
    if path.endswith("/props"):
        return {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 4}
    return {"object": "list", "data": [entry], "models": [entry]}


def damaged(good: dict[str, Any], draw: random.Random) -> Reply:
    """Damage a good reply."""
    content: Any = copy.deepcopy(good)
    kind = draw.random()
    if kind < 0.1:
        return _on_the_way(content, draw)
    if kind < 0.3:
        return Reply(body=_bytes(content, draw))
    for _ in range(draw.randint(1, 3)):
        content = draw.choice((_anywhere, _anywhere, _in_choices, _in_usage, _in_message, _as_error))(content, draw)
    return Reply(body=json.dumps(content).encode())


def _anywhere(content: Any, draw: random.Random) -> Any:
    """Put something else in a place that is drawn, or take it away."""
    places = list(_places(content))
    if not places:
        return _value(draw)
    inside, name = draw.choice(places)
    if draw.random() < 0.2:
        del inside[name]
    else:
        inside[name] = _value(draw)
    return content


def _value(draw: random.Random) -> Any:
    return copy.deepcopy(draw.choice(VALUES))


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    inside = [content]
    while inside:
        one = inside.pop()
        if not isinstance(one, dict | list):
            continue
        names = list(one) if isinstance(one, dict) else list(range(len(one)))
        yield from ((one, name) for name in names)
        inside += [one[name] for name in names]


def _in_choices(content: Any, draw: random.Random) -> Any:
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list) or not choices:
        return content
    what = draw.randrange(8)
    if what == 0:
        choices.clear()
    elif what == 1:
        choices.pop(draw.randrange(len(choices)))
    elif what == 2:
        choices.insert(draw.randrange(len(choices) + 1), _value(draw))
    elif what == 3:
        choices.extend(copy.deepcopy(choices))
    elif what == 4:
        draw.shuffle(choices)
    else:
        for choice in choices:
            if isinstance(choice, dict):
                odd: dict[int, tuple[str, Any]] = {
                    5: ("index", draw.choice((0, 1, -1, "0", None, 2**70))),
                    6: ("finish_reason", draw.choice(FINISHES)),
                    7: ("error", copy.deepcopy(draw.choice(ERRORS))),
                }
                choice[odd[what][0]] = odd[what][1]
    return content


def _in_usage(content: Any, draw: random.Random) -> Any:
    if isinstance(content, dict):
        if not isinstance(content.get("usage"), dict) or draw.random() < 0.2:
            content["usage"] = _value(draw)
        else:
            content["usage"][draw.choice(USAGES)] = _value(draw)
    return content


def _in_message(content: Any, draw: random.Random) -> Any:
    choices = content.get("choices") if isinstance(content, dict) else None
    for choice in choices if isinstance(choices, list) else []:
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            message[draw.choice(("content", "reasoning_content", "reasoning", "role", "\ud800"))] = _value(draw)
    return content


def _as_error(content: Any, draw: random.Random) -> Any:
    if not isinstance(content, dict):
        return content
    error = {"error": copy.deepcopy(draw.choice(ERRORS))}
    return draw.choice((error, [error], {**content, **error}, {**content, **error, "choices": None}))


def _bytes(content: Any, draw: random.Random) -> bytes:
    text = json.dumps(content, ensure_ascii=False)
    body, cut = text.encode(), draw.randrange(1, len(text))
    return draw.choice(
        (
            body[:cut],
            body.replace(b"thought", b"th\xf0\x9f\x98ught"),
            body.replace(b"thought", b"th\xed\xa0\xbdught"),
            body.replace(b"thought", b"th\\ud83dught"),
            body.replace(b"thought", b"th\nou\x00ght"),
            body.replace(b"20", b"9" * 5000).replace(b"30", b"1e999"),
            body.replace(b"20", b"-Infinity").replace(b"30", b"NaN"),
            b"\xef\xbb\xbf" + body,
            b"\n \n" + body + b"\n",
            body + b"}",
            body + body,
            text.encode("utf-16"),
            text.replace("thought", "th\ud83dught").encode("utf-16-le", "surrogatepass"),
            text.encode("utf-32"),
            b"[" * 100_000,
            body.replace(b'"content"', b'"deep": ' + b"[" * 5000 + b"]" * 5000 + b', "content"'),
            b"",
            b"null",
            b"<!doctype html><html>Sign in</html>",
            b"data: " + body + b"\n\ndata: [DONE]\n\n",
            draw.randbytes(200),
        )
    )


def _on_the_way(content: Any, draw: random.Random) -> Reply:
    body = json.dumps(content).encode()
    what = draw.randrange(9)
    if what < 3:
        return Reply(body=body, way="half")
    if what < 5:
        return Reply(body=body, way="slow")
    if what == 5:
        return Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    if what == 6:
        return Reply(body=body, headers={"Content-Encoding": "gzip"})
    status = draw.choice((204, 206, 302, 307, 308, 400, 404, 418, 422, 429, 451, 500, 503, 599))
    return Reply(body=body, status=status, headers={"Location": "http://127.0.0.1:9/v1"})


@dataclass
class Counted:
    """Where the server answers, and what it has sent."""

    url: str = ""
    odd: set[str] = field(default_factory=set)
    """The requests that got a damaged reply, however often they were sent."""
    sent: int = 0
    """Damaged replies that were sent."""


@contextmanager
def damaging(seed: int, *, chat: float = 1.0, preflight: float = 0.0, models: float = 0.0) -> Iterator[Counted]:
    """Serve an OpenAI-compatible teacher whose replies are damaged.

    Args:
        seed: decides on the damage, with the request: sent again, it is damaged in the same way.
        chat: the share of requests for answers whose replies are damaged.
        preflight: the share of the preflight's.
        models: the share of all others, such as for the list of models.
    """
    counted, lock = Counted(), threading.Lock()

    def reply(name: str, good: dict[str, Any], share: float) -> Reply:
        draw = random.Random(f"{seed} {name}")
        if draw.random() >= share:
            return Reply(body=json.dumps(good).encode())
        with lock:
            counted.odd.add(name)
            counted.sent += 1
        return damaged(good, draw)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(reply(self.path, model_list(self.path), models))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(body)
            asked = request.get("max_tokens") != TINY and request.get("seed") not in SEEDS
            self._send(reply(body.decode(), completion(request), chat if asked else preflight))

        def _send(self, told: Reply) -> None:
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            try:
                self._deliver(told)
            except OSError:
                self.close_connection = True

        def _deliver(self, told: Reply) -> None:
            half = len(told.body) // 2
            if told.way == "whole" and told.status != 204:
                self.wfile.write(told.body)
            elif told.way == "slow":
                for begin in range(0, len(told.body), 1 + len(told.body) // 10):
                    self.wfile.write(told.body[begin : begin + 1 + len(told.body) // 10])
                    self.wfile.flush()
                    time.sleep(SLOW)
            else:
                self.wfile.write(told.body[:half])
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Stay silent of clients that hang up."""

    with serving(Handler, Server) as address:
        counted.url = f"{address}/v1"
        yield counted
