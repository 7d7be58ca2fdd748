"""Where code cannot be locked away it is not run, and a sentence says so."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import Any

import pytest

from tunixhack.errors import UserError
from tunixhack.verifiers.code import passes
from tunixhack.verifiers.sandbox import pool
from tunixhack.verifiers.sandbox.pool import Ran, Sandbox


def test_another_system_runs_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(pool, "spawn", None)
    with pytest.raises(UserError, match=r"not run on this machine.*this is darwin"):
        Sandbox().run("", [])


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
@pytest.mark.parametrize(
    ("ready", "says"),
    [
        ({"layers": ["namespaces"], "not_refused": ["open a file", "open a socket"]}, "can still open a file, open a"),
        (None, "the process that prepares it did not start"),
    ],
)
def test_a_machine_that_does_not_lock_runs_nothing(ready: Any, says: str, monkeypatch: pytest.MonkeyPatch):
    message = json.dumps(ready).encode()
    said = struct.pack(">I", len(message)) + message if ready else b""

    def spawn(*_: Any, **__: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", f"import sys; sys.stdout.buffer.write({said!r})"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(pool, "spawn", spawn)
    monkeypatch.setattr("tunixhack.verifiers.code.sandbox", Sandbox)
    with pytest.raises(UserError, match=says):
        passes({"answer": "def f():\n    return 1", "inputs": '{"tests": ["assert f() == 1"]}'})


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
def test_a_host_that_was_killed_is_replaced():
    box = Sandbox()
    assert box.run("x = 1", ["x"]) == Ran([1])
    for _ in range(box.side_by_side):
        host = box._free.get()
        if host is not None:
            host._process.kill()
            host._process.wait()
        box._free.put(host)
    assert box.run("x = 2", ["x"]) == Ran([2])
    box.close()
    assert box.run("x = 3", ["x"]) == Ran([3]), "a closed one begins anew"
    box.close()


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
def test_an_interrupt_leaves_no_value_for_the_next_answer(monkeypatch: pytest.MonkeyPatch):
    box = Sandbox()
    assert box.run("x = 1", ["x"]) == Ran([1])
    received = pool.receive

    def interrupted(*arguments: Any, **words: Any) -> bytes:
        monkeypatch.setattr(pool, "receive", received)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        box.run("x = 2", ["x"])
    assert [box.run(f"x = {number}", ["x"]).values for number in (3, 4, 5)] == [[3], [4], [5]]
    box.close()


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
def test_code_is_a_file_of_its_own():
    box = Sandbox()
    assert box.run("def f(x: int): pass", ["f.__annotations__['x'] is int", "__name__"]) == Ran([True, "answer"])
    assert box.run("from __future__ import annotations\ndef f(x: int): pass", ["f.__annotations__"]).values == [
        {"x": "int"}
    ]
    data = "from dataclasses import dataclass, astuple\n@dataclass\nclass Point:\n    x: int\n"
    assert box.run(data, ["astuple(Point(3))", "Point(1) == Point(1)"]) == Ran([(3,), True])
    box.close()


@pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")
def test_calls_larger_than_a_pipe_come_through():
    box = Sandbox()
    text = "x" * 300_000
    assert box.run("def f(text):\n    return text", [f"f({text!r})"]) == Ran([text])
    assert box.run("import time\ntime.sleep(0.1)", [repr(text)] * 3) == Ran([text] * 3)
    box.close()
