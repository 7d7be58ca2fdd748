"""The embedded teacher, started once for all tests that ask it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunixhack.errors import UserError
from tunixhack.teachers.local.model_file import fetch_local
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.teachers.transport import retries


@pytest.fixture(scope="session")
def local_model() -> Path:
    """The model of the teacher `local`, fetched if the cache lacks it."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed, which the extra [local] brings")
    try:
        return fetch_local()
    except UserError as error:
        pytest.skip(f"the embedded model cannot be fetched: {error}")


@pytest.fixture(scope="session")
def embedded_server(local_model: Path) -> Iterator[EmbeddedServer]:
    """One server for the whole session, as each of the processes of `--teacher local`, with all of its slots.

    It has one thread: two wait for one another whenever another test runs beside them.
    """
    with EmbeddedServer(local_model, small_keys=True, threads=1) as server:
        yield server


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request's next try follow at once."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.01)
