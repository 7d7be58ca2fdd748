"""Who has what one process at a time may have, and whether that process is alive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunixhack._util.owner import Owner


def test_this_process_owns_something_for_as_long_as_it_says_so():
    with Owner.this_process() as first, Owner.this_process() as second:
        assert first != second
        assert first.running() is second.running() is True
        assert str(first) == f"process {first.pid} on {first.host}"
    assert first.running() is False
    assert replace(first, system="another").running() is None


@pytest.mark.parametrize(
    "wrong",
    [{"pid": 0}, {"pid": 2**31}, {"pid": True}, {"start": "1"}, {"host": None}, {"host": "a\x1b[2J"}, {"token": 7}],
)
def test_what_no_process_has_is_told_from_an_owner(wrong: dict[str, object]):
    with Owner.this_process() as mine:
        assert mine.plausible
        assert not replace(mine, **wrong).plausible  # type: ignore[arg-type]
