"""Python values as JSON and back, faithful to ``==``: a tuple stays a tuple, and True stays True.

===================================================== =====================================================
value                                                 JSON
===================================================== =====================================================
None, bool, int, float, str, list                     as they are; NaN and infinities by JSON's usual names
tuple, set, frozenset                                 ``{"tuple": [...]}``, and so on
dict                                                  ``{"dict": [[key, value], ...]}``
bytes, bytearray                                      ``{"bytes": "6869"}``
complex                                               ``{"complex": [1.0, 2.0]}``
int of more than 1,000 digits                         ``{"int": "-0xff..."}``
Fraction, Decimal                                     ``{"Fraction": "1/2"}``, ``{"Decimal": "0.5"}``
===================================================== =====================================================

A value of a subclass is written as its base: an ``int`` with an ``__eq__`` of its own is the number that it holds, and
a ``Counter`` is a dict. Every other value is no data and is not written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

DEEPEST = 100
"""Containers within one another."""
MOST_MEMBERS = 10_000
"""Members of one container: in a set with chosen hashes each costs as much as there are."""
LARGEST_EXPONENT = 1000
_MANY_DIGITS = 10**LARGEST_EXPONENT


class NoData(ValueError):
    """A value that is none of those above; the text names its type."""


def encode(value: object, depth: int = 0) -> Any:
    """Return what `json.dumps` writes for a value.

    Raises:
        NoData: it is a value of another type, or contains one, or itself.

    >>> encode([(1, "a"), {2: None}])
    [{'tuple': [1, 'a']}, {'dict': [[2, None]]}]
    """
    if depth > DEEPEST:
        raise NoData("values within one another without end")
    kind = type(value)
    for base, write in _WRITERS:
        if issubclass(kind, base):
            return write(value, depth + 1)
    raise NoData(str(kind.__name__)[:60])


def decode(written: Any) -> Any:
    """Return the value that `encode` has written.

    Raises:
        ValueError: it is nothing that `encode` writes.

    >>> decode(encode({"a": (1, 2)})) == {"a": (1, 2)}
    True
    """
    if _too_deep(written):  # the interpreter's own limit can be any that a library has set
        raise ValueError("this is no value: it is nested too deeply")
    try:
        return _decode(written)
    except (AttributeError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError("this is no value") from error


def _too_deep(written: Any) -> bool:
    """Tell whether JSON is nested deeper than `encode` writes: each level of a value is at most three of JSON."""
    level = [written]
    for _ in range(3 * (DEEPEST + 1)):
        inner: list[Any] = []
        for one in level:
            inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if not inner:
            return False
        level = inner
    return True


def _decode(written: Any) -> Any:
    if isinstance(written, list):
        return _members(written)
    if not isinstance(written, dict):
        return written
    ((name, content),) = written.items()
    if name not in _READERS:
        raise ValueError("this is no value")
    return _READERS[name](content)


def parse(text: str) -> Any:
    """Read JSON that a process wrote which is not trusted.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("values within one another without end") from error


def _members(content: list[Any]) -> list[Any]:
    if len(content) > MOST_MEMBERS:
        raise ValueError(f"a container of more than {MOST_MEMBERS:,} members")
    return [_decode(one) for one in content]


def _moderate(value: Decimal) -> Decimal:
    """Refuse a number whose digits would fill the memory if something rounded it to an integer."""
    if value.is_finite() and abs(value.adjusted()) > LARGEST_EXPONENT:
        raise ValueError("a Decimal of too large an exponent")
    return value


def _write_int(value: Any, depth: int) -> Any:
    number = int.__add__(value, 0)  # of the base type, whatever the subclass says
    return number if -_MANY_DIGITS < number < _MANY_DIGITS else {"int": hex(number)}


def _write_dict(value: Any, depth: int) -> Any:
    return {"dict": [[encode(key, depth), encode(one, depth)] for key, one in dict.items(value)]}


def _write_all(name: str, iterate: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    return lambda value, depth: {name: [encode(one, depth) for one in iterate(value)]}


_WRITERS: tuple[tuple[type, Callable[[Any, int], Any]], ...] = (
    (type(None), lambda value, depth: None),
    (bool, lambda value, depth: value),
    (int, _write_int),
    (float, lambda value, depth: float.__add__(value, 0.0)),
    (complex, lambda value, depth: {"complex": [complex.__add__(value, 0).real, complex.__add__(value, 0).imag]}),
    (str, lambda value, depth: str.__str__(value)),
    (bytes, lambda value, depth: {"bytes": bytes.hex(value)}),
    (bytearray, lambda value, depth: {"bytes": bytearray.hex(value)}),
    (list, lambda value, depth: [encode(one, depth) for one in list.__iter__(value)]),
    (tuple, _write_all("tuple", tuple.__iter__)),
    (set, _write_all("set", set.__iter__)),
    (frozenset, _write_all("frozenset", frozenset.__iter__)),
    (dict, _write_dict),
    (type({}.keys()), _write_all("set", iter)),
    (Fraction, lambda value, depth: {"Fraction": f"{value.numerator}/{value.denominator}"}),
    (Decimal, lambda value, depth: {"Decimal": Decimal.__str__(value)}),
)

_READERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda content: tuple(_members(content)),
    "set": lambda content: set(_members(content)),
    "frozenset": lambda content: frozenset(_members(content)),
    "dict": lambda content: dict(_members(content)),
    "bytes": bytes.fromhex,
    "complex": lambda content: complex(*content),
    "int": lambda content: int(content, 16),
    "Fraction": lambda content: Fraction(*map(int, content.split("/"))),
    "Decimal": lambda content: _moderate(Decimal(content)),
}
