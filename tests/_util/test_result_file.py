"""A file of results that cannot be used is a sentence that says how it comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunixhack._util.result_file import ResultFile
from tunixhack.errors import UserError

FILE = ResultFile(name="it.json", of="a trial", schema=2, remedy="the same command writes it anew", needs=("rows",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is not the folder of a trial: it has no it.json"),
        ("{", r"it.json cannot be read \(.*\): remove it, and the same command writes it anew"),
        ("[" * 100_000, r"it.json cannot be read \(.*\): remove it"),
        ("[]", "it.json is not what a trial writes: remove it, and the same"),
        ('{"schema": "2", "rows": 1}', "it.json is not what a trial writes"),
        ('{"schema": 2}', "it.json is not what a trial writes"),
        ('{"schema": 3}', "was written by a later version of tunixhack: use that one"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(text: str | None, told: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "it.json").write_text(text)
    with pytest.raises(UserError, match=told):
        FILE.read(tmp_path)


def test_what_can_is_read_whatever_else_is_in_it(tmp_path: Path):
    (tmp_path / "it.json").write_text('{"schema": 1, "rows": [], "more": null}')
    assert FILE.read(tmp_path) == {"schema": 1, "rows": [], "more": None}
