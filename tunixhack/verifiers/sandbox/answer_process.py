"""The process of one answer: runs its code, evaluates calls, and writes their values.

Nothing here is trusted by who reads the values: the code can find and change all of this. It knows the calls as they
come, one by one, and never what their values should be.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import types
from typing import Any

from tunixhack.verifiers.sandbox.isolation import die_with_parent, limit
from tunixhack.verifiers.sandbox.messages import receive, send
from tunixhack.verifiers.sandbox.system_calls import refuse_all_but_computing
from tunixhack.verifiers.sandbox.values import NoData, encode

NULL, CALLS, VALUES = 2, 3, 4
"""File descriptors: nothing, what is to be evaluated, and what came of it."""
NONCE = 16
"""Bytes before each message, the same in a call and its value."""
SHOWN = 200
"""Characters of an exception's text."""
ENOUGH_FILES = 65_536


def run(code: str, calls: int, values: int, seconds: int, memory: int) -> None:
    """Lock this process, run the code, and evaluate calls until none comes; does not return.

    Args:
        code: of the answer, with whatever its task puts before and behind it.
        calls: the pipe they come through.
        values: the pipe their values go through.
        seconds: of the processor.
        memory: bytes of addresses.
    """
    lock(calls, values, seconds, memory)
    random.seed(0)  # the same verdict every time; it seeds itself anew wherever it was forked
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    nonce = receive(CALLS)[:NONCE]
    send(VALUES, nonce + _told(lambda: exec(_compiled(code, "exec"), module.__dict__)))  # noqa: S102  # it is locked
    while True:
        message = receive(CALLS)
        call = message[NONCE:].decode()
        told = _told(lambda call=call: eval(_compiled(call, "eval"), module.__dict__))  # noqa: S307  # it is locked
        send(VALUES, message[:NONCE] + told)


def _compiled(code: str, mode: str) -> types.CodeType:
    """Compile code as a file of its own, without the ``from __future__`` of this one."""
    compiled: types.CodeType = compile(code, "<answer>", mode, dont_inherit=True)
    return compiled


def lock(calls: int, values: int, seconds: int, memory: int) -> None:
    """Keep two pipes and nothing else that is open, put limits, and lock this process for good.

    Raises:
        OSError: the system does not do it.
    """
    die_with_parent()
    calls, values = os.dup(calls), os.dup(values)  # out of the way of 3 and 4
    os.dup2(calls, CALLS)
    os.dup2(values, VALUES)
    os.dup2(NULL, 0)  # where the host has its own pipes
    os.dup2(NULL, 1)
    os.closerange(VALUES + 1, ENOUGH_FILES)
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Nowhere(), _Nowhere()
    limit(seconds, memory)
    refuse_all_but_computing()


class _Nowhere(io.TextIOBase):
    """What is printed, however much, goes nowhere."""

    def write(self, text: str) -> int:
        return len(text)


def _told(compute: Any) -> bytes:
    """Return what comes of a computation, as JSON: ``value``, ``raised`` or ``other``."""
    try:
        try:
            told = {"value": encode(compute())}
        except NoData as none:
            told = {"other": str(none)}
        return json.dumps(told).encode()
    except BaseException as error:  # noqa: BLE001  # SystemExit, too: the answer may not end before its tests
        return json.dumps({"raised": type(error).__name__[:SHOWN], "why": _text(error)}).encode()


def _text(error: BaseException) -> str:
    try:
        return str(error)[:SHOWN]
    except BaseException:  # noqa: BLE001  # an exception of the answer's own
        return ""
