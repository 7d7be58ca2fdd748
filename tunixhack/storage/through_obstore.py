"""S3, Google and Azure through obstore, by the methods of a file system of fsspec that are used here.

obstore has such a file system itself, whose calls end in threads that Python waits for nowhere: a process that ends at
that moment is aborted (PyO3/pyo3-async-runtimes, issue 40), as one of about thirty builds was. What is here calls
obstore without such threads.
"""

from __future__ import annotations

import os
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PROTOCOLS = ("s3", "s3a", "gs", "az", "abfs", "abfss", "adl", "azure")
"""Protocols that obstore speaks."""
RETRIES, RETRYING, CONNECTING, ANSWERING = 4, 30.0, 10.0, 120.0
"""Tries of a request, seconds that they may take together, and seconds for a connection and for an answer."""


class Obstore:
    """The objects below an address; paths are told from there.

    Args:
        address: with its protocol.
        protocol: one of `PROTOCOLS`.
    """

    def __init__(self, address: str, protocol: str) -> None:
        """Open the store; nothing is asked yet."""
        from obstore.store import from_url

        opened: Any = from_url  # its overloads tell protocols apart, of which this takes any
        self._store = opened(
            address,
            client_options={
                "connect_timeout": f"{CONNECTING:g}s",
                "timeout": f"{ANSWERING:g}s",
                # a server in the user's own network is often without TLS, and its address is what the user gave
                "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRYING)},
            **(_aws_profile() if protocol in ("s3", "s3a") else {}),
        )

    def _strip_protocol(self, address: str) -> str:
        return ""

    def invalidate_cache(self) -> None:
        """Forget listings, of which none are kept."""

    def find(self, path: str, detail: bool) -> dict[str, dict[str, Any]]:
        """Return what is below a folder: for each name its ``size``, ``e_tag``, ``last_modified`` and ``version``."""
        found = (one for part in self._store.list(path or None) for one in part)
        return {str(one["path"]): dict(one) for one in found}

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        """Return the folders in a folder; its objects are left out."""
        folders = self._store.list_with_delimiter(path or None)["common_prefixes"]
        return [{"name": name, "type": "directory"} for name in folders]

    def cat_file(self, path: str) -> bytes:
        """Return an object's content."""
        return bytes(self._store.get(path).bytes())

    def get_file(self, path: str, local: str) -> None:
        """Copy an object into a file."""
        with Path(local).open("wb") as file:
            for part in self._store.get(path).stream():
                file.write(part)

    def pipe_file(self, path: str, content: bytes) -> None:
        """Write an object."""
        self._store.put(path, content)

    def put_file(self, local: str, path: str) -> None:
        """Copy a file into an object."""
        self._store.put(path, Path(local))

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        self._store.delete(path)


def _aws_profile() -> dict[str, Any]:
    """Return where the keys of ``~/.aws`` come from, where the environment has none and boto3 can read them."""
    if "AWS_ACCESS_KEY_ID" in os.environ or "AWS_WEB_IDENTITY_TOKEN_FILE" in os.environ:
        return {}
    if find_spec("boto3") is None:
        return {}
    import boto3

    session = boto3.Session()
    found = session.get_credentials()
    if found is None or found.method == "iam-role":  # which obstore asks by itself
        return {}
    from obstore.auth.boto3 import Boto3CredentialProvider

    region = {} if session.region_name is None else {"region": session.region_name}
    return {"credential_provider": Boto3CredentialProvider(session), **region}
