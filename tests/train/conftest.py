"""Fixtures of the training's tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.train.eight import Eight


@pytest.fixture(scope="session")
def eight() -> Iterator[Eight]:
    """Call a function where jax has eight devices: ``eight(function, *arguments)``."""
    with tempfile.TemporaryFile("w+") as complaints:
        devices = Eight(complaints)
        yield devices
        devices.close()
