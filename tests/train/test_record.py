"""``student.json`` as others give it: whatever is in it, there is a sentence and no traceback."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.toy import write_toy
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.settings import Settings

GOOD = {
    "base": {"name": "tiny", "family": "llama", "fingerprint": "f" * 64, "parameters": 1000, "hub": None},
    "settings": Settings().as_dict(),
    "data": {
        "key": "k" * 64,
        "datasets": [{"name": "sums.jsonl", "hub": None, "weight": 1.0, "rows": 7, "left_out": {}}],
        "domains": [
            {"name": "even", "rows": 6, "validation_rows": 1, "tokens": 40, "learnt": 20, "dropped": {"too long": 2}}
        ],
    },
    "scratch": None,
    "status": "training",
    "steps": 3,
    "tokens": 900,
    "plan": {"wanted": 9, "steps": 9},
    "seconds": {"packing": 0.5},
    "losses": {"first": 2.0, "last": 1},
    "performance": {
        "tokens_per_second": 900.5,
        "mfu": None,
        "step_seconds": 0.5,
        "data_wait_seconds": 0,
        "compile_seconds": 3.5,
        "peak_memory_bytes": 10**9,
        "estimated_memory_bytes": None,
    },
    "validation": {"before": None},
    "notes": [],
    "versions": {"jax": "0.10.2"},
    "devices": "the CPU",
}


def write(folder, content):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / record.FILE).write_bytes(text)
    return folder


def test_what_a_training_writes_is_read(tmp_path):
    found = record.read(write(tmp_path, GOOD))
    assert found.settings == Settings()
    assert found.as_dict() | {"schema": 2} == found.as_dict()
    record.write(tmp_path, found)
    assert record.read(tmp_path) == found
    assert json.loads((tmp_path / record.FILE).read_text())["losses"] == GOOD["losses"]
    begun = {name: GOOD[name] for name in ("base", "settings", "data")}  # before its first step
    assert record.read(write(tmp_path, begun)).data.domains[0].validation_rows == 1
    assert record.read(write(tmp_path, begun)).performance is None  # as an older version wrote it


def test_the_record_of_a_later_version_is_not_taken_for_one_of_this(tmp_path):
    with pytest.raises(UserError, match="written by a later version of tunixhack"):
        record.read(write(tmp_path, GOOD | {"schema": record.SCHEMA + 1}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        bytes(500),
        b"[" * 100_000,
        b"1" * 10_000,
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"settings": {}, "base": {}}',
        b'{"settings": [], "base": "x", "data": 7}',
    ],
)
@pytest.mark.parametrize("verb", [("generate", "FOLDER", "why?"), ("export", "FOLDER", "e"), ("train",)])
def test_a_file_that_is_no_record_is_a_sentence(tunixhack, tmp_path, content, verb):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    folder = write(tmp_path, content)
    if verb == ("train",):
        rows, student = write_toy(tmp_path.parent)
        verb = (
            "train",
            rows,
            "--model",
            student,
            "--out",
            "FOLDER",
            "--validation-questions",
            "8",
            "--max-seq-len",
            "128",
        )
    done = tunixhack(*(folder if word == "FOLDER" else word for word in verb))
    assert done.code == 2
    assert "student.json" in done.sentence


def places(found, at=()):
    """Name every value of a record."""
    yield at
    if isinstance(found, dict | list):
        for name in found if isinstance(found, dict) else range(len(found)):
            yield from places(found[name], (*at, name))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([at for at in places(GOOD) if at]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2),
              st.dictionaries(st.text(max_size=3), st.none() | st.integers(), max_size=2), st.just("gone")),
)  # fmt: skip
def test_whatever_stands_in_a_place_it_is_read_or_refused(tmp_path_factory, at, value):
    from tunixhack.train.report.model_card import card

    content = copy.deepcopy(GOOD)
    inside = content
    for name in at[:-1]:
        inside = inside[name]
    if value == "gone":
        del inside[at[-1]]
    else:
        inside[at[-1]] = value
    folder = write(tmp_path_factory.mktemp("record"), content)
    with suppress(UserError):
        found = record.read(folder)
        record.refuse_changes(folder, found, found)
        card(found)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": "8"}, 'batch_size = "8"'),
        ({"epochs": 1.5}, "epochs = 1.5"),
        ({"seed": True}, "seed = true"),
        ({"of_a_later_version": 3}, "of_a_later_version = 3"),
        ({"method": None}, "method = null"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path, change, named):
    with pytest.raises(UserError, match="has a setting that this version of tunixhack cannot read") as refused:
        record.read(write(tmp_path, GOOD | {"settings": Settings().as_dict() | change}))
    assert named in str(refused.value)
