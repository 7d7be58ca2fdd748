"""Choices go to the samples that they answer, and what was received and paid for is an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._util.test_wire_json import DATA
from tests.teachers.odd_server import completion
from tunixhack.replies.choices import generated_text, match_choices, usage_of
from tunixhack.teachers.transport.completion import read_completion
from tunixhack.teachers.transport.endpoint import Endpoint
from tunixhack.teachers.transport.retries import Failure

ENDPOINT = Endpoint(url="http://there/v1", model="m")


def numbered(*numbers: Any) -> list[Any]:
    return [{"index": number, "message": {"content": "text"}} for number in numbers]


def read(answer: Any, asked: int = 1) -> dict[str, Any]:
    return read_completion(json.dumps(answer).encode(), ENDPOINT, asked)


# places


@pytest.mark.parametrize(
    ("choices", "asked", "pairs"),
    [
        (numbered(0, 1, 2), 3, [(0, 0), (1, 1), (2, 2)]),
        (numbered(2, 0, 1), 3, [(0, 1), (1, 2), (2, 0)]),
        (numbered(3, 1), 4, [(1, 1), (3, 0)]),  # two were left out, and it is known which
        (numbered(0, 0, 0), 3, [(0, 0), (1, 1), (2, 2)]),
        (numbered(1, 2), 2, [(0, 0), (1, 1)]),  # counted from 1
        (numbered(2, 1), 2, [(0, 1), (1, 0)]),
        (numbered(4, 0, 1, 2, 3), 4, [(0, 1), (1, 2), (2, 3), (3, 4)]),  # more than were asked for
        (numbered(None, None), 2, [(0, 0), (1, 1)]),
        (numbered("1", "0"), 2, [(0, 0), (1, 1)]),
        (numbered(True, False), 2, [(0, 0), (1, 1)]),
        (numbered(-1, 2**70), 2, [(0, 0), (1, 1)]),
        ([None, *numbered(0)], 2, [(0, 0), (1, 1)]),
        (["text", 3, []], 2, [(0, 0), (1, 1)]),
        ([{"index": 0, "error": {"code": 502}}, *numbered(1)], 2, [(1, 1)]),  # an error without a word
        ([], 2, []),
    ],
)
def test_each_choice_goes_to_its_sample(choices: list[Any], asked: int, pairs: list[tuple[int, int]]):
    assert match_choices(choices, asked) == pairs


@given(st.lists(DATA | st.fixed_dictionaries({"index": st.integers(-2, 8) | st.none()}), max_size=8), st.integers(1, 6))
@settings(deadline=None)
def test_no_sample_has_two_choices_and_no_choice_two_samples(choices: list[Any], asked: int):
    pairs = match_choices(choices, asked)
    samples, found = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert samples == sorted(set(samples))
    assert len(found) == len(set(found))
    assert all(0 <= sample < asked for sample in samples)


# reading


def test_what_only_we_add_to_a_usage_is_never_taken_from_the_wire():
    sent = {"prompt_tokens": 3, "by_choice": [7, 8], "of_choices": 1, "batch": True}
    assert read(completion("yes", usage=sent))["usage"] == {"prompt_tokens": 3}


@pytest.mark.parametrize("usage", [{"prompt_tokens": 9}, {"completion_tokens": 1}, {"total_tokens": 3}])
@pytest.mark.parametrize("choices", [[], None, "none"])
def test_a_reply_that_was_paid_for_and_has_no_choices_is_empty_answers(usage: Any, choices: Any):
    assert read({"choices": choices, "usage": usage}, asked=3)["choices"] == [{}, {}, {}]


def test_choices_that_are_none_are_kept_as_they_came_where_they_were_paid_for():
    assert read({"choices": [None, 3], "usage": {"total_tokens": 9}})["choices"] == [None, 3]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"choices": []}, "the answer has no choices"),
        ({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": None}}, "the answer has no choices"),
        ({"choices": [None, 3]}, "the answer has no choices"),
        (["choices"], "the answer has no choices"),
        ({"error": {"message": "Oh no"}, "usage": {"total_tokens": 5}}, "an error with HTTP 200: Oh no"),
        ({"choices": [{"error": {"message": "Oh", "code": 502}}]}, r"an error with HTTP 200 \(code 502\): Oh"),
    ],
)
def test_a_reply_that_is_no_answer_is_a_failure(answer: Any, why: str):
    with pytest.raises(Failure, match=why):
        read(answer)


def test_an_error_beside_words_is_an_answer():
    choice = {"error": {"code": 502}, "finish_reason": "error", "message": {"content": "It is sev"}}
    assert read({"choices": [choice]})["choices"] == [choice]


@pytest.mark.parametrize(
    ("answer", "blame", "status"),
    [
        ({"message": "Slow", "code": 429}, "server", 429),
        ({"message": "Oops", "code": 502}, "server", 502),
        ({"message": "Too long", "code": 400}, "request", 400),
        ({"message": "Flagged", "code": 403, "metadata": {"reasons": ["x"]}}, "request", 403),
        ({"message": "Insufficient credits", "code": 402}, "teacher", 402),
        ({"message": "Quota", "code": "insufficient_quota"}, "teacher", None),
        ({"message": "Who?", "code": 401}, "teacher", 401),
        ({"message": "Something"}, "answer", None),
    ],
)
def test_an_error_with_http_200_is_whose_fault_its_code_says(answer: Any, blame: str, status: int | None):
    with pytest.raises(Failure) as raised:
        read({"error": answer})
    assert (raised.value.blame, raised.value.status) == (blame, status)
    assert answer["message"] in str(raised.value)
    assert bool(raised.value.remedy) == (blame == "teacher")


@given(DATA | st.fixed_dictionaries({"choices": DATA, "usage": DATA}))
@settings(deadline=None)
def test_a_reply_however_odd_is_read_or_a_failure(answer: Any):
    try:
        found = read(answer, asked=2)
    except Failure:
        return
    assert found["choices"]
    assert json.dumps(found, ensure_ascii=False).encode()
    usage_of(found)


# words


def test_thinking_comes_before_what_follows_it_and_nothing_is_no_word():
    said = [
        {"message": {"reasoning_content": "Hm. ", "content": "Yes."}},
        {"message": {"reasoning": "Well. ", "content": None}},
        {
            "message": {
                "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "So. "}]}, {"text": "No."}]
            }
        },
        {"message": None},
        {"message": "text"},
        {},
        None,
    ]
    assert [generated_text(choice) for choice in said] == ["Hm. Yes.", "Well. ", "So. No.", "", "", "", ""]


@given(DATA | st.fixed_dictionaries({"message": st.fixed_dictionaries({"content": DATA})}))
@settings(deadline=None)
def test_no_choice_however_odd_raises(choice: Any):
    assert isinstance(generated_text(choice), str)
