"""A run is read from its folder, whatever state it is in, and what models wrote in it has no effect when shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import build, small_recipe, write_questions
from tunixhack._util.ids import rank
from tunixhack._util.lock import locked
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.formats import FORMATS
from tunixhack.runs.lenders import lenders
from tunixhack.runs.run import Run
from tunixhack.runs.show import as_dict, print_run
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("finished")
    with ScriptedTeacher() as teacher:
        return build(small_recipe(write_questions(folder / "questions.jsonl", 20)), teacher, folder / "run")


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Run]:
    """A run whose probes were received but for one."""
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20))
    with ScriptedTeacher(faults=Faults(script=("ok",) * 14 + ("404",) * 20)) as teacher:
        with pytest.raises(TeacherFailed):
            build(recipe, teacher, tmp_path / "run")
        yield Run.load(tmp_path / "run")


# opening


def test_a_loaded_run_is_the_one_that_was_built(finished: Run):
    loaded = Run.load(str(finished.folder))
    assert loaded == finished
    assert loaded.done
    assert loaded.train.equals(finished.train)


def test_a_folder_without_a_run_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no run\.json"):
        Run.load(tmp_path)
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        Run.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is not readable JSON"), ("[]", "is not the state of a run"), ("", "is not readable JSON")],
)
def test_a_broken_run_json_is_one_sentence(text: str, sentence: str, tmp_path: Path):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=rf"run\.json {sentence}.*choose another --out"):
        Run.load(tmp_path)


def test_lenders_can_be_given_as_such_or_by_their_folders(finished: Run):
    assert lenders([finished, finished.folder, str(finished.folder)]) == [finished] * 3


# status


def test_a_finished_run_says_so(finished: Run):
    assert finished.status == "finished"


def test_a_stopped_run_says_why_and_how_to_go_on(stopped: Run):
    assert not stopped.done
    assert stopped.status.startswith("not finished: 1 of 12 probes of the length filter were not received")
    assert f"go on with: tunixhack build creative --source {stopped.folder.parent}/questions.jsonl" in stopped.status


def test_a_run_at_work_says_who_works_and_how_far_it_is(stopped: Run):
    with locked(stopped.folder):
        assert stopped.status.startswith("at work (process ")
        assert "11 answers received" in stopped.status
    assert stopped.status.startswith("not finished")


def test_a_table_that_is_not_written_yet_says_how_to_get_it(stopped: Run):
    with pytest.raises(UserError, match=r"has no train\.parquet yet: not finished: .*go on with: tunixhack build"):
        _ = stopped.train


def test_an_unfinished_run_is_shown_with_what_there_is(stopped: Run, capsys: pytest.CaptureFixture[str]):
    print_run(stopped)
    out = capsys.readouterr().out
    assert "not finished" in out
    assert "length_filter" in out
    assert "question " not in out
    assert as_dict(stopped)["rows"] == {}


# what is in it


def test_the_dataset_has_the_rows_of_train(finished: Run):
    dataset = finished.dataset
    assert dataset.column_names == finished.train.columns
    assert dataset.to_list() == finished.train.to_dicts()


def test_a_subset_is_part_of_every_larger_one_and_the_same_every_time(finished: Run):
    rows = finished.train.height
    subsets = [finished.subset(count).to_list() for count in range(1, rows + 1)]
    for count, subset in enumerate(subsets, 1):
        assert len(subset) == count
        assert subset == subsets[-1][:count]
    assert sorted(map(str, subsets[-1])) == sorted(map(str, finished.train.to_dicts()))
    assert finished.subset(rows=9).to_list() == subsets[8]


def test_a_subset_takes_whole_questions_in_the_order_of_the_runs_seed(finished: Run):
    subset = finished.subset(10)
    assert subset.column_names == finished.train.columns
    ids = list(dict.fromkeys(subset["question_id"]))
    assert ids == sorted(finished.train["question_id"].unique(), key=lambda question: rank(0, question))[:3]
    assert [(row["question_id"], row["sample"]) for row in subset] == [
        (question, sample) for question in ids for sample in range(4)
    ][:10]


@pytest.mark.parametrize("rows", [0, -1, 25])
def test_a_subset_that_cannot_be_taken_says_how_many_there_are(rows: int, finished: Run):
    with pytest.raises(UserError, match=rf"has 24 kept answers: a subset of {rows} cannot be taken"):
        finished.subset(rows)


def test_the_funnel_is_a_table_with_a_line_for_each_step(finished: Run):
    funnel = finished.funnel
    assert funnel.height == len(finished.state()["funnel"])
    assert {"step", "rows_in", "kept", "rejected", "seconds", "completion_tokens", "cost"} <= set(funnel.columns)


def test_samples_are_of_different_questions_and_the_same_every_time(finished: Run):
    first = list(finished.samples(4))
    assert len({row["question_id"] for row in first}) == 4
    assert list(finished.samples(4)) == first
    assert len(list(finished.samples(100))) == 6


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_export_is_read_back_line_by_line(name: str, finished: Run, tmp_path: Path):
    exported = finished.export(name, tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    read = [FORMATS[name].read(json.loads(line)) for line in lines]
    assert [tuple(example) for example in read] == finished.train.select("question", "reasoning", "answer").rows()
    assert exported.rejected.is_empty()


def test_an_unknown_format_names_the_nearest_and_writes_nothing(finished: Run, tmp_path: Path):
    with pytest.raises(UserError, match="did you mean sharegpt"):
        finished.export("share_gpt", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


# hostile words

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "markup": "[red]alarm[/red] [/] [link=http://evil]x[/link]",
    "html": "<script>alert(1)</script>",
    "return": "hidden\rshown",
    "direction": "\u202egnp.exe",
    "c1": "\x9b31m",
}


def hostile(messages: list[dict[str, Any]], seed: int) -> str:
    text = "\n".join(HOSTILE.values())
    return f"<reasoning>{seed} {text}</reasoning><answer>{text}</answer>"


def loud(rows: pl.DataFrame, ctx: Context) -> Verdict:
    return Verdict(keep=rows["sample"] > 0, reason="[red]loud[/red]", note="[/]")


def test_what_a_model_wrote_is_kept_as_it_is_and_shown_without_effect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20))
    with ScriptedTeacher(answer=hostile) as teacher:
        run = build(recipe.replace(steps=(Sample(), Parse(), loud)), teacher, tmp_path / "run", questions=1)
    assert run.train["answer"][0] == "\n".join(HOSTILE.values())
    print_run(run)
    out = capsys.readouterr().out
    assert not {c for c in out if not c.isprintable()} - {"\n"}
    for shown in (HOSTILE["markup"], HOSTILE["html"], "hidden", "[red]loud[/red] 1; [/]", "\ufffd[2J"):
        assert shown in out
