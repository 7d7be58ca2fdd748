"""Rows from one format to another: nothing is lost on the way, and what cannot be said is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import Command
from tests.data_files.test_filtering import read, write
from tunixhack.data_files.convert import CannotSayError, convert_row, read_example
from tunixhack.formats import FORMATS, Example

NAMES = sorted(FORMATS)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40).filter(lambda text: text.strip())

PROSE = st.text("ab é漢?.\n*_#", min_size=1, max_size=30).filter(lambda text: text.strip())


@given(TEXT, TEXT, TEXT, st.permutations(NAMES), st.dictionaries(st.sampled_from(["id", "source"]), TEXT))
def test_a_row_comes_back_from_every_round_trip(
    user: str, reasoning: str, answer: str, order: list[str], others: dict[str, str]
):
    example = Example(user, reasoning, answer)
    row = FORMATS[order[0]].write(example) | others
    try:
        for name in [*order[1:], order[0]]:
            row = convert_row(json.loads(json.dumps(row)), FORMATS[name])
    except CannotSayError:
        return  # told, and listed; of what is written nothing is lost
    assert row == FORMATS[order[0]].write(example) | others


@given(PROSE, PROSE, PROSE, st.permutations(NAMES))
def test_prose_is_held_by_every_format(user: str, reasoning: str, answer: str, order: list[str]):
    row = FORMATS[order[0]].write(Example(user, reasoning, answer))
    for name in order:
        row = convert_row(row, FORMATS[name])
    assert row == FORMATS[order[-1]].write(Example(user, reasoning, answer))


PLAIN = Example("What is 2 + 2?", "Two and two make four.", "It is 4.")


@pytest.mark.parametrize("to", NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_every_format_becomes_every_other_one(name: str, to: str):
    assert convert_row(FORMATS[name].write(PLAIN) | {"id": 7}, FORMATS[to]) == FORMATS[to].write(PLAIN) | {"id": 7}


@pytest.mark.parametrize(
    "row",
    [
        {"question": PLAIN.user, "reasoning": PLAIN.reasoning, "answer": PLAIN.answer},
        {"instruction": PLAIN.user, "output": f"<think>\n{PLAIN.reasoning}\n</think>\n\n{PLAIN.answer}"},
        {
            "text": f"<|im_start|>user\n{PLAIN.user}<|im_end|>\n<|im_start|>assistant\n<think>\n{PLAIN.reasoning}\n"
            f"</think>\n\n{PLAIN.answer}<|im_end|>\n"
        },
    ],
)
def test_columns_and_templates_are_read_too(row: dict[str, str]):
    assert convert_row(row | {"id": 7}, FORMATS["think"]) == FORMATS["think"].write(PLAIN) | {"id": 7}


def turns(*pairs: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text, **more} for role, text in pairs]}


REPLY = "<think>Hm.</think>Yes."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"other": 1}, "unknown_shape"),
        (turns(("user", "Why?"), ("assistant", "So.")), "no_trace"),
        (turns(("user", "Why?"), ("assistant", REPLY), ("user", "And?"), ("assistant", REPLY)), "turns"),
        (turns(("system", "Be brief."), ("user", "Why?"), ("assistant", REPLY)), "system"),
        (turns(("user", "Why?"), ("assistant", REPLY), weight=1), "turn_fields"),
        (turns(("user", "Why?"), ("assistant", "<think>Hm.</think>")), "no_answer"),
        (turns(("user", " "), ("assistant", REPLY)), "no_question"),
    ],
)
def test_what_the_format_cannot_hold_is_told(row: dict[str, Any], reason: str):
    with pytest.raises(CannotSayError) as error:
        convert_row(row, FORMATS["sharegpt"])
    assert error.value.reason == reason


def test_a_text_with_the_formats_own_tag_is_told():
    example = PLAIN._replace(answer="Write <answer> first.")
    assert read_example(FORMATS["messages"].write(example))[0] == example
    with pytest.raises(CannotSayError, match="tag_in_text"):
        convert_row(FORMATS["messages"].write(example), FORMATS["hackathon"])


def test_a_file_is_converted_and_the_rest_of_it_listed(tunixhack: Command, tmp_path: Path):
    good = FORMATS["messages"].write(PLAIN)
    file = write(tmp_path / "rows.jsonl", [good, turns(("user", "Why?"), ("assistant", "So.")), good])
    done = tunixhack("convert", file, "--to", "sharegpt", "--json")
    assert done.code == 0, done.err
    assert (done.json["kept"], done.json["reasons"]) == (2, {"no_trace": 1})
    assert read(tmp_path / "rows.sharegpt.jsonl") == [FORMATS["sharegpt"].write(PLAIN)] * 2
    (left,) = read(tmp_path / "rows.sharegpt-removed.jsonl")
    assert (left["row"], left["reason"]) == (1, "no_trace")
    unknown = tunixhack("convert", file, "--to", "sharegtp")
    assert (unknown.code, "did you mean sharegpt" in unknown.err) == (2, True)
