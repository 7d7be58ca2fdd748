"""Tests of code as calls and expectations: the calls are evaluated in the sandbox, and compared here.

Of ``assert sorted(f(3)) == [1, 2]`` the call ``f(3)`` goes to the sandbox, and what comes back, a plain value, is
sorted and compared in this process, by functions that the code under test cannot have changed. In every assertion one
part is the sandbox's, and all else is known here: literals, arithmetic, comparisons, and the functions in `KNOWN`.
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PART = "the sandbox's part"
"""Stands where the value of the call belongs; no name of Python has blanks."""
MOST = 10_000
"""Assertions of one task, and the largest power and factor that is computed here."""

KNOWN: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": bool,
    "dict": dict,
    "float": float,
    "frozenset": frozenset,
    "int": int,
    "len": len,
    "list": list,
    "math.fabs": math.fabs,
    "math.isclose": math.isclose,
    "max": max,
    "min": min,
    "round": round,
    "set": set,
    "sorted": sorted,
    "sum": sum,
    "tuple": tuple,
}
"""What an assertion may call around the call that it tests."""
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
    ast.Is: lambda one, other: type(one) is type(other) and one == other,
    ast.IsNot: lambda one, other: type(one) is not type(other) or one != other,
}
_NUMBER = (int, float, complex)


class Unverifiable(ValueError):
    """A test that cannot be split into a call and what is expected of it; the text says why."""


@dataclass(frozen=True)
class Assertion:
    """One assertion."""

    call: str
    """What the sandbox evaluates."""
    calls: str | None
    """The name of the function under test; None where the call is that of a method."""
    _expectation: ast.expr

    def holds(self, value: Any) -> bool:
        """Tell whether it holds for the value of the call."""
        try:
            return bool(_evaluate(self._expectation, value))
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError, Unverifiable):
            return False  # such as the sorting of a number, which fails in a plain assert, too


@dataclass(frozen=True)
class Tests:
    """The tests of one task."""

    setup: str
    """Imports of the tests, as code."""
    assertions: tuple[Assertion, ...]


def read_tests(tests: Sequence[str], setup: str = "") -> Tests:
    """Read assertions that stand by themselves, as mbpp's do.

    Args:
        tests: one or more assertions each.
        setup: code that stands before them.

    Raises:
        Unverifiable: one of them is none, there are none, or one asks a function of the setup, which would compare
            within the sandbox.

    >>> tests = read_tests(["assert f(1) == (1, 2)"])
    >>> tests.assertions[0].call, tests.assertions[0].holds((1, 2)), tests.assertions[0].holds([1, 2])
    ('f(1)', True, False)
    """
    return _read([line for test in tests for line in _parsed(test).body], _parsed(setup).body)


def read_check(test: str, function: str) -> Tests:
    """Read humaneval's form: a function ``check(candidate)``, whose assertions call its argument.

    Args:
        test: the code that defines ``check``.
        function: the name of what is tested.

    Raises:
        Unverifiable: there is no such function, or it does more than to assert.
    """
    for node in _parsed(test).body:
        if isinstance(node, ast.FunctionDef) and node.name == "check" and len(node.args.args) == 1:
            named = _Renamed(node.args.args[0].arg, function)
            return _read([named.visit(line) for line in node.body], [])
    raise Unverifiable("its tests are no function check(candidate)")


class _Renamed(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._new, node.ctx) if node.id == self._old else node


def _parsed(code: str) -> ast.Module:
    try:
        return ast.parse(code.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unverifiable("its tests are no Python") from error


def _read(lines: Sequence[ast.stmt], setup: Sequence[ast.stmt]) -> Tests:
    imports: list[str] = []
    assertions: list[Assertion] = []
    if len(lines) > MOST:
        raise Unverifiable(f"it has more than {MOST:,} tests")
    for line in lines:
        if isinstance(line, ast.Import | ast.ImportFrom):
            imports.append(ast.unparse(line))
        elif isinstance(line, ast.Assert):
            assertions.extend(_split(line.test))
        elif not (isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, _SAYS_NOTHING))):
            raise Unverifiable(f"its tests have a statement that is no assertion: {ast.unparse(line)[:80]}")
    if not assertions:
        raise Unverifiable("it has no tests")
    own = {name for line in (*setup, *lines) for name in _names(line)}
    if asked := next((one for one in assertions if one.calls in own), None):
        raise Unverifiable(f"what a test expects is known to the code alone: {asked.call[:80]}")
    return Tests("\n".join(imports), tuple(assertions))


def _names(line: ast.stmt) -> list[str]:
    """Return the functions that a line of the tests' own defines or imports."""
    if isinstance(line, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in line.names]
    return [line.name] if isinstance(line, ast.FunctionDef) else []


_SAYS_NOTHING = (ast.Constant, ast.Name)
"""A docstring, or a name that stands alone."""


def _split(test: ast.expr) -> Iterator[Assertion]:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for one in test.values:
            yield from _split(one)
        return
    parts: list[ast.expr] = []
    expectation = _without_parts(test, parts, KNOWN)
    if not parts:  # the function under test has the name of one that is known
        expectation = _without_parts(test, parts, {})
    if len(parts) > 1 or any(map(_compares, parts)):
        raise Unverifiable(f"what a test expects is known to the code alone: {ast.unparse(test)[:80]}")
    if parts:
        yield Assertion(ast.unparse(parts[0]), _function(parts[0]), expectation)
    elif not Assertion("", None, expectation).holds(None):
        raise Unverifiable(f"a test never holds: {ast.unparse(test)[:80]}")


def _compares(part: ast.expr) -> bool:
    """Tell whether the sandbox would compare, and the code under test with it, rather than only compute a value.

    What stands among the arguments of a tested function are its inputs; what stands around its call decides.
    """
    waiting = [part]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _DECIDES) or (isinstance(node, ast.Attribute) and node.attr.startswith("__")):
            return True
        if _is_tested(node):
            continue
        if isinstance(node, ast.Call):
            given = [*node.args, *(word.value for word in node.keywords)]
            if len(given) > 1 and any(_is_tested(one) for value in given for one in ast.walk(value)):
                return True  # such as numpy.allclose(f(1), [2, 3])
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return False


_DECIDES = (
    ast.BoolOp,
    ast.Compare,
    ast.DictComp,
    ast.GeneratorExp,
    ast.IfExp,
    ast.JoinedStr,
    ast.Lambda,
    ast.ListComp,
    ast.NamedExpr,
    ast.SetComp,
    ast.Starred,
)


def _is_tested(node: ast.AST) -> bool:
    """Tell whether this is the call of a function that is not Python's own."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not hasattr(builtins, node.func.id)


def _function(part: ast.expr) -> str | None:
    """Return the first function that an expression calls and that is not Python's own, else the first."""
    called = [node.func.id for node in ast.walk(part) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return next((name for name in called if not hasattr(builtins, name)), called[0] if called else None)


def _without_parts(node: ast.expr, parts: list[ast.expr], known: Container[str]) -> ast.expr:
    """Return an expression with the parts that are the sandbox's replaced, and collect these."""
    if isinstance(node, ast.Constant):
        return node
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return type(node)(elts=[_without_parts(one, parts, known) for one in node.elts])
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_without_parts(one, parts, known) for one in node.keys if one is not None]
        return ast.Dict(keys=list(keys), values=[_without_parts(one, parts, known) for one in node.values])
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return ast.UnaryOp(node.op, _without_parts(node.operand, parts, known))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return ast.BinOp(_without_parts(node.left, parts, known), node.op, _without_parts(node.right, parts, known))
    if isinstance(node, ast.Compare):
        left, *others = (_without_parts(one, parts, known) for one in (node.left, *node.comparators))
        return ast.Compare(left, node.ops, others)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in known and all(word.arg for word in node.keywords):
        words = [ast.keyword(word.arg, _without_parts(word.value, parts, known)) for word in node.keywords]
        return ast.Call(node.func, [_without_parts(one, parts, known) for one in node.args], words)
    parts.append(node)
    return ast.Name(_PART, ast.Load())


def _evaluate(node: ast.expr, value: Any) -> Any:
    """Compute an expression of what `_without_parts` leaves."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        made = {ast.Tuple: tuple, ast.List: list, ast.Set: set}[type(node)]
        return made(_evaluate(one, value) for one in node.elts)
    if isinstance(node, ast.Dict):
        return {_evaluate(key, value): _evaluate(one, value) for key, one in zip(node.keys, node.values, strict=True)}  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_evaluate(node.operand, value))
    if isinstance(node, ast.BinOp):
        return _computed(node.op, _evaluate(node.left, value), _evaluate(node.right, value))
    if isinstance(node, ast.Compare):
        return _compared(node, value)
    assert isinstance(node, ast.Call)
    words = {str(word.arg): _evaluate(word.value, value) for word in node.keywords}
    return KNOWN[ast.unparse(node.func)](*(_evaluate(one, value) for one in node.args), **words)


def _computed(op: ast.operator, left: Any, right: Any) -> Any:
    numbers = isinstance(left, _NUMBER) and isinstance(right, _NUMBER)
    if not numbers and not isinstance(op, ast.Add | ast.Sub):
        raise Unverifiable("only numbers are multiplied and divided in a test")
    if isinstance(op, ast.Pow) and (isinstance(left, complex) or abs(left) > MOST or abs(right) > MOST):
        raise Unverifiable("a power in a test is too large")
    return _BINARY[type(op)](left, right)


def _compared(node: ast.Compare, value: Any) -> bool:
    left = _evaluate(node.left, value)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(comparator, value)
        if not _COMPARE[type(op)](left, right):
            return False
        left = right
    return True
