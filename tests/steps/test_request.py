"""A request belongs to a row, and what it asks differently from others is part of its key (contract 5)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.teachers.engine.test_engine import bodies, engine_of
from tunixhack._util.ids import request_key
from tunixhack.errors import UserError
from tunixhack.steps.request import Request
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.testing import ScriptedTeacher

MESSAGES = [{"role": "user", "content": "Grade this."}]
SCHEMA = {"type": "object", "properties": {"grade": {"type": "integer"}}, "required": ["grade"]}


@pytest.fixture
def engine(teacher: ScriptedTeacher, tmp_path: Path) -> Engine:
    return engine_of(teacher, tmp_path)


def key(engine: Engine, **changes: Any) -> str:
    request = Request(question_id="00ff", messages=MESSAGES, samples=[0], **changes)
    return str(engine.wanted([request])["request_key"].item())


def test_a_request_that_says_nothing_of_its_own_has_the_key_that_it_always_had(engine: Engine):
    teacher = engine.teacher
    plain = request_key(teacher.identity, teacher.model, MESSAGES, teacher.sampling, teacher.grammar)
    assert key(engine) == plain
    same = {"sampling": dict(teacher.sampling), "max_tokens": teacher.limit}
    assert key(engine, **same) == plain, "what is as the teacher's own does not differ"
    row = {"question_id": "00ff", "sample": 3}
    wanted = engine.wanted([Request(row=row, messages=MESSAGES, samples=[0])])
    assert wanted.select("request_key", "request", "row_sample").row(0) == (plain, 0, 3)


def test_each_thing_that_is_asked_differently_is_in_the_key(engine: Engine):
    changes: list[dict[str, Any]] = [
        {},
        {"sampling": {"temperature": 0.0}},
        {"max_tokens": 16},
        {"schema": SCHEMA},
        {"schema": {"type": "object"}},
        {"grammar": 'root ::= "a"'},
    ]
    keys = [key(engine, **change) for change in changes]
    assert len(set(keys)) == len(changes)


def test_requests_of_one_call_are_each_sent_with_their_own_parameters(engine: Engine, teacher: ScriptedTeacher):
    asked = [
        Request(question_id="aa", messages=MESSAGES, samples=[0], sampling={"temperature": 0.0, "top_p": 0.5}),
        Request(question_id="bb", messages=MESSAGES, samples=[0], schema=SCHEMA, max_tokens=40),
        Request(question_id="cc", messages=MESSAGES, samples=[0], grammar='root ::= "a"'),
        Request(question_id="dd", messages=MESSAGES, samples=[0]),
    ]
    answers = engine.ask(asked, "judge")
    assert answers.sort("request")["question_id"].to_list() == ["aa", "bb", "cc", "dd"]
    by_seed = {body["seed"]: body for body in bodies(teacher)}
    cold, held, grammar, plain = (by_seed[seed] for seed in answers.sort("request")["seed"])
    assert (cold["temperature"], cold["top_p"]) == (0.0, 0.5)
    assert held["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
    assert (held["max_tokens"], grammar["grammar"]) == (40, 'root ::= "a"')
    own = engine.teacher.sampling
    assert {name: plain[name] for name in own} == dict(own)
    assert not {"response_format", "grammar"} & plain.keys()


def test_a_schema_or_an_empty_grammar_lifts_the_one_of_written_traces(engine: Engine):

    teacher = replace(engine.teacher, grammar='root ::= "<reasoning>"')
    for change in ({"schema": SCHEMA}, {"grammar": ""}):
        request = Request(question_id="aa", messages=MESSAGES, samples=[0], **change)
        assert request.grammar_of(teacher) is None
        assert json.loads(json.dumps(request.parameters(teacher)))["grammar"] is None
    plain = Request(question_id="aa", messages=MESSAGES, samples=[0])
    assert (plain.grammar_of(teacher), plain.parameters(teacher)) == (teacher.grammar, {})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({}, "belongs to a row"),
        ({"row": {"question": "no id"}}, "belongs to a row"),
        ({"question_id": "a", "sampling": {"seed": 1}}, "has 'seed', which the run sets"),
        ({"question_id": "a", "sampling": {"n": 2}}, "has 'n', which the run sets"),
        ({"question_id": "a", "schema": SCHEMA, "grammar": "root"}, "give one"),
        ({"question_id": "a", "max_tokens": 0}, "at least one token"),
    ],
)
def test_what_contradicts_itself_is_refused(wrong: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=sentence):
        Request(messages=MESSAGES, samples=[0], **wrong)


def test_llama_cpp_holds_an_answer_to_a_schema_to_a_grammar_or_to_none(embedded_server: EmbeddedServer, tmp_path: Path):
    """A teacher whose written traces have a grammar of their own."""
    engine = engine_of(embedded_server.url, tmp_path)
    engine.teacher = replace(engine.teacher, grammar='root ::= "<reasoning>" [a-z]+')
    asked = [
        Request(question_id="aa", messages=MESSAGES, samples=[0], schema=SCHEMA, max_tokens=60),
        Request(question_id="bb", messages=MESSAGES, samples=[0], grammar='root ::= "yes" | "no"', max_tokens=8),
        Request(question_id="cc", messages=MESSAGES, samples=[0], grammar="", max_tokens=8),
    ]
    try:
        said = engine.ask(asked, "judge").sort("request")["choice"].str.json_path_match("$.message.content").to_list()
    finally:
        engine.close()
    assert json.loads(said[0]).keys() == {"grade"}
    assert said[1] in ("yes", "no")
    assert not said[2].startswith("<reasoning>")
