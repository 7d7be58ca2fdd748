"""A Hugging Face Hub on 127.0.0.1 for tests: serves folders as repositories over the Hub's protocol.

Enough of it for ``huggingface_hub``'s ``dataset_info``, ``model_info`` and ``snapshot_download``, and for
``datasets.load_dataset``: the repository's facts, its tree, its files, with the commit and the error codes that the
real one sends; `tests.hub_push` has one that also takes datasets. A process uses it by ``HF_ENDPOINT``.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

_KIND = "(datasets|models)"
_INFO = re.compile(rf"/api/{_KIND}/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
_TREE = re.compile(rf"/api/{_KIND}/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)(/(?P<path>.*))?")
_PATHS = re.compile(rf"/api/{_KIND}/(?P<repo>[^/]+/[^/]+)/paths-info/(?P<revision>[^/]+)")
_FILE = re.compile(r"(/datasets)?/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


@dataclass
class Hub:
    """The served repositories; a context manager.

    Attributes:
        repos: dataset's or model's id to the folder whose files it has.
        gated: ids whose facts are open and whose files are refused as GatedRepo, but to those who accepted the terms.
        status: ids that are answered with this status, whatever is asked.
        private: ids that only their owners know of.
        tokens: token to its account; where there are none, all tokens are good and of nobody.
        accepted: the accounts that accepted the terms of all that is gated.
    """

    repos: Mapping[str, Path]
    gated: frozenset[str] = frozenset()
    status: Mapping[str, int] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    tokens: Mapping[str, str] = field(default_factory=dict)
    accepted: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    """Method and path of every request so far."""

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (self.handler,), {"hub": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def handler(self) -> type[Handler]:
        return Handler

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def folders(self, repo: str) -> dict[str, Path]:
        """The repository's branches, and where each has its files."""
        return {"main": self.repos[repo]}

    def branch(self, repo: str, revision: str | None) -> str | None:
        """The branch that a revision means: its name, or the commit that it is at."""
        return next((b for b in self.folders(repo) if (revision or "main") in (b, self.commit(repo, b))), None)

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        folder = self.folders(repo)[branch]
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def commit(self, repo: str, branch: str = "main") -> str:
        """A commit that changes with the content, as git's does."""
        content = hashlib.sha1(repo.encode())
        for path, data in self.files(repo, branch).items():
            content.update(path.encode() + b"\0" + data)
        return content.hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    branch = "main"
    """That of the request at work."""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if self.token and self.hub.tokens and self.account is None:
            return self._error(401, "", message="Invalid credentials in Authorization header")
        for pattern, answer in self.answers:
            match = pattern.fullmatch(path)
            if match:
                return self._of_repo(match, answer, body)
        return self._error(404, "NotFound")

    @property
    def answers(self) -> Sequence[tuple[re.Pattern[str], Any]]:
        return ((_FILE, self._file), (_PATHS, self._paths), (_TREE, self._tree), (_INFO, self._info))

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    @property
    def account(self) -> str | None:
        return self.hub.tokens.get(self.token)

    def _of_repo(self, match: re.Match[str], answer: Any, body: bytes) -> None:
        repo, revision = match["repo"], match["revision"]
        if repo in self.hub.status:
            return self._error(self.hub.status[repo], "")
        hidden = repo in self.hub.private and self.account != repo.split("/")[0]
        if repo not in self.hub.repos or hidden:
            return self._error(404 if self.token else 401, "RepoNotFound")
        branch = self.hub.branch(repo, revision)
        if branch is None:
            return self._error(404, "RevisionNotFound")
        self.branch = branch
        return answer(repo, match, body)

    def _info(self, repo: str, *_: Any) -> None:
        gated = "auto" if repo in self.hub.gated else False
        siblings = [{"rfilename": path, "size": len(data)} for path, data in self.hub.files(repo, self.branch).items()]
        facts = {"id": repo, "sha": self.hub.commit(repo, self.branch), "gated": gated, "disabled": False}
        facts |= {"private": repo in self.hub.private}
        self._json(facts | {"downloads": 0, "likes": 0, "tags": [], "siblings": siblings})

    def _tree(self, repo: str, match: re.Match[str], _: bytes) -> None:
        below = f"{match['path']}/" if match["path"] else ""
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        entries = [
            entry
            for entry in self._entries(repo)
            if entry["path"].startswith(below) and (recursive or "/" not in entry["path"][len(below) :])
        ]
        if below and not entries:
            return self._error(404, "EntryNotFound")
        return self._json(entries)

    def _paths(self, repo: str, _: re.Match[str], body: bytes) -> None:
        if "json" in self.headers.get("Content-Type", ""):
            wanted = json.loads(body)["paths"]
        else:
            wanted = parse_qs(body.decode()).get("paths", [])
        self._json([entry for entry in self._entries(repo) if entry["path"] in wanted])

    def _entries(self, repo: str) -> list[dict[str, Any]]:
        files = self.hub.files(repo, self.branch)
        folders = sorted({str(parent) for path in files for parent in Path(path).parents} - {"."})
        return [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in folders] + [
            {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": path}
            for path, data in files.items()
        ]

    def _file(self, repo: str, match: re.Match[str], _: bytes) -> None:
        if repo in self.hub.gated and self.account not in self.hub.accepted:
            return self._error(403 if self.token else 401, "GatedRepo")
        data = self.hub.files(repo, self.branch).get(match["path"])
        if data is None:
            return self._error(404, "EntryNotFound", repo)
        headers = {"X-Repo-Commit": self.hub.commit(repo, self.branch), "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part is None:
            return self._send(200, data, headers | {"Accept-Ranges": "bytes"})
        first, last = int(part[1]), min(int(part[2] or len(data) - 1), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self._send(206, data[first : last + 1], headers)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, repo: str | None = None, message: str | None = None) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message or code} | (
            {"X-Repo-Commit": self.hub.commit(repo, self.branch)} if repo else {}
        )
        self._send(status, b'{"error": "no"}', headers)

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
