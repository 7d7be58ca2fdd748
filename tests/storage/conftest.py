"""A server of S3 on this machine, and what the tests of builds at addresses share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tunixhack.storage import carrier, claims
from tunixhack.storage.objects import Objects
from tunixhack.storage.working_copy import VARIABLE


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own for each test."""

    name: str
    endpoint: str

    def address(self, path: str = "runs/large") -> str:
        return f"s3://{self.name}/{path}"

    def names(self, path: str = "runs/large") -> list[str]:
        return sorted(Objects(self.address(path)).sizes())


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server of S3; the tests skip where its package is absent."""
    pytest.importorskip("obstore", reason="obstore is not installed, which the extra [storage] brings")
    pytest.importorskip("flask_cors", reason="moto's server is not installed, which the extra [test] brings")
    server = pytest.importorskip("moto.server", reason="moto is not installed, which the extra [test] brings")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(s3: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket, with its keys in the environment, and working copies that no other test has."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "here"))
    import boto3

    name = f"bucket-{abs(hash(request.node.nodeid)) % 10**12}"
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=name)
    return Bucket(name, s3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds, beats and looks without the seconds between."""
    monkeypatch.setattr(carrier, "PAUSE", 0.05)
    monkeypatch.setattr(claims, "BEAT", 0.05)
    monkeypatch.setattr(claims, "LOOK", 0.5)
    monkeypatch.setattr(claims, "LOOKS", 3)
