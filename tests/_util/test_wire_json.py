"""Whatever a server's JSON holds can be written down again, and nothing of it is lost that a file can hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack._util.wire_json import DEEPEST, read_json

TEXT = st.text(st.characters(codec=None, categories=None))  # halves of surrogate pairs among them
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inside: st.lists(inside) | st.dictionaries(TEXT, inside),
    max_leaves=20,
)


def writable(data: Any) -> bool:
    return json.loads(json.dumps(data, ensure_ascii=False, allow_nan=False).encode()) == data


@given(DATA)
@settings(deadline=None)
def test_json_is_read_as_it_is_but_for_halves_of_letters(data: Any):
    as_utf8 = json.dumps(data, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read_json(json.dumps(data).encode()) == json.loads(as_utf8)
    assert writable(read_json(json.dumps(data).encode()))


@given(st.binary() | DATA.map(lambda data: json.dumps(data).encode()[:-1]))
@settings(deadline=None)
def test_any_bytes_are_no_json_or_can_be_written_down(body: bytes):
    try:
        found = read_json(body)
    except ValueError:
        return
    assert writable(found)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_of_json_is_read_and_what_is_cut_in_two_is_replaced(encoding: str):
    data = {"say": "half \ud83d, whole 😀"}
    body = json.dumps(data, ensure_ascii=False).encode(encoding, "surrogatepass")
    found = read_json(body)["say"]
    assert found.startswith("half \ufffd")
    assert found.endswith(", whole 😀")


def test_broken_utf8_is_replaced_and_the_rest_is_kept():
    assert read_json(b'{"say": "seven \xf0\x9f\x98 and \xed\xa0\xbd"}') == {
        "say": "seven \ufffd and \ufffd\ufffd\ufffd"
    }


def test_halves_of_a_pair_that_are_spelled_one_after_the_other_are_one_letter():
    assert read_json(rb'["\ud83d\ude00", "\ude00\ud83d", "\\ud83d"]') == ["😀", "\ufffd\ufffd", "\\ud83d"]


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("12", 12),
        (str(2**64), 2**64),
        ("-1", -1),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("9" * 5000, "9" * 5000),
        ("1.5", 1.5),
    ],
)
def test_numbers_that_no_file_holds_stay_text(number: str, read: Any):
    assert read_json(f'{{"n": {number}}}'.encode()) == {"n": read}


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1, 300, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_deeper_than_readers_go_is_the_text_it_was(levels: int, opens: str, closes: str):
    body = opens * levels + '"[{"' + closes * levels
    found = read_json(body.encode())
    depth = 0
    while not isinstance(found, str):
        found, depth = found[0] if isinstance(found, list) else found["a"], depth + 1
    assert depth == min(levels, DEEPEST)
    assert found == ("[{" if levels <= DEEPEST else body[len(opens) * depth : len(body) - depth])


@pytest.mark.parametrize("body", [b"[" * 10**6, b'{"a":' * 10**5, b'["' + b"[" * 10**5, b"]" * 10**5 + b"[" * 10**5])
def test_brackets_that_are_never_closed_are_no_json(body: bytes):
    with pytest.raises(ValueError, match=r"."):
        read_json(body)


def test_what_should_have_been_escaped_in_a_string_is_read_as_it_is():
    assert read_json(b'{"say": "one\ntwo\x00"}') == {"say": "one\ntwo\x00"}
