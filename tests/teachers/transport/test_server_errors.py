"""What a server says went wrong is read in every form that is known, under HTTP 200 as well."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests._util.test_wire_json import DATA
from tunixhack.teachers.transport.server_errors import error_in


@pytest.mark.parametrize(
    ("answer", "message", "status"),
    [
        ({"error": {"message": "Slow down", "code": 429}}, "Slow down", 429),
        ({"error": {"message": "Slow down", "code": "429"}}, "Slow down", 429),
        ({"error": {"message": "Slow down", "type": "rate_limit_error"}}, "Slow down", 429),
        ({"error": {"message": "Slow down", "code": "rate_limit_exceeded", "type": "tokens"}}, "Slow down", 429),
        ([{"error": {"message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}], "Slow down", 429),
        ({"error": {"message": "Busy", "type": "overloaded_error"}}, "Busy", 503),
        ({"error": {"message": "Oops", "code": 502, "metadata": {"raw": "upstream"}}}, "Oops: upstream", 502),
        ({"error": {"message": "Bad", "type": "invalid_request_error", "code": 401}}, "Bad", 401),
        ({"error": {"message": "No such", "type": "invalid_request_error", "param": "seed"}}, "No such: seed", 400),
        ({"error": {"error": {"message": "Inner", "code": 500}}}, "Inner", 500),
        ({"error": "plain words"}, "plain words", None),
        ({"object": "error", "message": "vLLM's", "code": 404, "type": "NotFoundError"}, "vLLM's", 404),
        ({"errors": [{"message": "of many"}]}, "of many", None),
        ({"error": {"code": 200}}, "{'code': 200}", None),
        ({"error": {"message": "true", "code": True}}, "true", None),
    ],
)
def test_the_sentence_and_the_status_that_it_amounts_to(answer: Any, message: str, status: int | None):
    error = error_in(answer)
    assert error is not None
    assert (error.message, error.status) == (message, status)


@pytest.mark.parametrize("answer", [None, [], {}, "error", {"error": None}, {"error": ""}, {"choices": []}, [1, 2], 7])
def test_no_error_is_none(answer: Any):
    assert error_in(answer) is None


@pytest.mark.parametrize(
    "error",
    [
        {"message": "You exceeded your current quota", "code": "insufficient_quota", "type": "insufficient_quota"},
        {"message": "m", "code": "billing_hard_limit_reached"},
        {"message": "m", "type": "Insufficient Balance"},
        {"message": "Your credit balance is too low to access the API.", "type": "invalid_request_error"},
        {"message": "Insufficient credits", "code": 402},
        {"message": "Insufficient Balance"},
    ],
)
def test_an_empty_account_is_told_from_a_limit_of_the_moment(error: dict[str, Any]):
    found = error_in({"error": error})
    assert found is not None
    assert found.account


@pytest.mark.parametrize(
    "error",
    [
        {"message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED", "code": 429},  # a minute's
        {"message": "Rate limit reached", "code": "rate_limit_exceeded"},
        {"message": "insufficient memory"},
    ],
)
def test_a_limit_of_the_moment_is_no_empty_account(error: dict[str, Any]):
    found = error_in({"error": error})
    assert found is not None
    assert not found.account


def test_a_question_that_a_moderator_flags_is_no_matter_of_the_account():
    metadata = {"reasons": ["violence"], "flagged_input": "How…"}
    found = error_in({"error": {"code": 403, "message": "flagged", "metadata": metadata}})
    assert found is not None
    assert found.flagged


@given(DATA | st.fixed_dictionaries({"error": DATA}))
@settings(deadline=None)
def test_no_error_however_odd_raises(answer: Any):
    error_in(answer)
