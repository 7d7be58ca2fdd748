"""Code that attacks: it reaches nothing, changes nothing, outlives nothing, and counts as right only by computing.

Every attack is run as an unprivileged user (the sandbox leaves root before anything else), within the sandbox's own
limits of time and memory, once with all layers that this machine allows and once with the filter of system calls alone,
which is what a machine without user namespaces and Landlock has.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import select
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.children import children_with, has_ended, parent_of
from tests.waiting import wait_for
from tunixhack.verifiers import code
from tunixhack.verifiers.sandbox.pool import Limits, Ran, Sandbox
from tunixhack.verifiers.sandbox.system_calls import ALLOWED

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="code is run on Linux alone")

HELP = """
import ctypes, os, signal, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def tried(*attempts):
    said = []
    for attempt in attempts:
        try:
            said.append(["did", str(attempt())])
        except BaseException as error:
            said.append(type(error).__name__)
    return said

def native(function, *arguments):
    ctypes.set_errno(0)
    returned = function(*arguments)
    return "refused" if returned == -1 and ctypes.get_errno() == 1 else f"did: {returned}, {ctypes.get_errno()}"
"""
REFUSED = "PermissionError"


LAYERS = ["all layers", "the filter alone"]


@pytest.fixture(scope="module", params=LAYERS)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    sandbox = Sandbox(Limits(seconds=1), layered=request.param == "all layers")
    yield sandbox
    sandbox.close()


@pytest.fixture(params=LAYERS)
def patient_box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One with the time to fill its memory, whose pages some machines take a second to clear."""
    sandbox = Sandbox(Limits(seconds=30), layered=request.param == "all layers")
    yield sandbox
    sandbox.close()


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder in which everybody may do everything."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    (folder / "there").write_text("untouched")
    (folder / "there").chmod(0o666)
    yield folder
    assert [path.name for path in folder.iterdir()] == ["there"]
    assert (folder / "there").read_text() == "untouched"
    shutil.rmtree(folder)


def attack(box: Sandbox, body: str, call: str = "f()") -> Ran:
    """Run an attack, and see that the sandbox serves an honest answer afterwards and holds no process of it."""
    ran = box.run(HELP + body, [call])
    assert box.run("def f():\n    return 7", ["f()"]) == Ran([7])
    wait_for(lambda: leftovers(box) == [])
    return ran


def value(box: Sandbox, body: str, call: str = "f()") -> Any:
    ran = attack(box, body, call)
    assert ran.failed is None
    return ran.values[0]


def leftovers(box: Sandbox) -> list[psutil.Process]:
    """Return the processes below the hosts, but for one that stands in its own namespace and is the host itself."""
    hosts = children_with("tunixhack.verifiers.sandbox.host", deep=False)
    assert hosts
    below = [child for host in hosts for child in host.children(recursive=True)]
    return [one for one in below if parent_of(one) not in (None, *(host.pid for host in hosts))]


def test_the_code_has_no_rights_and_the_layers_are_told(box: Sandbox):
    assert box.layers[0] == "seccomp"
    user, group = value(box, "def f():\n    return os.getuid(), os.getgid()")
    assert 0 not in (user, group)


def test_every_call_of_the_system_but_those_that_compute_is_refused(box: Sandbox):
    # 335 and 336 are for the kernel's own probes: it shows them to no filter, and ends who calls them from elsewhere
    allowed = [*ALLOWED[platform.machine()].values(), 335, 336]
    body = f"""
def f():
    return [number for number in range(600) if number not in {allowed}
            if native(libc.syscall, number, 0, 0, 0, 0, 0, 0) != "refused"]
"""
    assert value(box, body) == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are instructions of x86_64")
def test_calls_by_the_numbers_of_another_architecture_end_the_process(box: Sandbox):
    body = """
def f():
    page = libc.mmap
    page.restype = ctypes.c_void_p
    at = page(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_size_t(0))
    code = bytes.fromhex("b814000000cd80c3")  # mov eax, 20 (getpid); int 0x80; ret
    ctypes.memmove(at, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(at)()
"""
    assert attack(box, body) == Ran([], "it ended its process")


def test_a_fork_bomb_starts_no_process(box: Sandbox):
    body = """
import subprocess
def f():
    said = tried(os.fork, os.forkpty, lambda: subprocess.run(["true"]))
    said += tried(lambda: os.posix_spawn("/bin/true", ["true"], {}))
    return said + sorted({native(libc.fork) for _ in range(1000)})
"""
    said = value(box, body)
    assert set(said) <= {REFUSED, "refused"}
    bomb = "import os\nwhile True:\n    os.fork()\n"
    assert attack(box, bomb).failed == (
        "its code asked for what the sandbox does not give: PermissionError: [Errno 1] Operation not permitted"
    )


def test_ten_gigabytes_are_not_given(patient_box: Sandbox):
    assert attack(patient_box, "def f():\n    return len(bytearray(10 * 2**30))").failed == (
        "call 1 of 1 raised an exception: MemoryError: "
    )
    held = """
def f():
    held = []
    while len(held) < 10 * 1024:
        held.append(bytearray(2**20))
"""
    assert "MemoryError" in (attack(patient_box, held).failed or "")
    mapped = """
def f():
    libc.mmap.restype = ctypes.c_void_p
    got = 0
    while got < 10 * 1024 and libc.mmap(None, ctypes.c_size_t(2**20), 3, 0x21, -1, ctypes.c_size_t(0)) != 2**64 - 1:
        got += 1
    return got
"""
    assert value(patient_box, mapped) <= 1024, "shared pages count like others"


@pytest.mark.parametrize("where", ["f", "code"])
def test_an_endless_loop_ends_whatever_signals_it_ignores(box: Sandbox, where: str):
    loop = """
for number in range(1, 65):
    try:
        signal.signal(number, lambda *_: None)
    except (OSError, ValueError):
        pass
def f():
    while True:
        pass
"""
    ran = attack(box, loop if where == "f" else loop + "f()\n")
    assert ran == Ran([], "it computed for more than 1 seconds")


def test_endless_output_goes_nowhere(box: Sandbox):
    for body in (
        "def f():\n    while True:\n        print('x' * 10_000)",
        "def f():\n    while True:\n        os.write(1, b'x' * 10_000), os.write(2, b'x' * 10_000)",
        "def f():\n    while True:\n        sys.__stderr__.write('x' * 10_000)",
    ):
        assert attack(box, body) == Ran([], "it computed for more than 1 seconds")


def test_a_value_that_is_too_large_is_not_taken(box: Sandbox):
    assert attack(box, "def f():\n    return 'x' * 2**21") == Ran([], "its values are too large")
    flood = "def f():\n    while True:\n        os.write(4, b'\\0\\0\\0\\x10' + b'x' * 16)"
    assert attack(box, flood) == Ran([], "it wrote values of its own instead of those asked for")


def test_keys_of_the_environment_and_of_other_processes_are_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    for layered in (True, False):
        box = Sandbox(Limits(seconds=1), layered=layered)
        body = """
def f(pid):
    libc.getenv.restype = ctypes.c_char_p
    files = [f"/proc/{one}/{name}" for one in ("self", os.getppid(), pid, 1) for name in ("environ", "mem", "maps")]
    there = repr(dict(os.environ)) + str(libc.getenv(b"OPENAI_API_KEY"))
    return "secret" in there, sorted(set(tried(*(lambda file=file: open(file, "rb").read() for file in files))))
"""
        assert value(box, body, f"f({os.getpid()})") == (False, [REFUSED])
        box.close()


def test_nothing_is_read_or_written_outside(box: Sandbox, outside: Path):
    body = """
import pathlib, shutil, tempfile
def f(folder):
    there, new = folder + "/there", folder + "/new"
    return set(tried(
        lambda: open(there).read(), lambda: open(there, "w"), lambda: open(new, "x"), lambda: open("new", "w"),
        lambda: os.mkdir(new), lambda: os.unlink(there), lambda: os.rename(there, new), lambda: os.chmod(there, 0),
        lambda: os.truncate(there, 0), lambda: os.utime(there), lambda: os.mkfifo(new), lambda: os.chdir(folder),
        lambda: os.listdir("/"), lambda: os.stat(there), lambda: os.memfd_create("x"), lambda: pathlib.Path("/").stat(),
    )) | {native(libc.open, there.encode(), 1), native(libc.creat, new.encode(), 0o777)}
"""
    assert value(box, body, f"f({str(outside)!r})") == {REFUSED, "refused"}


def test_there_is_no_link_out(box: Sandbox, outside: Path):
    body = """
def f(folder):
    return tried(
        lambda: os.symlink("/etc/passwd", folder + "/link"), lambda: os.symlink("/etc/passwd", "link"),
        lambda: os.link(folder + "/there", folder + "/link"), lambda: os.readlink("/proc/self/exe"),
        lambda: os.open("/proc/self/root", os.O_PATH), lambda: os.open("/proc/self/fd/3", os.O_RDONLY),
    )
"""
    assert value(box, body, f"f({str(outside)!r})") == [REFUSED] * 6


def test_nothing_on_this_machine_is_connected_to(box: Sandbox, outside: Path):
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named:
        tcp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0tunixhack-{os.getpid()}")
        path = f"{tempfile.mkdtemp()}/socket"
        named.bind(path)
        Path(path).parent.chmod(0o755)
        Path(path).chmod(0o777)
        for one in (tcp, abstract, named):
            one.listen()
        body = """
import socket
def connect(family, address):
    with socket.socket(family) as one:
        one.connect(address)
def f(port, abstract, named):
    return tried(
        lambda: connect(socket.AF_INET, ("127.0.0.1", port)), lambda: connect(socket.AF_INET6, ("::1", port)),
        lambda: connect(socket.AF_UNIX, abstract), lambda: connect(socket.AF_UNIX, named),
        lambda: socket.socket(socket.AF_NETLINK), lambda: socket.socketpair(), lambda: socket.socket(socket.AF_VSOCK),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW), lambda: socket.socket(fileno=3).connect(named),
    )
"""
        call = f"f({tcp.getsockname()[1]}, {abstract.getsockname().decode()!r}, {path!r})"
        assert value(box, body, call) == [REFUSED] * 9
        assert select.select([tcp, abstract, named], [], [], 0)[0] == [], "nobody knocked"
        shutil.rmtree(Path(path).parent)


def test_no_process_is_killed_traced_or_looked_into(box: Sandbox):
    body = """
def f(parent):
    aims = [1, -1, 0, os.getppid(), parent, os.getpid()]
    said = tried(*(lambda pid=pid: os.kill(pid, signal.SIGKILL) for pid in aims))
    said += tried(lambda: os.killpg(0, 9), lambda: os.pidfd_open(os.getppid()), lambda: os.setpriority(0, 0, 19))
    for pid in aims:
        said += [native(libc.ptrace, request, pid, 0, 0) for request in (16, 0x4206)]
        said += [native(libc.process_vm_readv, pid, 0, 0, 0, 0, 0)]
    return set(said)
"""
    assert value(box, body, f"f({os.getpid()})") == {REFUSED, "refused"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit(0)", "its code raised an exception: SystemExit: 0"),
        ("def f():\n    sys.exit(0)", "call 1 of 1 raised an exception: SystemExit: 0"),
        ("def f():\n    exit()", "call 1 of 1 raised an exception: SystemExit: "),
        ("def f():\n    os._exit(0)", "it ended its process"),
        ("def f():\n    libc.exit(0)", "it ended its process"),
        ("def f():\n    os.abort()", "it ended its process"),
        ("def f():\n    ctypes.string_at(0)", "it ended its process"),
        ("import atexit\natexit.register(print, 'passed')\nraise KeyboardInterrupt", "an exception: KeyboardInterrupt"),
        ("class Odd(BaseException):\n    def __str__(self):\n        os._exit(0)\nraise Odd", "it ended its process"),
        ("def f():\n    os.close(4)", "it ended its process"),
    ],
)
def test_ending_before_the_tests_passes_none(box: Sandbox, body: str, why: str):
    ran = attack(box, body)
    assert (ran.values, ran.unknown) == ([], False)
    assert why in (ran.failed or "")


def test_a_thread_does_not_outlive_its_test(box: Sandbox):
    body = "import time\ndef f():\n    threading.Thread(target=time.sleep, args=(600,)).start()\n    return 7"
    assert attack(box, body).failed == (
        "call 1 of 1 asked for what the sandbox does not give: RuntimeError: can't start new thread"
    )
    assert value(box, "import _thread\ndef f():\n    return tried(lambda: _thread.start_new_thread(f, ()))") == [
        "RuntimeError"
    ]


def test_what_one_answer_leaves_behind_no_other_finds(box: Sandbox):
    body = """
import builtins, random
builtins.left = sys.left = "behind"
random.seed(5)
int_max = sys.set_int_max_str_digits(0)
marker = "marker-of-the-first-answer" * 100
def f():
    return random.random()
"""
    first = [box.run(HELP + body, ["f()"]).values for _ in range(2 * box.side_by_side)]
    assert first == [first[0]] * len(first)
    look = """
import random
def f():
    top = libc.sbrk
    top.restype = ctypes.c_void_p
    heap = ctypes.string_at(top(0) - 2**20, 2**20)
    return hasattr(sys, "left"), random.random(), b"answermarker-of-the-first-" in heap.replace(b"\\"answermarker", b"")
"""
    assert len({box.run("import os", ["os.getppid()"]).values[0] for _ in range(5)}) == 5, (
        "each has a parent of its own"
    )
    seen = {json.dumps(value(box, look)) for _ in range(2 * box.side_by_side)}
    assert len(seen) == 1
    assert json.loads(seen.pop())[::2] == [False, False]


# forged results: the check as a whole


def judged(answer: str, *tests: str) -> code.Told:
    (told,) = code.passes.judge([{"answer": HELP + answer, "inputs": json.dumps({"tests": list(tests)})}])
    return told


FORGED = {
    "an int that is equal to all": "class A(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\n"
    "def f(x):\n    return A(5)",
    "a list that is equal to all": "class A(list):\n    __eq__ = lambda *_: True\n    __len__ = lambda _: 1\n"
    "    __iter__ = lambda _: iter([36])\ndef f(x):\n    return A([5])",
    "a text that says it is another": "class A(str):\n    __str__ = lambda _: '36'\n    __repr__ = __str__\n"
    "    __eq__ = lambda *_: True\ndef f(x):\n    return A('5')",
    "a class of its own": "class A:\n    __eq__ = lambda *_: True\n    __class__ = int\ndef f(x):\n    return A()",
    "patched builtins": "import builtins\nbuiltins.all = builtins.bool = builtins.abs = lambda *_: True\n"
    "builtins.isinstance = builtins.issubclass = lambda *_: True\ndef f(x):\n    return 5",
    "patched modules": "import json, tunixhack\njson.dumps = lambda *_, **__: '{\"value\": true}'\n"
    "for name, one in list(sys.modules.items()):\n    if name.startswith('tunixhack') and hasattr(one, 'encode'):\n"
    "        one.encode = lambda *_: True\ndef f(x):\n    return 5",
    "printed results": "for line in ('{\"value\": 36}', '{\"told\": [\"{}\"], \"ended\": null}', 'ok', 'PASSED'):\n"
    "    print(line), os.write(1, line.encode()), os.write(2, line.encode())\ndef f(x):\n    return 5",
    "a guessed nonce": "import struct\nfor nonce in (bytes(16), b'0' * 16, os.urandom(16)):\n"
    "    message = nonce + b'{\"value\": 36}'\n    os.write(4, struct.pack('>I', len(message)) + message)\n"
    "def f(x):\n    return 5",
    "the nonce of the frames": "import struct\nframe, nonce = sys._getframe(), None\n"
    "while frame and nonce is None:\n    nonce, frame = frame.f_locals.get('nonce'), frame.f_back\n"
    "def put(nonce, text):\n    os.write(4, struct.pack('>I', 16 + len(text)) + nonce + text)\n"
    "put(nonce, b'{\"value\": null}')\nmessage = os.read(3, 10_000)\n"
    "put(message[4:20], b'{\"value\": 5}')\nos._exit(0)",
    "a result for every file descriptor": "for one in range(64):\n    try:\n        os.write(one, b'{\"value\": 36}')\n"
    "    except OSError:\n        pass\ndef f(x):\n    return 5",
    "a value that changes": "class A(int):\n    def __add__(self, other):\n        return 36\n"
    "    __index__ = __int__ = __add__\n"
    "def f(x):\n    return A(5)",
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize(
    "test", ["assert f(6) == 36", "assert f(6) == [36]", "assert f(6) == '36'", "assert f(6) is False"]
)
def test_a_forged_result_is_none(name: str, test: str):
    assert not judged(FORGED[name], test).right
    assert judged("def f(x):\n    return 36", "assert f(6) == 36").right is True


def test_what_is_expected_is_nowhere_to_be_found_in_the_process():
    expected = "what-is-expected-of-it"
    look = f"""
import gc, hashlib, re
def is_expected(text):
    return any(hashlib.sha256(word.encode()).hexdigest() == "{hashlib.sha256(expected.encode()).hexdigest()}"
               for word in re.findall("[a-z-]{{22}}", text))
def texts():
    frame, waiting, seen = sys._getframe(), gc.get_objects(), set()
    while frame:
        waiting += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and one is not waiting and one is not seen:
            seen.add(id(one))
            waiting += gc.get_referents(one)
            if type(one) in (str, bytes):
                yield one if type(one) is str else one.decode("latin-1")
    libc.sbrk.restype = ctypes.c_void_p
    yield ctypes.string_at(libc.sbrk(0) - 2**20, 2**20).decode("latin-1")
def f(x):
    return [text[:50] for text in texts() if is_expected(text)]
"""
    assert judged(look, "assert f(1) == []", f"assert f(2) != [{expected!r}]") == (True, None)
    told = judged(look + f"\nfound = {expected!r}", "assert f(1) == []")
    assert told.right is False, "where it is, it is found"


def test_all_processes_end_when_ours_is_killed(tmp_path: Path):
    from tests.processes import Started

    started = Started(tmp_path / "log", endless)
    wait_for(lambda: len(psutil.Process(started.pid).children(recursive=True)) >= 3)
    below = psutil.Process(started.pid).children(recursive=True)
    started.send(signal.SIGKILL)
    wait_for(lambda: all(map(has_ended, below)))


def endless() -> None:
    Sandbox(Limits(seconds=600)).run("while True:\n    pass", [])
