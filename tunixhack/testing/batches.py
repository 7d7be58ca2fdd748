"""The scripted teacher's batch interface, as OpenAI's: files go up, a batch is made of one, its answers are a file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from tunixhack.testing.behaviour import Ends
from tunixhack.testing.replies import error

Reply = Callable[[bytes], tuple[int, Any]]
"""From the body of a chat request to its status and answer."""
PAGE = 20
"""Batches in one page of their list unless ``limit`` says otherwise."""


class BatchDesk:
    """Files and batches of one scripted teacher.

    Args:
        reply: answers one request of a batch.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._made: dict[str, float] = {}

    def answer(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, seconds: float, ends: Ends
    ) -> tuple[int, Any] | None:
        """Answer a request; None where the address is not one of batches.

        Args:
            method: of HTTP.
            path: below ``/v1/``, without the query.
            query: by name.
            body: as received.
            seconds: how long a batch takes, one that is under way already included.
            ends: how it ends; an expired one has answers to the first half of its requests.

        Returns:
            HTTP status, and bytes or what becomes JSON.
        """
        kind, _, rest = path.removeprefix("/v1/").partition("/")
        name, _, part = rest.partition("/")
        if kind == "files" and method == "POST":
            return 200, self._file(self._put(_uploaded(body)))
        if kind == "files" and name in self.files:
            return (200, self.files[name]) if part == "content" else (200, self._file(name))
        if kind == "batches" and method == "POST":
            return self._make(json.loads(body), ends)
        if kind == "batches" and not name:
            return 200, self._list(query, seconds)
        if kind == "batches" and name in self.batches:
            return 200, self._standing(name, seconds)
        return None

    def _put(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def _file(self, name: str) -> dict[str, Any]:
        told = {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": 0, "filename": "upload"}
        return told | {"purpose": "batch", "status": "processed"}

    def _make(self, asked: Mapping[str, Any], ends: Ends) -> tuple[int, Any]:
        if asked.get("input_file_id") not in self.files or asked.get("endpoint") != "/v1/chat/completions":
            return 400, error(400, "no such file, or no such endpoint")
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        now, name = time.time(), f"batch_{len(self.batches)}"
        batch: dict[str, Any] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": asked["completion_window"],
            "metadata": asked.get("metadata"),
            "created_at": int(now),
            "status": "in_progress",
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        self.batches[name] = batch | {"_ends": ends, "_lines": lines}
        self._made[name] = now
        return 200, batch

    def _list(self, query: Mapping[str, str], seconds: float) -> dict[str, Any]:
        names = list(reversed(self.batches))
        start = names.index(query["after"]) + 1 if query.get("after") in names else 0
        limit = int(query.get("limit") or PAGE)
        page = names[start : start + limit]
        return {
            "object": "list",
            "data": [self._standing(name, seconds) for name in page],
            "has_more": len(names) > start + limit,
        }

    def _standing(self, name: str, seconds: float) -> dict[str, Any]:
        batch = self.batches[name]
        if batch["status"] == "in_progress" and time.time() >= self._made[name] + seconds:
            self._end(batch)
        return {key: value for key, value in batch.items() if not key.startswith("_")}

    def _end(self, batch: dict[str, Any]) -> None:
        lines, batch["status"] = batch["_lines"], batch["_ends"]
        if batch["status"] == "failed":
            batch["errors"] = {
                "object": "list",
                "data": [{"code": "token_limit_exceeded", "message": "too many tokens"}],
            }
            return
        reached = len(lines) // 2 if batch["status"] == "expired" else len(lines)
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for place, line in enumerate(lines):
            told: dict[str, Any] = {"id": f"{batch['id']}-{place}", "custom_id": line["custom_id"], "error": None}
            if place >= reached:
                bad.append(
                    told | {"error": {"code": "batch_expired", "message": "This request expired."}, "response": None}
                )
                continue
            status, body = self._reply(json.dumps(line["body"]).encode())
            (good if status == 200 else bad).append(told | {"response": {"status_code": status, "body": body}})
        # the protocol does not promise the order of the answers
        batch["output_file_id"] = self._put(_jsonl(reversed(good))) if good else None
        batch["error_file_id"] = self._put(_jsonl(bad)) if bad else None
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}


def _jsonl(lines: Any) -> bytes:
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def _uploaded(body: bytes) -> bytes:
    """Return the file of a multipart form."""
    boundary = body.partition(b"\r\n")[0]
    for part in body.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return content.removesuffix(b"\r\n")
    return b""
