"""Keys of other identities of a teacher are found in whatever parts the requests came, and no others are touched."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack._util.ids import request_key
from tunixhack.steps.request import Request
from tunixhack.teachers.base import Teacher
from tunixhack.teachers.engine.aliases import Aliases, named_as_own

MEMBERS = {f"http://{name}/v1#m": {"url": f"http://{name}/v1", "model": "m"} for name in ("one", "two", "gone")}
LISTED = Teacher(
    name="servers#m",
    model="m",
    identity={"model": "m"},
    aliases=MEMBERS,
    sampling={},
    connect=nullcontext,  # type: ignore[arg-type]
)


def request(text: str) -> Request:
    return Request(question_id=text, messages=[{"role": "user", "content": text}], samples=[0])


def key(text: str, identity: Any = LISTED.identity) -> str:
    one = request(text)
    sampling, grammar = one.sampling_of(LISTED), one.grammar_of(LISTED)
    return request_key(identity, LISTED.model, one.messages, sampling, grammar)


@settings(max_examples=25)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4))
def test_answers_of_members_stand_under_the_key_of_the_list(parts: list[list[str]]):
    stored = {"http://one/v1#m", "http://two/v1#m"}
    learnt = Aliases.together([Aliases.of([request(text) for text in part], LISTED, stored) for part in parts])
    asked = {text for part in parts for text in part}
    names = ["http://one/v1#m", "http://two/v1#m", "http://gone/v1#m", LISTED.name]
    identities = [*(MEMBERS[name] for name in names[:3]), LISTED.identity]
    rows = pl.DataFrame(
        [
            {"text": text, "request_key": key(text, identity), "teacher": name}
            for text in "abcdefgh"
            for name, identity in zip(names, identities, strict=True)
        ]
    )
    for row in learnt.as_own(rows, LISTED).iter_rows(named=True):
        index = names.index(row["teacher"]) if row["teacher"] in names else None
        assert index is not None
        counts = row["text"] in asked and row["request_key"] == key(row["text"])
        assert row["teacher"] == LISTED.name if counts else row["request_key"] == key(row["text"], identities[index])
    assert Aliases().as_own(rows, LISTED).equals(rows)
    assert named_as_own(rows, LISTED)["teacher"].unique().to_list() == [LISTED.name]
