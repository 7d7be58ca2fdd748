"""Several servers as one teacher: what they answered is paid for once, whoever of them comes, goes or moves."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builds import asked, build, equal
from tests.holding import Gate
from tests.ports import reserved_port
from tests.waiting import PATIENCE, wait_for
from tunixhack import LengthFilter
from tunixhack._util.files import write_text
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.pipeline import answer_blocks
from tunixhack.recipe import Recipe
from tunixhack.teachers.registry.address import addresses_in, is_group, public_name
from tunixhack.teachers.transport import request_loop
from tunixhack.teachers.transport.servers import Servers
from tunixhack.testing import ScriptedTeacher

ALIKE: dict[str, Any] = {"dialect": "vllm", "context": 8192}


@pytest.fixture
def recipe(recipe: Recipe) -> Recipe:
    """A recipe that asks for samples and nothing else."""
    return recipe.without(LengthFilter)


@pytest.fixture
def one() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(**ALIKE) as server:
        yield server


@pytest.fixture
def two() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(**ALIKE) as server:
        yield server


def listed(*servers: ScriptedTeacher, model: str = "scripted") -> str:
    return ",".join(server.url for server in servers) + f"#{model}"


class Said(Reporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.sentences: list[str] = []

    def say(self, message: str) -> None:
        self.sentences.append(message)


def test_both_are_asked_and_the_run_equals_that_of_one(
    recipe: Recipe, one: ScriptedTeacher, two: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, listed(one, two), tmp_path / "both", questions=8)
    assert asked(one) > 0
    assert asked(two) > 0
    assert asked(one) + asked(two) == 8 * 4
    assert set(run.train["teacher"]) == {"servers#scripted"}
    alone = build(recipe, one, tmp_path / "alone", questions=8)
    different = ["teacher", "request_key"]
    ours, theirs = (each.train.drop(*different, "source_row") for each in (run, alone))
    assert ours.sort("question_id", "sample").equals(theirs.sort("question_id", "sample"))


def test_its_identity_is_fixed_at_its_first_start_and_servers_may_come_go_and_move(
    recipe: Recipe, one: ScriptedTeacher, two: ScriptedTeacher, tmp_path: Path
):
    out = tmp_path / "run"
    first = build(recipe, f"{one.url},{two.url}#scripted", out)
    kept = json.loads((out / "run.json").read_text())["teachers"]["servers#scripted"]
    assert kept["identity"] == {"group": {"model": "scripted", "quantisation": "scripted/scripted", "context": 8192}}
    before = asked(one) + asked(two)
    with ScriptedTeacher(**ALIKE) as moved:
        again = build(recipe, f"{two.url},{moved.url}#scripted", out)
        assert asked(moved) == 0
        assert asked(one) + asked(two) == before
        assert equal(first, again)
        more = build(recipe, f"{moved.url},{two.url}#scripted", out, questions=9)
        assert asked(one) + asked(two) + asked(moved) == 9 * 4
    assert set(more.train["teacher"]) == {"servers#scripted"}


def test_what_a_member_answered_under_its_own_address_counts_for_the_list(
    recipe: Recipe, one: ScriptedTeacher, two: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, alone = tmp_path / "run", tmp_path / "alone"
    build(recipe, one, out)
    build(recipe, f"{one.url}#scripted", alone)
    before = asked(one)
    build(recipe, listed(one, two), out)
    assert (asked(one), asked(two)) == (before, 0)
    lent = build(recipe, listed(one, two), tmp_path / "lent", reuse=[alone])
    assert (asked(one), asked(two)) == (before, 0)
    assert lent.train.height == 6 * 4
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 8)
    monkeypatch.setattr(answer_blocks, "_ASKED", 4)
    for name in ("run", "in-blocks"):
        blocks = build(recipe, listed(one, two), tmp_path / name, reuse=[alone])
        assert (asked(one), asked(two)) == (before, 0)
        assert equal(blocks, lent)
    # and still after that server has left
    with ScriptedTeacher(**ALIKE) as new:
        build(recipe, listed(two, new), out)
        assert (asked(two), asked(new)) == (0, 0)


def test_a_list_without_any_server_that_answers_still_gives_what_it_answered(
    recipe: Recipe, one: ScriptedTeacher, two: ScriptedTeacher, tmp_path: Path
):
    first = build(recipe, listed(one, two), tmp_path / "run")
    spec = listed(one, two)
    one.stop()
    two.stop()
    assert equal(build(recipe, spec, tmp_path / "run"), first)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"dialect": "vllm", "context": 4096}, "another context than .* (4096, and not 8192)"),
        ({"dialect": "llamacpp", "context": 8192}, "another quantisation than"),
        ({"dialect": "vllm", "models": ("other",)}, "does not serve 'scripted'"),
    ],
)
def test_servers_of_different_models_are_a_sentence(
    other: dict[str, Any], told: str, recipe: Recipe, one: ScriptedTeacher, tmp_path: Path
):
    with ScriptedTeacher(**other) as different:
        with pytest.raises(UserError, match=told.replace("(", r"\(").replace(")", r"\)")):
            build(recipe, listed(one, different), tmp_path / "run")
        assert asked(different) == 0
    assert asked(one) == 0


def test_servers_that_do_not_tell_what_they_serve_need_a_name_for_it(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher() as silent, ScriptedTeacher() as other:
        with pytest.raises(UserError, match="--same-model NAME"):
            build(recipe, listed(silent, other), tmp_path / "run")
        run = build(recipe, listed(silent, other), tmp_path / "run", same_model="mine")
        before = asked(silent) + asked(other)
        assert before == run.train.height == 24
        # fixed at the first start, and named no more
        build(recipe, listed(other, silent), tmp_path / "run")
        assert asked(silent) + asked(other) == before


@pytest.fixture
def held() -> Iterator[tuple[ScriptedTeacher, Gate]]:
    """A server that answers four choices, and holds what comes next until its gate is opened."""
    gate = Gate(free=4)
    with ScriptedTeacher(answer=gate, **ALIKE) as server:
        try:
            yield server, gate
        finally:
            gate.open()


@contextmanager
def meanwhile(gate: Gate, work: Callable[[], object]) -> Iterator[None]:
    """Do something while a server holds its answers, and let it go on when that is done."""

    def do() -> None:
        try:
            assert gate.reached.wait(PATIENCE)
            work()
        finally:
            gate.open()

    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(do)
        yield
        doing.result()


def test_a_server_that_is_away_is_told_of_and_asked_as_soon_as_it_comes(
    recipe: Recipe, held: tuple[ScriptedTeacher, Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_loop, "LOOK_FOR_SERVERS", 0.05)
    one, gate = held
    with reserved_port() as port:
        said, late = Said(), ScriptedTeacher(port=port, **ALIKE)

        def come() -> None:
            late.__enter__()
            wait_for(lambda: asked(late) > 0)

        url = f"http://127.0.0.1:{port}/v1"
        try:
            with meanwhile(gate, come):
                spec = f"{one.url},{url}#scripted"
                run = build(recipe, spec, tmp_path / "run", questions=10, report=said, concurrency=2)
            assert gate.given + asked(late) == 40
        finally:
            late.stop()
    assert run.train.height == 40
    assert any(f"{url} does not answer" in one for one in said.sentences)
    assert any(f"{url} has come" in one for one in said.sentences)


def test_a_file_of_servers_is_read_again_while_it_runs(
    recipe: Recipe,
    held: tuple[ScriptedTeacher, Gate],
    two: ScriptedTeacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    one, gate = held
    read, update = threading.Event(), Servers.update

    def updated(self: Servers, addresses: Collection[str]) -> None:
        update(self, addresses)
        if two.url in addresses:
            read.set()

    monkeypatch.setattr(request_loop, "LOOK_FOR_SERVERS", 0.05)
    monkeypatch.setattr(Servers, "update", updated)
    file = tmp_path / "servers.txt"
    file.write_text(f"# ours\n{one.url}\n\n")

    def change() -> None:
        write_text(file, f"{two.url}\n")
        assert read.wait(PATIENCE)

    with meanwhile(gate, change):
        run = build(recipe, f"@{file}#scripted", tmp_path / "run", questions=20, concurrency=2)
    assert asked(two) > 40
    assert run.train.height == gate.given + asked(two) == 80


def test_a_server_of_another_model_that_comes_while_it_runs_is_told_of_once_and_not_asked(
    recipe: Recipe, held: tuple[ScriptedTeacher, Gate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_loop, "LOOK_FOR_SERVERS", 0.05)
    one, gate = held
    file, said = tmp_path / "servers.txt", Said()
    file.write_text(f"{one.url}\n")

    def told() -> list[str]:
        return [one for one in said.sentences if "serves another quantisation" in one and "is not asked" in one]

    with ScriptedTeacher(dialect="llamacpp", context=8192) as other:

        def change() -> None:
            write_text(file, f"{one.url}\n{other.url}\n")
            wait_for(told)

        with meanwhile(gate, change):
            run = build(recipe, f"@{file}#scripted", tmp_path / "run", questions=20, concurrency=2, report=said)
        assert asked(other) == 0
    assert run.train.height == gate.given == 80
    assert len(told()) == 1


def test_bad_lists_are_a_sentence(recipe: Recipe, one: ScriptedTeacher, tmp_path: Path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        build(recipe, f"@{tmp_path}/none.txt#m", tmp_path / "run")
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing yet\n")
    with pytest.raises(UserError, match="lists no servers"):
        build(recipe, f"@{empty}", tmp_path / "run")
    with pytest.raises(UserError, match=r"'lmstudio/qwen3' in --teacher is no address"):
        build(recipe, f"{one.url},lmstudio/qwen3#m", tmp_path / "run")


def test_no_credentials_of_any_server_are_shown_or_kept(
    recipe: Recipe, one: ScriptedTeacher, two: ScriptedTeacher, tmp_path: Path
):
    spec = ",".join(re.sub("//", "//me:s3cret@", server.url) for server in (one, two)) + "#scripted"
    assert "s3cret" not in public_name(spec)
    assert is_group(spec)
    assert len(addresses_in(spec)) == 2
    run = build(recipe, spec, tmp_path / "run")
    assert run.train.height == 24
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
