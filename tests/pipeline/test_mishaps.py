"""What somebody with only the README ran into: each is a sentence now, and nothing is lost by it."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, asked, build, equal, given_by_seed, small_recipe, write_questions
from tests.commands import Command
from tests.processes import Started
from tunixhack._util.files import write_parquet
from tunixhack._util.progress import Reporter
from tunixhack.errors import NearlyAllDropped, TeacherFailed, UserError
from tunixhack.recipe import Recipe
from tunixhack.recipes import creative
from tunixhack.runs.run import Run
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.steps.verify import Verify
from tunixhack.teachers.transport import call_state, endpoint
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions


class Notes(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    warn = say


def test_a_folder_full_of_somebodys_files_is_not_written_to(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "README.md").write_text("precious")
    with pytest.raises(UserError, match=r"has files but no run.json.*README.md.*choose another --out"):
        build(recipe, teacher, mine)
    assert [path.name for path in mine.iterdir()] == ["README.md"]
    assert (mine / "README.md").read_text() == "precious"


def test_a_run_whose_state_was_lost_or_emptied_is_not_taken_for_a_new_one(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run")
    (run.folder / "run.json").write_text("{}")
    with pytest.raises(UserError, match="is not the state of a run"):
        build(recipe, teacher, run.folder)
    (run.folder / "run.json").unlink()
    before = asked(teacher)
    with pytest.raises(UserError, match=rf"has no run\.json any more, but {before} answers .*--reuse {run.folder}"):
        build(recipe, teacher, run.folder)
    assert build(recipe, teacher, tmp_path / "other", reuse=[run.folder]).done
    assert asked(teacher) == before, "as the sentence says"


def test_answers_alone_whose_state_was_lost_are_gone_on_with(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, tunixhack: Command
):
    whole = build(recipe, teacher, tmp_path / "whole")
    left, before, notes = tmp_path / "left", asked(teacher), Notes()
    shutil.copytree(whole.folder / "answers", left / "answers")
    assert "has no run.json any more" in tunixhack("show", left).sentence
    assert equal(build(recipe, teacher, left, report=notes), whole)
    assert asked(teacher) == before
    assert any("has answers and no run.json" in sentence for sentence in notes.said)


def test_somebodys_folder_of_answers_is_not_written_to(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    mine = tmp_path / "mine" / "answers"
    mine.mkdir(parents=True)
    (mine / "page1.jpg").write_text("precious")
    with pytest.raises(UserError, match=r"has files but no run\.json.*answers/page1\.jpg"):
        build(recipe, teacher, mine.parent)


def test_a_disk_that_is_full_when_answers_are_stored_first_leaves_them_and_the_run(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:

        def full(self: Path, content: bytes) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match=r"No space left.*waits in .*\.work, and the same command takes it"):
            build(recipe, teacher, out)
    before, run = asked(teacher), Run.load(out)
    assert before > 0
    assert f"{before} answers received" in run.status
    assert equal(build(recipe, teacher, out), build(recipe, teacher, tmp_path / "other"))
    assert set(given_by_seed(teacher).values()) == {2}, "nothing is asked again but for the other run"


def test_a_start_that_received_nothing_is_taken_back(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(UserError):
        build(recipe.replace(steps=(mistaken, Sample(), Parse())), teacher, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"PAR1 half"])
def test_a_damaged_table_is_named_with_what_to_do(
    damage: bytes, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run")
    (run.folder / "train.parquet").write_bytes(damage)
    with pytest.raises(UserError, match=r"train\.parquet is damaged.*build again"):
        _ = run.train


def test_damaged_answers_are_kept_aside_and_only_these_are_asked_for_again(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, tunixhack: Command
):
    run = build(recipe, teacher, tmp_path / "run", questions=2)
    build(recipe, teacher, tmp_path / "run")  # the rest, in files of its own
    before, files = asked(teacher), sorted((run.folder / "answers").iterdir())
    lost = pl.read_parquet(files[0]).height
    assert len(files) > 2
    files[0].write_bytes(files[0].read_bytes()[:-20])
    run.save(run.state() | {"state": "stopped"})
    assert tunixhack("show", run.folder).code == 0
    assert f"{before - lost} answers received, and those in answers/{files[0].name}, damaged" in run.status
    assert files[0].exists(), "who only looks changes nothing"

    notes = Notes()
    assert build(recipe, teacher, run.folder, report=notes).done
    assert asked(teacher) == before + lost
    assert any(sentence.startswith(f"{files[0]} is damaged, and kept as") for sentence in notes.said)
    assert files[0].with_name(f"{files[0].name}.damaged").exists()
    assert equal(run, build(recipe, teacher, tmp_path / "other"))


@pytest.mark.parametrize("name", ["[red]a b", "run*", "{a,b}", "~", "what?"])
def test_no_folder_of_a_run_is_a_pattern(
    name: str, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, tunixhack: Command
):
    out = tmp_path / name / name
    run = build(recipe, teacher, out)
    before = asked(teacher)
    assert build(recipe, teacher, out).done
    assert build(recipe, teacher, tmp_path / "other", reuse=[out]).done
    assert asked(teacher) == before
    assert run.subset(4).num_rows == 4
    assert len(run.export("messages", out / f"{name}.jsonl").rows) == run.train.height
    assert tunixhack("show", out).code == 0


def test_a_question_that_is_far_too_long_costs_itself_only(teacher: ScriptedTeacher, tmp_path: Path):
    rows = [*toy_questions(5), {"question": "x" * 400_000}]
    recipe = small_recipe(write_questions(tmp_path / "q.jsonl", rows)).replace(steps=(Sample(), Parse()))
    with pytest.raises(TeacherFailed, match=r"4 answers were not received; .*question [0-9a-f]{16}: HTTP 400"):
        build(recipe, teacher, tmp_path / "run")
    assert Run.load(tmp_path / "run").train.height == 5 * 4


@pytest.mark.parametrize("usage", ["all", "none"])
def test_a_question_that_the_teacher_refuses_does_not_stop_the_length_filter(
    usage: str, teacher: ScriptedTeacher, tmp_path: Path
):
    teacher.change(usage=usage)
    rows = [*toy_questions(7), {"question": "x" * 1_000_000}]
    recipe = small_recipe(write_questions(tmp_path / "q.jsonl", rows))
    run = build(recipe, teacher, tmp_path / "run", questions=4)
    assert run.done
    assert run.train["question_id"].n_unique() == 4
    reasons = run.rejected.filter(step="length_filter").sort("question")
    assert reasons["reason"].to_list() == ["short"] * 3 + ["refused"]
    assert "HTTP 400" in reasons["evidence"][-1]
    assert [("length" in each) for each in reasons["evidence"]] == [True] * 3 + [False]
    assert run.train["length_filter_unit"].unique().to_list() == ["tokens" if usage == "all" else "characters"]
    assert reasons["length_filter_length"].is_null().to_list() == [False] * 3 + [True], "it has none"


def on_a_full_disk(room: int, log: Path, function: Callable[..., None], *arguments: Any) -> str:
    """Call a function in a process of its own, where no file can have more bytes than that; returns what it printed."""
    process = Started(log, limited, room, function, *arguments)
    assert process.wait() == 0, process.said
    return process.said


def limited(room: int, function: Callable[..., None], *arguments: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        function(*arguments)
    except UserError as error:
        print(error)


WITHOUT_FILTERS = (Sample(), Parse())


def build_forty(source: Path, teacher: str, out: Path) -> None:
    build(small_recipe(source, steps=WITHOUT_FILTERS), teacher, out, questions=40)


def test_a_full_disk_stops_the_build_and_loses_what_was_in_flight_only(source: Path, tmp_path: Path):
    out, recipe = tmp_path / "run", small_recipe(source, steps=WITHOUT_FILTERS)
    answer = "<reasoning>" + " ".join(f"why{n:04}" for n in range(2000)) + "</reasoning><answer>{}</answer>"
    with ScriptedTeacher(answer=lambda messages, seed: answer.format(seed)) as teacher:
        told = on_a_full_disk(600_000, tmp_path / "log", build_forty, source, teacher.url, out)
        assert told.startswith(f"cannot write to {out / '.work'}: File too large; what was received before is kept")
        received = Run(out).store.answers().height
        assert 16 < received < 160, "more than the pilot and less than all"
        lost = asked(teacher) - received
        assert lost <= endpoint.Endpoint(url="", model="").concurrency * recipe.samples, "in flight"
        assert build(recipe, teacher, out, questions=40).train.height == 160
        assert asked(teacher) == 160 + lost


def write_table(path: Path) -> None:
    write_parquet(path, pl.DataFrame({"a": range(10_000)}))


def test_a_table_that_no_disk_holds_is_a_sentence(tmp_path: Path):
    path = tmp_path / "table.parquet"
    write_parquet(path, pl.DataFrame({"a": [1]}))
    told = on_a_full_disk(400, tmp_path / "log", write_table, path)
    assert told.startswith(f"cannot write {path}: File too large")
    assert pl.read_parquet(path).height == 1


def test_a_stumble_in_the_preflight_is_tried_again(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("500", "429")))
    assert build(recipe, teacher, tmp_path / "run").done


def test_a_teacher_that_is_waited_for_is_told_of(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(call_state, "REPORT_AFTER", 0.0)
    teacher.change(faults=Faults(script=("ok",) * 3 + ("500",) * 12))
    notes = Notes()
    build(recipe, teacher, tmp_path / "run", report=notes)
    assert sum("does not answer (HTTP 500" in sentence for sentence in notes.said) >= 1


@pytest.mark.parametrize("questions", [1, 6, 40])
def test_a_run_that_keeps_nothing_is_not_finished_and_has_everything_written(
    questions: int, recipe: Recipe, tmp_path: Path
):
    plain = recipe.replace(steps=(Sample(), Parse()), samples=2)
    with ScriptedTeacher(style="none") as teacher, pytest.raises(NearlyAllDropped) as caught:
        build(plain, teacher, tmp_path / "run", questions=questions, yes=True)
    said = str(caught.value)
    assert caught.value.exit_code == 4
    assert said.endswith(f"; everything is written to {tmp_path / 'run'}")
    if questions < 25:  # beyond that, the step is told of that dropped them
        assert (
            f"nothing is left of {'1 question' if questions == 1 else '6 questions'}: train.parquet has no rows" in said
        )
        assert f"(parse malformed {2 * questions})" in said
    run = Run.load(tmp_path / "run")
    assert (run.train.height, run.rejected.height, run.done) == (0, 2 * questions, False)
    assert run.status.startswith("not finished: ")
    assert (run.folder / "README.md").exists()


def test_answers_that_are_missing_are_no_empty_result(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    """They can still come: exit 3, and not 4."""
    teacher.change(faults=Faults(script=("ok",) * 3 + ("404",) * 99))
    with pytest.raises(TeacherFailed):
        build(recipe.replace(steps=(Sample(), Parse())), teacher, tmp_path / "run")
    assert Run.load(tmp_path / "run").train.is_empty()


def test_steps_that_leave_no_question_leave_an_empty_result(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def none(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=rows["question"].is_null())

    steps = (LengthFilter(keep=0.5), none, Sample(), Parse())
    with pytest.raises(NearlyAllDropped, match=r"nothing is left of 40 questions: .*none 6"):
        build(recipe.replace(steps=steps), teacher, tmp_path / "run")
    assert Run.load(tmp_path / "run").rejected.height == 12


def test_what_was_empty_is_finished_once_something_is_kept(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    def strict(rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=rows["answer"].is_null())

    plain = recipe.replace(steps=(Sample(), Parse()))
    with pytest.raises(NearlyAllDropped, match=r"nothing is left of 6 questions"):
        build(plain.replace(steps=(*plain.steps, strict)), teacher, tmp_path / "run")
    teacher.reset()
    assert build(plain, teacher, tmp_path / "run").done
    assert teacher.stats["requests"] == 0


def test_a_stop_prints_the_command_that_goes_on(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    teacher.change(faults=Faults(script=("ok",) * 3 + ("404",) * 99))
    notes = Notes()
    with pytest.raises(TeacherFailed):
        build(recipe, teacher, tmp_path / "run", report=notes)
    assert notes.said[-1].startswith("to go on: tunixhack build creative --source")


def mistaken(rows: pl.DataFrame, ctx: Context) -> Verdict:
    raise KeyError("nope")


def test_a_mistake_in_ones_own_step_is_a_sentence(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    with pytest.raises(UserError, match="step mistaken failed: KeyError: 'nope'"):
        build(recipe.replace(steps=(mistaken, Sample(), Parse())), teacher, tmp_path / "run")


def picky(rows: pl.DataFrame, ctx: Context) -> Verdict:
    """Fail on one answer alone, the last one of the thirteenth question that it sees."""
    if rows.height and rows["question_id"].n_unique() > 12:
        unlucky = rows["question_id"].unique(maintain_order=True)[12]
        rows = rows.with_columns(bad=(pl.col("question_id") == unlucky) & (pl.col("sample") == 3))
        picky.last = rows.filter("bad")["answer"].to_list()  # type: ignore[attr-defined]
    if set(rows["answer"]) & set(getattr(picky, "last", [])):
        raise ZeroDivisionError("one answer alone")
    return Verdict(keep=pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True))


def test_a_step_of_ones_own_that_fails_on_answers_names_the_row_and_ends_the_run(
    source: Path, teacher: ScriptedTeacher, tmp_path: Path
):
    recipe = small_recipe(source).replace(steps=(Sample(), Parse(), picky))
    notes = Notes()
    with pytest.raises(UserError, match=r"step picky failed on question [0-9a-f]{16}, sample 3: ZeroDivisionError"):
        build(recipe, teacher, tmp_path / "run", questions=20, report=notes)
    run = Run.load(tmp_path / "run")
    assert run.state()["state"] == "stopped"
    assert run.state()["starts"][-1]["state"] == "stopped"
    assert "step picky failed on question" in run.status
    assert run.store.answers().height == 20 * 4, "what was paid is kept"
    assert any(
        "of the first" in sentence and "Ctrl-C stops until the step is mended" in sentence for sentence in notes.said
    )


def test_a_bug_of_ours_leaves_no_run_that_seems_to_work(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def bug(self: Any, rows: pl.DataFrame, ctx: Context) -> Verdict:
        raise AssertionError("a bug")

    monkeypatch.setattr(Parse, "__call__", bug)
    with pytest.raises(AssertionError):
        build(recipe.replace(steps=(Sample(), Parse())), teacher, tmp_path / "run")
    state = Run.load(tmp_path / "run").state()
    assert (state["state"], state["why"]) == ("stopped", "AssertionError: a bug")


def test_a_start_that_ends_with_a_mistake_after_one_that_was_killed_says_so(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run")
    run.save(run.state() | {"state": "running"})
    with pytest.raises(UserError):
        build(recipe.replace(steps=(mistaken, Sample(), Parse())), teacher, tmp_path / "run")
    assert run.state()["state"] == "stopped"
    assert "step mistaken failed" in run.state()["why"]


def test_a_mistake_in_ones_own_check_or_kind_of_trace_is_a_sentence(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def wrong(*given: Any) -> str:
        raise LookupError("nope")

    told = recipe.replace(source=write_questions(tmp_path / "told.jsonl", [{"question": "1?", "reference": "1"}]))
    verified = told.replace(steps=(Sample(), Parse(), Verify(wrong)))
    with pytest.raises(
        UserError, match=r"Verify reads claims with failed on question [0-9a-f]{16}, sample 0: LookupErr"
    ):
        build(verified, teacher, tmp_path / "verified", questions=1)
    monkeypatch.setattr(creative.CreativeWriting, "trace_of", wrong)
    with pytest.raises(UserError, match=r"CreativeWriting.trace_of\(row\) failed on question [0-9a-f]{16}: LookupErr"):
        build(recipe.replace(steps=(Sample(), Parse())), teacher, tmp_path / "traced")


def test_a_mistake_in_ones_own_prompt_is_a_sentence(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def prompt(self: Any, row: dict[str, Any]) -> str:
        return str(row["nope"])

    monkeypatch.setattr(creative.CreativeWriting, "prompt", prompt)
    with pytest.raises(UserError, match=r"CreativeWriting\.prompt\(row\) failed on question [0-9a-f]{16}: KeyError"):
        build(recipe, teacher, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "order", "sentence"),
    [
        ({"samples": "4"}, {}, "samples='4' must be a whole number"),
        ({}, {"questions": 2.5}, "questions=2.5 must be a whole number"),
        ({"samples": 5_000_000_000}, {}, "ask for at most 10,000 answers a question"),
    ],
)
def test_a_number_that_is_none_is_refused_before_anything_is_asked(
    changes: dict[str, Any],
    order: dict[str, Any],
    sentence: str,
    recipe: Recipe,
    teacher: ScriptedTeacher,
    tmp_path: Path,
):
    with pytest.raises(UserError, match=sentence):
        recipe.replace(**changes).build(teacher.url, out=tmp_path / "run", report=QUIET, **order)
    assert teacher.stats["requests"] == 0


def test_a_key_with_a_newline_is_the_key(teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUNIXHACK_API_KEY", "sk-right\n")
    teacher.change(api_key="sk-right")
    questions = tmp_path / "q.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in toy_questions(20)))
    assert build(small_recipe(questions), teacher, tmp_path / "run").done
