"""Answers of mathematics as math-verify reads them, in a process that survives what models write."""

from __future__ import annotations

import threading

import pytest

from tunixhack.verifiers import bounded_process
from tunixhack.verifiers import math as math_claims
from tunixhack.verifiers.math import Claim, claims, reader
from tunixhack.verifiers.math_worker import delimited

installed = pytest.mark.skipif(reader() is None, reason="math-verify is not installed")

PAIRS = [
    ("9500", r"The sum is $\boxed{9{,}500}$.", True),
    ("1234", r"$\boxed{1{,}234}$", True),
    ("42", r"\boxed{42}, as steps 1 and 2 show", True),
    ("42", r"\boxed{41}, not 42", False),
    ("0.5", "It is 1/2.", True),
    (r"\frac{1}{2}", "The answer is 0.5.", True),
    ("-3", "It is \u22123.", True),
    ("1000", "10^3", True),
    ("118000", "$118 000", True),
    ("2.5", "It takes 2 1/2 hours", True),
    (r"2\sqrt{3}", r"The answer is 2\sqrt{3}.", True),
    (r"2\sqrt{3}", "2", False),
    ("(1,2)", "The point is $(1, 2)$.", True),
    ("9500", r"\boxed{9\,500}", True),
    ("1,2,3", "They are $1, 2, 3$.", True),
    ("4", "nothing to read here", None),
    ("10", "9**9**9**9", False),
    ("10", "$9^{9^{9^9}}$", False),
    ("10", "(" * 3000 + "1" + ")" * 3000, None),
]


@installed
def test_answers_are_compared_by_their_value_and_none_is_run():
    claimed = claims((reference, answer) for reference, answer, _ in PAIRS)
    assert [(pair[:2], claim.right) for pair, claim in zip(PAIRS, claimed, strict=True)] == [
        ((reference, answer), right) for reference, answer, right in PAIRS
    ]
    assert claimed[0].text == "9500"


@installed
def test_claims_are_read_in_any_thread():
    found: list[list[Claim]] = []
    thread = threading.Thread(target=lambda: found.append(claims([("4", "It is 4."), ("4", "It is 4."), ("4", "5")])))
    thread.start()
    thread.join(120)
    assert [[claim.right for claim in each] for each in found] == [[True, True, False]]


@installed
def test_an_answer_that_ends_the_process_is_unread_and_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch):
    real = bounded_process.json.dumps

    def broken(question):  # what the process cannot read ends it
        return "no json" if question["answer"] == "end" else real(question)

    monkeypatch.setattr(bounded_process.json, "dumps", broken)
    assert [claim.right for claim in claims([("4", "end"), ("4", "It is 4.")])] == [None, True]
    monkeypatch.setattr(bounded_process, "MOST_LOST", 1)
    assert [claim.right for claim in claims([("4", "end"), ("4", "It is 4.")])] == [None, None]


def test_without_math_verify_nothing_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(math_claims, "reader", lambda: None)
    assert claims([("4", "4")]) == [Claim(None)]
    assert claims([]) == []


@pytest.mark.parametrize(
    ("text", "whole", "wanted"),
    [
        ("72", True, "72"),
        ("1,234", True, "1,234"),
        (r"\frac{1}{2}", True, r"$\frac{1}{2}$"),
        ("x=5", True, "$x=5$"),
        ("$x=5$", True, "$x=5$"),
        (r"\boxed{4}", True, r"\boxed{4}"),
        ("2 1/2", True, "$(2+1/2)$"),
        ("1/2", True, "1/2"),
        ("-12.5%", True, "-12.5%"),
        ("1,2,3", True, "$1,2,3$"),
        (r"9\,500 and (1\,2)", False, r"9500 and (1\,2)"),
        ("So x = 4.", False, "So x = 4."),
        (r"2\sqrt{3}", False, r"$2\sqrt{3}$"),
        (r"Hence x = 2\sqrt{3}.", False, r"Hence x = $2\sqrt{3}$."),
        (r"I use \LaTeX often", False, r"I use \LaTeX often"),
        ("", False, ""),
    ],
)
def test_latex_without_dollar_signs_is_given_them(text: str, whole: bool, wanted: str):
    assert delimited(text, whole=whole) == wanted
