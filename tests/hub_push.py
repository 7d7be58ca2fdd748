"""A Hub for tests that takes datasets too, over the calls that ``huggingface_hub`` makes for a commit.

They are: make the repository, check the card, ask for each file whether it goes by git or by LFS, put the large ones,
and commit. A parquet file goes by LFS, as on the real Hub; xet is declined, which the protocol allows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.hub import Handler, Hub

_API = r"/api/datasets/(?P<repo>[^/]+/[^/]+)"
_PREUPLOAD = re.compile(rf"{_API}/preupload/(?P<revision>.+)")
_COMMIT = re.compile(rf"{_API}/commit/(?P<revision>.+)")
_BRANCH = re.compile(rf"{_API}/branch/(?P<branch>(?P<revision>.+))")
_BATCH = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
_OBJECT = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})")


@dataclass
class PushHub(Hub):
    """A Hub whose accounts may make and change datasets under their own names.

    Attributes:
        inbox: where new repositories are kept.
        readers: accounts whose tokens may only read.
        broken: part of a path that is answered with this status, such as ``{"/commit/": 500}``.
        broken_after: how many files are taken before each further one is answered with 403; None takes all.
        branches: (id, branch) to its folder, of all branches but ``main``.
    """

    inbox: Path = Path()
    readers: frozenset[str] = frozenset()
    broken: dict[str, int] = field(default_factory=dict)
    broken_after: int | None = None
    branches: dict[tuple[str, str], Path] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def handler(self) -> type[Handler]:
        return _PushHandler

    def folders(self, repo: str) -> dict[str, Path]:
        return super().folders(repo) | {branch: at for (name, branch), at in self.branches.items() if name == repo}


class _PushHandler(Handler):
    hub: PushHub

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.asked.append(f"PUT {self.path}")
        if self._fails():
            return None
        if self.hub.broken_after is not None and len(self.hub.objects) >= self.hub.broken_after:
            return self._error(403, "")
        match = _OBJECT.fullmatch(self.path)
        if match is None or hashlib.sha256(data).hexdigest() != match["oid"]:
            return self._error(400, "")
        self.hub.objects[match["oid"]] = data
        return self._send(200, b"", {})

    def _answer(self, body: bytes = b"") -> None:
        if self._fails():
            return None
        for path, answer in (("/api/repos/create", self._create), ("/api/validate-yaml", self._card)):
            if self.path == path:
                self.hub.asked.append(f"{self.command} {path}")
                return answer(json.loads(body))
        match = _BATCH.fullmatch(self.path)
        return self._batch(json.loads(body)) if match else super()._answer(body)

    def _entries(self, repo: str) -> list[dict[str, Any]]:
        files = self.hub.files(repo, self.branch)
        return [
            entry | {"lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}}
            if (data := files.get(entry["path"])) is not None and entry["path"].endswith(".parquet")
            else entry
            for entry in super()._entries(repo)
        ]

    def _fails(self) -> bool:
        for part, status in self.hub.broken.items():
            if part in self.path:
                self._error(status, "")
                return True
        return False

    @property
    def answers(self) -> Sequence[tuple[re.Pattern[str], Any]]:
        ours = ((_PREUPLOAD, self._preupload), (_COMMIT, self._commit), (_BRANCH, self._branch))
        return (*ours, *super().answers)

    def _of_repo(self, match: re.Match[str], answer: Any, body: bytes) -> None:
        if answer not in (self._preupload, self._commit, self._branch):
            return super()._of_repo(match, answer, body)
        repo = match["repo"]
        if repo not in self.hub.repos:
            return self._error(404, "RepoNotFound")
        if not self._may_write(repo.split("/")[0]):
            return self._error(403, "", message="You don't have the required permissions")
        return answer(repo, match, body)

    def _may_write(self, owner: str) -> bool:
        return self.account == owner and self.account not in self.hub.readers

    def _create(self, order: dict[str, Any]) -> None:
        if self.account is None:
            return self._error(401, "", message="Invalid credentials in Authorization header")
        repo = f"{order['organization']}/{order['name']}"
        if not self._may_write(order["organization"]):
            return self._error(403, "", message="You don't have the rights to create a dataset under this namespace")
        url = json.dumps({"url": f"{self.hub.endpoint}/datasets/{repo}"}).encode()
        if repo in self.hub.repos:
            return self._send(409, url, {"Content-Type": "application/json"})
        folder = self.hub.inbox / "main" / repo
        folder.mkdir(parents=True)
        (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
        self.hub.repos = {**self.hub.repos, repo: folder}
        # `private` is how older clients say it
        if order.get("visibility") == "private" or order.get("private"):
            self.hub.private.add(repo)
        return self._send(200, url, {"Content-Type": "application/json"})

    def _card(self, sent: dict[str, Any]) -> None:
        matter = yaml.safe_load(sent["content"].split("---\n")[1])
        wrong = [] if isinstance(matter.get("license", ""), str) else [{"message": '"license" must be a string'}]
        content = json.dumps({"errors": wrong, "warnings": []}).encode()
        self._send(400 if wrong else 200, content, {"Content-Type": "application/json"})

    def _preupload(self, repo: str, match: re.Match[str], body: bytes) -> None:
        modes = {True: "lfs", False: "regular"}
        files = json.loads(body)["files"]
        self._json(
            {
                "files": [
                    {"path": f["path"], "uploadMode": modes[f["path"].endswith(".parquet")], "shouldIgnore": False}
                    for f in files
                ]
            }
        )

    def _batch(self, sent: dict[str, Any]) -> None:
        self.hub.asked.append(f"POST {self.path}")
        # what is there already is not to be sent, as the protocol has it
        objects = [
            one
            if one["oid"] in self.hub.objects
            else one | {"actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{one['oid']}"}}}
            for one in sent["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _branch(self, repo: str, match: re.Match[str], _: bytes) -> None:
        if (repo, match["branch"]) in self.hub.branches:
            return self._error(409, "")
        folder = self.hub.inbox / match["branch"] / repo
        folder.mkdir(parents=True)
        self.hub.branches[repo, match["branch"]] = folder
        return self._json({})

    def _commit(self, repo: str, match: re.Match[str], body: bytes) -> None:
        folder = self.hub.folders(repo)[match["revision"]]
        for line in body.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "file":
                (folder / value["path"]).write_bytes(base64.b64decode(value["content"]))
            elif change["key"] == "lfsFile":
                (folder / value["path"]).write_bytes(self.hub.objects[value["oid"]])
            elif change["key"] == "deletedFile":
                (folder / value["path"]).unlink()
            else:
                assert change["key"] == "header", change
        commit = self.hub.commit(repo, match["revision"])
        url = f"{self.hub.endpoint}/datasets/{repo}/commit/{commit}"
        self._json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})
