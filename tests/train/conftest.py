"""Fixtures of the training's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.other_process import OtherProcess
from tests.train.eight import eight_devices


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests on eight devices time to be asked twice; see `eight.PATIENCE`."""
    for item in items:
        if "eight" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def eight() -> Iterator[OtherProcess]:
    """Call a function where jax has eight devices: ``eight(function, *arguments)``."""
    with eight_devices() as devices:
        yield devices
