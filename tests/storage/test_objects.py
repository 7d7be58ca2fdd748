"""Objects at an address: what is written is there as a whole, and what is wrong is a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from tests.builds import asked, build
from tests.storage.conftest import Bucket
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.storage import objects as module
from tunixhack.storage.failures import failure
from tunixhack.storage.objects import Objects
from tunixhack.testing import ScriptedTeacher


class Renaming(LocalFileSystem):  # type: ignore[misc]
    """A file system whose files can be seen half-written, as those of sftp."""

    protocol = "renaming"
    written: list[str] = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("renaming://")))

    def pipe_file(self, path: str, value: bytes, **how: Any) -> None:
        self.written.append(path)
        super().pipe_file(path, value, **how)


fsspec.register_implementation("renaming", Renaming, clobber=True)


def test_where_files_are_seen_half_written_they_are_renamed(tmp_path: Path):
    Renaming.written.clear()
    objects = Objects(f"renaming://{tmp_path}/runs")
    objects.write("a/run.json", b"1")
    objects.write("a/run.json", b"2")
    (tmp_path / "local").write_bytes(b"3")
    objects.send(tmp_path / "local", "a/answers/0.parquet")
    assert objects.sizes() == {"a/run.json": 1, "a/answers/0.parquet": 1}
    assert (tmp_path / "runs/a/run.json").read_bytes() == b"2"
    assert not [path for path in Renaming.written if path.endswith("run.json")], "only drafts are written"


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_objects_are_listed_read_copied_and_removed(kind: str, bucket: Bucket, tmp_path: Path):
    objects = Objects(bucket.address("a/b") if kind == "s3" else f"memory://{bucket.name}/a/b")
    assert (objects.sizes(), objects.folders(), objects.read("none")) == ({}, [], None)
    objects.write("one/run.json", b"{}")
    objects.write("one/deep/er/x", b"123")
    objects.write("two/run.json", b"")
    assert objects.sizes() == {"one/run.json": 2, "one/deep/er/x": 3, "two/run.json": 0}
    assert objects.sizes("one") == {"run.json": 2, "deep/er/x": 3}
    assert objects.folders() == ["one", "two"]
    objects.fetch("one/deep/er/x", tmp_path / "new" / ".x")
    objects.send(tmp_path / "new" / ".x", "copied")
    assert objects.read("copied") == b"123"
    objects.remove("copied")
    objects.remove("copied")
    assert objects.read("copied") is None
    with pytest.raises(FileNotFoundError):
        objects.send(tmp_path / "gone", "copied")


REACHING = "check the network and AWS_ENDPOINT_URL"
WRONG = {
    "unknown protocol": ("xyz://bucket/runs", {}, "the protocol xyz is unknown to fsspec"),
    "chained": ("simplecache::s3://bucket/runs", {}, "chains file systems"),
    "no bucket named": ("s3://", {}, "s3:// names no bucket"),
    "password": ("s3://key:secret@bucket/runs", {}, r"\*\*\*@bucket/runs has credentials in it"),
    "token": ("az://box/runs?sig=abc", {}, r"az://box/runs\?sig=\*\*\* has credentials in it"),
    "no such bucket": ("s3://not-there/runs", {}, "there is no bucket not-there for .*: make it, or give another one"),
    "no network": ("s3://bucket/runs", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, f"cannot be reached .*{REACHING}"),
    "no credentials": (
        "s3://bucket/runs",
        {"AWS_ACCESS_KEY_ID": None, "AWS_ENDPOINT_URL": None},
        "there are no credentials to .*: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    "no package": ("sftp://host/runs", {}, "sftp://host/runs needs a package that is not installed: .*paramiko"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_an_address_is_a_sentence_before_anything_is_asked(
    wrong: str,
    recipe: Recipe,
    teacher: ScriptedTeacher,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    address, environment, said = WRONG[wrong]
    if wrong == "no credentials":  # neither from a file of this user's, nor from a machine of a cloud's
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if wrong == "no package":
        monkeypatch.setitem(__import__("sys").modules, "paramiko", None)
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    with pytest.raises(UserError, match=said) as caught:
        build(recipe, teacher, address, shard="1/2")
    assert "secret" not in str(caught.value)
    assert "sig=abc" not in str(caught.value)
    assert asked(teacher) == 0


def test_nothing_is_asked_through_threads_that_a_process_does_not_end_with(bucket: Bucket, tmp_path: Path):
    """The asynchronous calls of obstore end in threads that abort a process which ends at that moment."""
    program = (
        "import sys; from tunixhack.storage.objects import Objects; o = Objects(sys.argv[1]); o.write('x', b'1'); "
    )
    program += (
        "o.read('x'); o.sizes(); o.remove('x'); print([n for n in sys.modules if n in ('obstore.fsspec', 'asyncio')])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, bucket.address()], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_without_an_implementation_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(UserError, match=r"gs://bucket/runs needs packages that are not installed: .*\[storage\]"):
        Objects("gs://bucket/runs")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError("Access Denied"), "the store refuses it .*check the rights of these credentials"),
        (Exception("<Error><Code>AccessDenied</Code><Message>Not you</Message></Error>"), r"refuses it \(Not you\)"),
        (OSError(28, "No space left on device"), "there is no room"),
        (Exception("<Code>QuotaExceeded</Code>"), "there is no room"),
        (TimeoutError(), r"cannot be reached \(TimeoutError\)"),
        (ValueError("line one\nDebug source:\n" + "x" * 999), r"cannot write s3://b/runs: line one$"),
    ],
)
def test_what_a_store_says_becomes_a_sentence(error: Exception, said: str):
    with pytest.raises(UserError, match=said):
        raise failure(error, "write", "s3://b/runs", "s3")
