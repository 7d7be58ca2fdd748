"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.builds import small_recipe, write_questions
from tests.commands import Command, Result
from tests.examples import SLOW
from tests.folder_seconds import FolderSeconds
from tunixhack.cli import main as cli
from tunixhack.errors import UserError
from tunixhack.recipe import Recipe
from tunixhack.teachers.local.model_file import fetch_local
from tunixhack.teachers.local.server_process import EmbeddedServer
from tunixhack.teachers.transport import http, retries
from tunixhack.testing import ScriptedTeacher

collect_ignore = ["written_by_0", "written_by_1"]
"""What users have on their disks, a domain file of their own among it, is read by its test and holds none itself."""


# An example, and its making, may take as long as it takes on a machine with other work, and the same ones are tried
# each time: whether a change is good is no matter of luck. Others are looked for with --hypothesis-profile=searching.
hypothesis.settings.register_profile("searching", deadline=None, derandomize=False, suppress_health_check=SLOW)
hypothesis.settings.register_profile("tunixhack", deadline=None, derandomize=True, suppress_health_check=SLOW)
hypothesis.settings.load_profile("tunixhack")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C be heard, and jax keep what it compiles, which in trainings of seconds is most of the time."""
    config.pluginmanager.register(FolderSeconds())
    # the tests' own requests go to this machine, whatever proxy the environment has; those about proxies set theirs
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    # started in the background by a shell, a process ignores Ctrl-C and so do its children, and there are tests of it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cache = getattr(config, "cache", None)  # absent under `-p no:cacheprovider`
    folder = cache.mkdir("jax") if cache else None
    if folder is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # students of a few thousand numbers compute at once, however slow the code, and compile in two thirds of the time
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real questions beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real questions (shared/data beside the checkout) are not here")
    return folder


@pytest.fixture(autouse=True)
def _no_pauses_before_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server that is overloaded as often as ever, without the seconds between: no test is about their length."""
    monkeypatch.setattr(http, "PAUSES", (0.0,) * len(http.PAUSES))


@pytest.fixture(scope="session")
def local_model() -> Path:
    """The model of the teacher `local`, fetched if the cache lacks it."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed, which the extra [local] brings")
    try:
        return fetch_local()
    except UserError as error:
        pytest.skip(f"the embedded model cannot be fetched: {error}")


@pytest.fixture(scope="session")
def embedded_server(local_model: Path) -> Iterator[EmbeddedServer]:
    """One server for the whole session, as each of the processes of `--teacher local`, with all of its slots.

    It has one thread: two wait for one another whenever another test runs beside them.
    """
    with EmbeddedServer(local_model, small_keys=True, threads=1) as server:
        yield server


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request's next try follow at once."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.01)


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    """A scripted teacher without faults; `change` gives it some."""
    with ScriptedTeacher() as teacher:
        yield teacher


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of forty toy questions."""
    return write_questions(tmp_path / "questions.jsonl", 40)


@pytest.fixture
def recipe(source: Path) -> Recipe:
    """The creative domain on that file, four samples each."""
    return small_recipe(source)


@pytest.fixture
def tunixhack(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in this process: a process of its own spends three seconds on imports."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str | Path) -> Result:
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["tunixhack", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)
