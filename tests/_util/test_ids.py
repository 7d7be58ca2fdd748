"""Ids are the same everywhere, and change with what they identify and with nothing else (contracts 1, 5, 6, 8)."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.ids import SEED_MODULUS, question_id, rank, request_key, sample_seed

IDENTITY = {"url": "http://127.0.0.1:1234/v1", "served": "qwen3-14b", "quantisation": "Q4_K_M"}
MESSAGES = [{"role": "user", "content": "Hi"}]


def key(**changes: object) -> str:
    parts = {"identity": IDENTITY, "model": "m", "messages": MESSAGES, "sampling": {"temperature": 1}, "grammar": None}
    return request_key(**(parts | changes))  # type: ignore[arg-type]


def test_a_question_id_is_16_hex_digits_of_a_hash_that_never_changes():
    assert question_id("math", "1 + 1?") == "38f8edbe16608493"


def test_a_question_id_is_the_same_for_both_unicode_spellings_of_a_letter():
    assert question_id("creative", "caf\u00e9") == question_id("creative", "cafe\u0301")


def test_domain_and_context_are_part_of_a_question():
    ids = {question_id("a", "q"), question_id("b", "q"), question_id("a", "q", "c"), question_id("a", "qc")}
    assert len(ids) == 4


def test_an_empty_context_is_no_context():
    assert question_id("a", "q", "") == question_id("a", "q", None)


def test_everything_a_server_could_answer_differently_to_is_in_the_request_key():
    keys = {
        key(),
        key(identity=IDENTITY | {"url": "http://10.0.0.1/v1"}),
        key(identity=IDENTITY | {"quantisation": "Q8_0"}),
        key(model="n"),
        key(messages=[{"role": "system", "content": "Be brief."}, *MESSAGES]),
        key(sampling={"temperature": 0.5}),
        key(sampling={"temperature": 1, "max_tokens": 10}),
        key(grammar="root ::= [a-z]+"),
    }
    assert len(keys) == 8


def test_the_order_in_which_parameters_are_written_is_not_in_the_request_key():
    assert key(sampling={"a": 1, "b": 2}) == key(sampling={"b": 2, "a": 1})


def test_ids_do_not_depend_on_the_process():
    code = "from tunixhack._util.ids import *; print(question_id('d', 'q'), rank(3, 'x'), sample_seed(3, 'x', 7))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "17"}
    ).stdout.split()
    assert printed == [question_id("d", "q"), rank(3, "x"), str(sample_seed(3, "x", 7))]


@given(st.integers(0, 2**40), st.text(), st.integers(-1, 100))
def test_seeds_of_neighbouring_samples_are_neighbours_below_2_to_the_31(seed: int, question: str, sample: int):
    this, following = sample_seed(seed, question, sample), sample_seed(seed, question, sample + 1)
    assert 0 <= this < SEED_MODULUS
    assert following == (this + 1) % SEED_MODULUS


@given(st.text())
def test_any_text_gets_an_id(text: str):
    assert len(question_id("d", text)) == 16
