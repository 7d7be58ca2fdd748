"""An odd run.json is one sentence, whoever reads it: to show, to go on, to publish, to train or to compare."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import hostile
from tests.builds import QUIET, build, small_recipe, write_questions
from tests.commands import Command
from tests.examples import ONE_FIXTURE
from tunixhack.bakeoff.compare import compare
from tunixhack.errors import TunixHackError, UserError
from tunixhack.publish.push import push
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.show import as_dict, print_run
from tunixhack.runs.state import LARGEST, SCHEMA, read_state
from tunixhack.testing import ScriptedTeacher
from tunixhack.train.data.datasets import read


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recipe, ScriptedTeacher, Run]]:
    folder = tmp_path_factory.mktemp("state")
    recipe = small_recipe(write_questions(folder / "questions.jsonl", 12))
    with ScriptedTeacher() as teacher:
        yield recipe, teacher, build(recipe, teacher, folder / "run")


VALID = {"domain": "d", "source": {}, "state": "stopped", "funnel": []}

ODD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is not readable JSON"),
    "no JSON": ("{", "is not readable JSON"),
    "a list": ("[]", "it is no object"),
    "a text": ('"run"', "it is no object"),
    "nothing of a run": ("{}", "it has no domain"),
    "without a funnel": (json.dumps({"domain": "d", "source": {}, "state": "done"}), "it has no funnel"),
    "a funnel that is none": (json.dumps(VALID | {"funnel": {"a": 1}}), "funnel is no list"),
    "a line that is none": (json.dumps(VALID | {"funnel": [None]}), r"funnel\[0\] is no object"),
    "a line without rows": (json.dumps(VALID | {"funnel": [{"step": "s"}]}), r"funnel\[0\] has no rows_in"),
    "a count as text": (
        json.dumps(VALID | {"funnel": [{"step": "s", "rows_in": "9"}]}),
        r"funnel\[0\].rows_in is not what it should be",
    ),
    "a count that is too large": (json.dumps(VALID | {"funnel": [{"step": "s", "rows_in": 2**70}]}), "rows_in is not"),
    "a number of many digits": (f'{{"domain": {"9" * 5000}}}', "is not readable JSON"),
    "right answers that are no count": (
        json.dumps(VALID | {"right": {"received": 3, "kept": {}, "disputed": 0}}),
        "right is not what it should be",
    ),
    "accepted answers that are no count": (
        json.dumps(VALID | {"accepted": {"wanted": "9", "ceiling": 1, "kept": 1, "questions": 1}}),
        "accepted is not what it should be",
    ),
    "infinite seconds": (
        json.dumps(VALID | {"funnel": [{"step": "s", "rows_in": 1, "seconds": float("inf")}]}),
        "secon",
    ),
    "teachers as a list": (json.dumps(VALID | {"teachers": []}), "teachers is no object"),
    "a seed as text": (json.dumps(VALID | {"order": {"seed": "0"}}), "order.seed is not what it should be"),
    "a command as a list": (json.dumps(VALID | {"command": ["rm"]}), "command is not what it should be"),
    "nested deeply": ("[" * 100_000 + "]" * 100_000, "is not readable JSON"),
    "nested": (json.dumps(VALID | {"pilot": json.loads("[" * 200 + "]" * 200)}), "nested too deeply"),
    "no UTF-8": (b'{"domain": "\xff"}', "is not readable JSON"),
    "binary": (bytes(range(256)), "is not readable JSON"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_one_is_a_sentence_that_says_what_to_do(case: str, tunixhack: Command, tmp_path: Path):
    content, says = ODD[case]
    (tmp_path / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=rf"run\.json .*{says}.*: restore it, or choose another --out"):
        Run.load(tmp_path)
    shown = tunixhack("show", tmp_path, "--json")
    assert (shown.code, shown.json) == (2, {"error": shown.sentence, "exit_code": 2})


def a_folder(path: Path) -> None:
    path.mkdir()


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


@pytest.mark.parametrize("make", [a_folder, os.mkfifo, too_large])
def test_what_is_no_file_of_a_sensible_size_is_not_read(
    make: Callable[[Path], None], tunixhack: Command, tmp_path: Path
):
    make(tmp_path / "run.json")
    assert "choose another --out" in tunixhack("show", tmp_path).sentence


def test_one_that_may_not_be_read_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "run.json").write_text("{}")

    def forbidden(path: Path, **how: Any) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(UserError, match=r"run\.json cannot be read \(Permission denied\)"):
        Run.load(tmp_path)


def test_a_folder_whose_name_is_too_long_is_a_sentence(tunixhack: Command, tmp_path: Path):
    assert "cannot be looked into: File name too long" in tunixhack("show", tmp_path / ("x" * 5000)).sentence


def test_what_an_earlier_version_did_not_write_is_filled_in(tmp_path: Path):
    (tmp_path / "run.json").write_text(json.dumps(VALID | {"funnel": [{"step": "s", "rows_in": 3, "kept": 3}]}))
    (line,) = read_state(tmp_path / "run.json")["funnel"]
    assert (line["kept"], line["rejected"], line["reasons"], line["note"], line["cost"]) == (3, 0, {}, None, None)
    assert Run.load(tmp_path).funnel.row(0, named=True)["rows_in"] == 3
    print_run(Run.load(tmp_path))


# whatever stands in it

VALUES = st.sampled_from(
    [None, True, 0, -1, 2**63, 1.5, float("nan"), "", "x", hostile.ALL, "\ud800", [], [None], {}, {"a": {}}, [[1, 2]]]
)


def places(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the way to each value within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*so_far, name)
        yield from places(one, (*so_far, name))


@st.composite
def changed(draw: st.DrawFn, content: dict[str, Any]) -> dict[str, Any]:
    """Change up to three values of a run.json, or take them away."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(content))))
        inner = content
        for name in way:
            inner = inner[name]
        if draw(st.booleans()):
            inner[last] = copy.deepcopy(draw(VALUES))
        else:
            del inner[last]
    return content


def nothing_or_a_sentence(call: Callable[[], object]) -> None:
    said = ""
    try:
        call()
    except TunixHackError as error:
        said = str(error)
    assert "\n" not in said
    assert not hostile.obeyed(said)


@settings(max_examples=150, deadline=None, suppress_health_check=ONE_FIXTURE)
@given(data=st.data())
def test_whoever_reads_it_has_a_result_or_a_sentence(
    data: st.DataObject,
    finished: tuple[Recipe, ScriptedTeacher, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    _, _, run = finished
    for name in ("train.parquet", "README.md"):
        shutil.copy(run.folder / name, tmp_path / name)
    state = data.draw(changed(run.state()))
    (tmp_path / "run.json").write_text(json.dumps(state))
    odd = Run(tmp_path)
    capsys.readouterr()
    for call in (
        lambda: Run.load(tmp_path),
        lambda: print_run(odd),
        lambda: as_dict(odd),
        lambda: odd.funnel,
        lambda: odd.subset(3),
        lambda: odd.export("messages"),
        lambda: push(odd, "me/stories"),
        lambda: read(tmp_path),
    ):
        nothing_or_a_sentence(call)
    assert not hostile.obeyed(capsys.readouterr().out)


@settings(max_examples=25, deadline=None, suppress_health_check=ONE_FIXTURE)
@given(data=st.data())
def test_a_build_goes_on_with_it_or_says_why_not(
    data: st.DataObject, finished: tuple[Recipe, ScriptedTeacher, Run], tmp_path_factory: pytest.TempPathFactory
):
    recipe, teacher, run = finished
    folder = tmp_path_factory.mktemp("odd") / "run"
    shutil.copytree(run.folder, folder)
    (folder / "run.json").write_text(json.dumps(data.draw(changed(run.state()))))
    nothing_or_a_sentence(lambda: build(recipe, teacher, folder))


@pytest.mark.parametrize("content", ["[]", "{", '{"domain": "creative", "source": {}, "state": "done", "funnel": [1]}'])
def test_a_bake_off_names_the_folder_whose_run_is_odd(
    content: str, finished: tuple[Recipe, ScriptedTeacher, Run], tmp_path: Path
):
    recipe, teacher, _ = finished
    entry = compare([teacher.url], recipe, questions=2, out=tmp_path, report=QUIET).entries[0]
    (entry.folder / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json is not"):
        compare([teacher.url], recipe, questions=2, out=tmp_path, report=QUIET)


def test_a_newer_schema_is_refused_and_one_without_a_number_is_read(tmp_path: Path):
    path = tmp_path / "run.json"
    state = {"domain": "d", "source": {}, "state": "done", "funnel": [], "schema": SCHEMA + 1, "tunixhack": "9.1"}
    path.write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"was written by tunixhack 9\.1, and this is an older one"):
        read_state(path)
    path.write_text(json.dumps(state | {"schema": SCHEMA}))
    assert read_state(path)["schema"] == SCHEMA
    del state["schema"]  # as version 0.1.0 wrote it
    path.write_text(json.dumps(state))
    assert read_state(path)["state"] == "done"


def test_an_estimate_of_any_size_is_read(tmp_path: Path):
    path, tokens = tmp_path / "run.json", 2**64  # a server that claims 2**53 tokens an answer, and 2,048 answers
    parts = {"tokens": tokens, "seconds": 1.5, "dollars": None}
    pilot = {"to_come": [parts], "spent": parts}
    state = {"domain": "d", "source": {}, "state": "stopped", "funnel": [], "pilot": pilot}
    path.write_text(json.dumps(state))
    assert read_state(path)["pilot"]["to_come"][0]["tokens"] == tokens
    path.write_text(json.dumps(state).replace(str(tokens), "-1"))
    with pytest.raises(UserError, match="pilot is not what it should be"):
        read_state(path)
