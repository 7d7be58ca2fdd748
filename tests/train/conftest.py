"""Fixtures of the training's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.other_process import OtherProcess
from tests.train.eight import eight_devices


@pytest.fixture(scope="session")
def eight() -> Iterator[OtherProcess]:
    """Call a function where jax has eight devices: ``eight(function, *arguments)``."""
    with eight_devices() as devices:
        yield devices
