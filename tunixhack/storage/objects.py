"""Objects below an address, through fsspec: listed, read, written as a whole, and removed.

Nothing is asked of a store that not all have: no lock, no append, no rename, no condition on a write. What is written
is there as a whole or not at all.

S3, Google and Azure are asked through obstore where it is installed, whose one wheel has no requirements; else through
the package that fsspec names. s3fs, the other one for S3, cannot be installed beside Curator and what trains: datasets
below 4 holds fsspec at 2025.3, that s3fs needs an aiobotocore below 3, which needs a wrapt below 2.
"""

from __future__ import annotations

import errno
import posixpath
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from tunixhack._util.addresses import has_secret
from tunixhack._util.credentials import without_credentials
from tunixhack._util.files import write_atomically
from tunixhack.errors import MissingExtra, UserError
from tunixhack.storage.failures import StorageFailed, failure, names_no_bucket
from tunixhack.storage.through_obstore import PROTOCOLS, Obstore

WHOLE = (*PROTOCOLS, "gcs", "memory", "hf", "oss", "oci", "ocilake", "tosfs", "lakefs")
"""Protocols of stores that take an object as a whole. Elsewhere it is written under another name, and renamed."""
AT_ONCE = 8
"""Objects that are fetched beside one another."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What a disk answers that is full."""
_VERSIONS = (
    "version",
    "VersionId",
    "generation",
    "e_tag",
    "ETag",
    "etag",
    "last_modified",
    "LastModified",
    "mtime",
    "modified",
    "updated",
    "created",
)
"""What stores tell of an object that is another one after it was written anew, each by names of its own."""
T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """An object, as a listing tells of it."""

    size: int
    """In bytes."""
    version: str | None
    """Another one after the object was written anew; None where the store tells nothing of the kind."""


class Objects:
    """The objects below an address.

    Args:
        address: such as ``s3://bucket/runs/large``.

    Raises:
        UserError: fsspec does not know the protocol, a package is missing, or the address has a password in it.
    """

    def __init__(self, address: str) -> None:
        """Open the file system; nothing is asked yet."""
        self.address = address
        self._protocol = address.partition("://")[0].lower()
        if has_secret(address):
            raise UserError(
                f"{without_credentials(address)} has credentials in it, which would be written down with the build's "
                "command: give them in the environment, as for S3 in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if "::" in self._protocol:
            raise UserError(f"{address} chains file systems, which a build cannot be kept in: give the last one alone")
        if not address.partition("://")[2]:
            raise UserError(f"{address} names no bucket: write it as in s3://bucket/runs/large")
        self._fs = _file_system(address, self._protocol)
        self._root = str(self._fs._strip_protocol(address)).rstrip("/")

    def sizes(self, under: str = "") -> dict[str, int]:
        """Return the bytes of each object below a folder, by its name from there; see `listed`."""
        return {name: one.size for name, one in self.listed(under).items()}

    def listed(self, under: str = "") -> dict[str, Listed]:
        """Return the objects below a folder by their names from there.

        Raises:
            StorageFailed: the store cannot be asked, or has no such bucket.
        """
        root = self._path(under)

        def listed() -> dict[str, Listed]:
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(root, detail=True)
            except FileNotFoundError as error:
                if names_no_bucket(error):
                    raise
                return {}
            named = ((name[len(root) :].lstrip("/"), about) for name, about in found.items())
            # an empty object that is called as the folder itself is how a store's own web page makes a folder
            return {name: _listed(about) for name, about in named if name and not name.endswith("/")}

        return self._do("list", under, listed)

    def folders(self) -> list[str]:
        """Return the names of the folders at the top."""

        def listed() -> list[str]:
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._root, detail=True)
            except FileNotFoundError as error:
                if names_no_bucket(error):
                    raise
                return []
            return sorted(str(one["name"]).rstrip("/").rpartition("/")[2] for one in found if one["type"] != "file")

        return self._do("list", "", listed)

    def read(self, name: str) -> bytes | None:
        """Return an object's content; None where there is none."""

        def content() -> bytes | None:
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

        return self._do("read", name, content)

    def fetch(self, name: str, path: Path) -> None:
        """Copy an object into a file, which is there as a whole or not at all."""

        def copied(draft: Path) -> None:
            self._do("read", name, lambda: self._fs.get_file(self._path(name), str(draft.absolute())))

        write_atomically(path, copied)

    def write(self, name: str, content: bytes) -> None:
        """Write an object, in place of the one that is there."""
        self._put(name, lambda path: self._fs.pipe_file(path, content))

    def send(self, path: Path, name: str) -> None:
        """Copy a file into an object.

        Raises:
            FileNotFoundError: the file is gone.
        """
        with path.open("rb"):
            pass
        self._put(name, lambda to: self._fs.put_file(str(path.absolute()), to))

    def remove(self, name: str) -> None:
        """Remove an object; none is fine."""

        def removed() -> None:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

        self._do("remove", name, removed)

    def _put(self, name: str, write: Callable[[str], object]) -> None:
        path = self._path(name)

        def put() -> None:
            if self._protocol in WHOLE:
                write(path)
                return
            self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
            draft = f"{posixpath.dirname(path)}/.{posixpath.basename(path)}.{uuid.uuid4().hex}.tmp"
            write(draft)
            self._fs.mv(draft, path)

        self._do("write", name, put)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name and self._root else name or self._root

    def _do(self, what: str, name: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except StorageFailed:
            raise
        except OSError as error:
            if what == "read" and error.errno in NO_ROOM:  # of this machine's disk, into which an object is copied
                raise
            raise self._failure(error, what, name) from error
        except Exception as error:  # each implementation of fsspec has errors of its own
            raise self._failure(error, what, name) from error

    def _failure(self, error: Exception, what: str, name: str) -> StorageFailed:
        told = name.partition(".claims/")[0]  # a claim says nothing to who reads the sentence
        return failure(error, what, f"{self.address}/{told}".rstrip("/"), self._protocol)


def _listed(about: Mapping[str, Any]) -> Listed:
    told = {name: str(about[name]) for name in _VERSIONS if about.get(name) is not None}
    return Listed(int(about["size"] or 0), str(told) if told else None)


def together(call: Callable[[T], object], given: Iterable[T]) -> None:
    """Call a function with each of some arguments, several at once; the first error is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(call, given):
            pass


def _file_system(address: str, protocol: str) -> Any:
    """Open the file system of a protocol."""
    if protocol in PROTOCOLS and find_spec("obstore") is not None:
        return Obstore(address, protocol)
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(address)[0]
    except ImportError as error:
        if protocol in PROTOCOLS:
            raise MissingExtra("storage", address) from error
        raise UserError(f"{address} needs a package that is not installed: {_first_line(error)}") from error
    except ValueError as error:
        if "not known" not in str(error):
            raise UserError(f"{address} is no address that can be opened: {_first_line(error)}") from error
        raise UserError(
            f"{address}: the protocol {protocol} is unknown to fsspec; known are s3, gs, az, hf, sftp and others, and "
            "a folder of this machine is named by its path"
        ) from error
    except Exception as error:  # as above
        raise failure(error, "open", address, protocol) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
