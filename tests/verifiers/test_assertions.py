"""An assertion is split into a call and an expectation that holds for what the assertion holds for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.verifiers.assertions import Unverifiable, read_check, read_tests

ATOMS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.booleans() | st.none()
VALUES = st.recursive(ATOMS, lambda one: st.lists(one) | st.tuples(one, one) | st.dictionaries(st.text(), one))


@given(VALUES, VALUES)
def test_a_literal_holds_for_equal_values_alone(expected: Any, value: Any):
    (one,) = read_tests([f"assert f(1) == {expected!r}"]).assertions
    assert one.call == "f(1)"
    assert one.holds(expected)
    assert one.holds(value) == (expected == value)


@pytest.mark.parametrize(
    ("test", "call", "right", "wrong"),
    [
        ("assert f(1)", "f(1)", [2], []),
        ("assert not f(1)", "f(1)", 0, 1),
        ("assert f(1) is None", "f(1)", None, 0),
        ("assert f(1) is True", "f(1)", True, 1),
        ("assert f(1) is not None", "f(1)", 0, None),
        ("assert 4 == f(1)", "f(1)", 4, 5),
        ("assert 3 < f(1) <= 5", "f(1)", 5, 3),
        ("assert f(1) in (1, 2)", "f(1)", 2, 3),
        ("assert f(1) != 7", "f(1)", 8, 7),
        ("assert abs(f(1) - 2.0 / 3) < 1e-6", "f(1)", 0.6666667, 0.67),
        ("assert math.isclose(f(1), 0.3, rel_tol=0.01)", "f(1)", 0.301, 0.31),
        ("assert round(f(1), 2) == 0.33", "f(1)", 1 / 3, 0.34),
        ("assert sorted(f(1)) == [1, 2]", "f(1)", [2, 1], [1]),
        ("assert set(f(1)) == {1, 2}", "f(1)", [2, 1, 1], [1]),
        ("assert set(f(1)) == set([1, 2])", "f(1)", [2, 1, 1], 7),
        ("assert tuple(f(1)) == (1, -2)", "f(1)", [1, -2], 5),
        ("assert (f(1)) == (3 + 5, 3 * 5, 2 ** 10)", "f(1)", (8, 15, 1024), (8, 15, 1023)),
        ("assert f(1)[0] == 1", "f(1)[0]", 1, 2),
        ("assert str(f(1)) == '1'", "str(f(1))", "1", 1),
        ("assert f(g(2)).name == 'x', 'why'", "f(g(2)).name", "x", "y"),
        ("assert Solution().f([1], 2) == 3", "Solution().f([1], 2)", 3, 4),
        ("assert f(lambda x: x > 1, [y for y in [1, 2]]) == [2]", "f(lambda x: x > 1, [y for y in [1, 2]])", [2], [1]),
        ("assert ''.join(f(1)) == 'ab'", "''.join(f(1))", "ab", "a"),
        ("assert sum(10, 15) == 25", "sum(10, 15)", 25, 24),
        ("assert f([sorted([2, 1])]) == 1", "f([sorted([2, 1])])", 1, 2),
    ],
)
def test_an_assertion_holds_for_what_it_should(test: str, call: str, right: Any, wrong: Any):
    (one,) = read_tests([test]).assertions
    assert (one.call, one.holds(right), one.holds(wrong)) == (call, True, False)


def test_conjunctions_are_several_and_imports_are_kept():
    tests = read_tests(["import math\nassert f(1) == 1 and f(2) == 2", "assert f(3) == 3"])
    assert [one.call for one in tests.assertions] == ["f(1)", "f(2)", "f(3)"]
    assert tests.setup == "import math"


@pytest.mark.parametrize(
    "test",
    [
        "",
        "assert True",
        "assert f(1) == f(2)",
        "assert f(1) == expected",
        "assert f(1) == 1 or f(1) == 2",
        "assert f(1) == 2 ** 2 ** 100 + x",
        "assert (f(1) == 2) if f else False",
        "assert all(f(x) == y for x, y in [(1, 2)])",
        "assert all([f(1) == 2, f(2) == 3])",
        "assert (lambda x: x == 2)(f(1))",
        "assert f(1).__eq__(2)",
        "assert isinstance(f(1), int)",
        "assert numpy.allclose(f(1), [2])",
        "assert unittest.TestCase().assertEqual(f(1), 2) is None",
        "assert f'{f(1)}' == '2'",
        "x = f(1)",
        "for x in range(3):\n    assert f(x) == x",
        "assert f(1) == 1\nprint('passed')",
        "assert",
        "(" * 1000,
        "import os",
    ],
)
def test_what_cannot_be_split_is_said_to_be_so(test: str):
    with pytest.raises(Unverifiable):
        read_tests([test])


@pytest.mark.parametrize("expected", ["2 ** 9999999", "9 ** 9 ** 9", "[0] * 10 ** 12", "'a' * 10 ** 12"])
def test_what_would_take_long_to_compute_never_holds(expected: str):
    (one,) = read_tests([f"assert f(1) == {expected}"]).assertions
    assert one.holds(1) is False


def test_a_function_of_the_tests_own_would_compare_in_the_sandbox():
    for setup, test in (
        ("def same(a, b):\n    return a == b", "assert same(f(1), 2)"),
        ("from math import isclose", "assert isclose(f(1), 2)"),
        ("", "from math import isclose as near\nassert near(f(1), 2)"),
    ):
        with pytest.raises(Unverifiable, match="known to the code alone"):
            read_tests([test], setup)
    assert len(read_tests(["assert f(root) == 1"], "root = Node(1)").assertions) == 1


def test_the_argument_of_a_check_is_the_function():
    test = (
        "METADATA = {'x': 1}\n\n\ndef check(candidate):\n    'Docs.'\n    assert candidate(1) == 2\n    assert True\n"
    )
    (one,) = read_check(test, "f").assertions
    assert (one.call, one.calls, one.holds(2)) == ("f(1)", "f", True)
    for other in ("", "def check(): pass", "def check(candidate):\n    for x in (1,):\n        assert candidate(x)"):
        with pytest.raises(Unverifiable):
            read_check(other, "f")
