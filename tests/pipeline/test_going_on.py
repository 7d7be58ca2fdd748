"""A run goes on where it stopped, asks for what is missing only, and never pays twice unasked (contracts 4 to 10).

The table of what asks again and what does not is the one of part A4 of what was measured with Curator 0.1.31, where
each of these lines went wrong in one direction or the other.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, asked, build, equal, given_by_seed, small_recipe, write_questions
from tests.commands import Command
from tests.processes import Started, command
from tests.waiting import wait_for
from tunixhack._util.progress import Reporter
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.recipe import Recipe
from tunixhack.recipes import creative
from tunixhack.runs import answer_store
from tunixhack.runs.funnel import count_tokens
from tunixhack.runs.run import Run
from tunixhack.steps.max_length import MaxLength
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.registry import resolve
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

FULL = 12 + 6 * 4
"""Twelve probes and four samples of each of six questions."""


@pytest.fixture
def finished(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> Run:
    run = build(recipe, teacher, tmp_path / "run")
    assert asked(teacher) == FULL
    teacher.reset()
    return run


# what changes a request asks again, after it was said so


def reworded(self: Any, row: dict[str, Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Please: {row['question']}"}]


def change_prompt(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    patch.setattr(creative.CreativeWriting, "prompt", reworded)
    return recipe


def change_constant(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    patch.setattr(creative.CreativeWriting, "system", "Write like a sailor.")
    return recipe


def change_helper_in_another_module(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    patch.setattr("tunixhack.teachers.trace_prompts.WRITTEN", "Reason in <reasoning> tags, answer in <answer> tags.")
    return recipe


def change_sampling(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    return recipe.replace(sampling={"top_p": 0.9})


def change_max_tokens(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    return recipe.replace(max_tokens=777)


CHANGED_REQUESTS = [change_prompt, change_constant, change_helper_in_another_module, change_sampling, change_max_tokens]


@pytest.mark.parametrize("change", CHANGED_REQUESTS)
def test_what_changes_a_request_is_refused_and_asked_again_when_told_to(
    change: Any, finished: Run, recipe: Recipe, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch
):
    changed = change(monkeypatch, recipe)
    before = finished.store.answers()
    with pytest.raises(UserError, match=r"12 answers of step length_filter are paid for already.*--ask-again"):
        build(changed, teacher, finished.folder)
    assert asked(teacher) == 0
    build(changed, teacher, finished.folder, ask_again=True)
    assert asked(teacher) == FULL
    assert finished.store.answers().height == 2 * FULL
    assert finished.store.answers().head(before.height).equals(before), "a stored answer is never replaced"


def test_another_server_or_model_is_another_teacher(finished: Run, recipe: Recipe):
    with ScriptedTeacher() as other, pytest.raises(UserError, match="--ask-again"):
        build(recipe, other, finished.folder)
    with ScriptedTeacher(models=("scripted", "larger")) as both:
        first = build(recipe, f"{both.url}#scripted", finished.folder.with_name("first"))
        with pytest.raises(UserError, match="--ask-again"):
            build(recipe, f"{both.url}#larger", first.folder)


# what does not change a request asks nothing


def same(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    return recipe


def comment_in_prompt(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    def prompt(self: Any, row: dict[str, Any]) -> list[dict[str, str]]:
        # a comment, and other lines than before
        system = {"role": "system", "content": creative.CreativeWriting.system}

        return [system, {"role": "user", "content": row["question"]}]

    patch.setattr(creative.CreativeWriting, "prompt", prompt)
    return recipe


def edited_parse(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    return recipe.replace(steps=tuple(step for step in recipe.steps if not isinstance(step, MaxLength)))


def stricter_filter(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    return recipe.replace(steps=(*recipe.steps[:-1], MaxLength(characters=300)))


def more_patience(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    original = resolve.Endpoint
    patch.setattr(resolve, "Endpoint", lambda **about: original(**about | {"concurrency": 3}, timeout=60.0, attempts=9))
    return recipe


def a_key(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    patch.setenv("TUNIXHACK_API_KEY", "sk-secret")
    return recipe


def another_version(patch: pytest.MonkeyPatch, recipe: Recipe) -> Recipe:
    patch.setattr("tunixhack.pipeline.recorder.__version__", "9.9.9")
    return recipe


UNCHANGED = [same, comment_in_prompt, edited_parse, stricter_filter, more_patience, a_key, another_version]


@pytest.mark.parametrize("change", UNCHANGED)
def test_what_does_not_change_a_request_asks_nothing(
    change: Any, finished: Run, recipe: Recipe, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch
):
    build(change(monkeypatch, recipe), teacher, finished.folder)
    assert teacher.stats["requests"] == 0


def test_another_process_and_hash_seed_ask_nothing(finished: Run, source: Path, teacher: ScriptedTeacher):
    asked = [sys.executable, "-m", "tunixhack", "build", "creative", "--source", str(source), "--samples", "4"]
    asked += ["--questions", "6", "--teacher", teacher.url, "--out", str(finished.folder)]
    subprocess.run(asked, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": "99"})
    assert teacher.stats["requests"] == 0


def test_a_filter_that_changed_is_applied_to_all_stored_answers(
    finished: Run, recipe: Recipe, teacher: ScriptedTeacher, monkeypatch: pytest.MonkeyPatch
):
    run = build(stricter_filter(monkeypatch, recipe), teacher, finished.folder)
    over = run.rejected.filter(step="max_length")
    assert over.height > 0
    assert run.train.height + over.height == 24
    assert all(len(r) + len(a) < 300 for r, a in run.train.select("reasoning", "answer").rows())


# growing


def test_more_samples_ask_for_the_difference(finished: Run, recipe: Recipe, teacher: ScriptedTeacher):
    run = build(recipe.replace(samples=7), teacher, finished.folder)
    assert asked(teacher) == 6 * 3
    assert run.train.height == 6 * 7


def test_more_questions_keep_the_fewer_and_ask_for_the_difference(
    finished: Run, recipe: Recipe, teacher: ScriptedTeacher
):
    few = set(finished.train["question_id"])
    run = build(recipe, teacher, finished.folder, questions=9)
    assert few < set(run.train["question_id"])
    assert asked(teacher) == (18 - 12) + (9 - 6) * 4


def test_fewer_samples_ask_nothing_and_lose_nothing(finished: Run, recipe: Recipe, teacher: ScriptedTeacher):
    assert build(recipe.replace(samples=2), teacher, finished.folder).train.height == 12
    assert build(recipe, teacher, finished.folder).train.height == 24
    assert teacher.stats["requests"] == 0


def test_another_run_lends_its_answers(finished: Run, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe, teacher, tmp_path / "other", reuse=[finished.folder])
    assert teacher.stats["requests"] == 0
    assert equal(run, finished)


def test_what_was_taken_over_is_not_read_again_out_of_the_run_that_lent_it(
    finished: Run, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read, whole = answer_store.read_parquet, Counter[Path]()

    def noted(path: Path, remedy: str, columns: Any = None) -> pl.DataFrame:
        whole.update([path.parent] if columns is None else [])
        return read(path, remedy, columns)

    monkeypatch.setattr(answer_store, "read_parquet", noted)
    build(recipe, teacher, tmp_path / "other", reuse=[finished])
    assert whole[finished.store.folder] > 0
    whole.clear()
    build(recipe, teacher, tmp_path / "other", reuse=[finished])
    assert whole[finished.store.folder] == 0
    assert whole[tmp_path / "other" / "answers"] > 0


def test_a_run_of_a_killed_call_lends_what_it_had_received(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher() as teacher:
        lender = build(recipe, teacher, tmp_path / "lender")
        left = lender.store.answers()
        work = lender.store.work / "call"
        work.mkdir(parents=True)
        lines = [journal_line(row) for row in left.iter_rows(named=True)]
        (work / "responses_0.jsonl").write_text("".join(lines), encoding="utf-8")
        shutil.rmtree(lender.store.folder)
        teacher.reset()
        build(recipe, teacher, tmp_path / "run", reuse=[lender])
        assert teacher.stats["requests"] == 0
    assert lender.store.waiting() == left.height, "what is lent stays where it is"


def journal_line(row: dict[str, Any]) -> str:
    """Write a stored answer as the line that a call left of it."""
    sent = {name: row[name] for name in ("request_key", "question_id", "step", "teacher", "seed")}
    message = {"choices": [json.loads(row["choice"])], "usage": json.loads(row["usage"] or "null")}
    line = {"generic_request": {"original_row": sent | {"first": row["sample"], "count": 1}}}
    return json.dumps(line | {"response_message": message, "finished_at": row["when"]}) + "\n"


def test_a_run_of_another_teacher_has_nothing_to_lend(
    finished: Run, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    changed = recipe.replace(max_tokens=777)
    run = build(changed, teacher, tmp_path / "other", reuse=[finished.folder])
    assert asked(teacher) == FULL
    assert run.store.answers().height == FULL


def test_reuse_on_the_command_line_names_several_folders(
    finished: Run, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, source: Path, tunixhack: Command
):
    more = build(recipe.replace(samples=6), teacher, tmp_path / "more")
    teacher.reset()
    asked_for = ["build", "creative", "--source", source, "--questions", "6", "--samples", "6"]
    asked_for += ["--teacher", teacher.url, "--out", tmp_path / "run"]
    done = tunixhack(*asked_for, "--reuse", f"{finished.folder},{more.folder}")
    assert done.code == 0
    assert asked(teacher) == 0
    assert equal(Run.load(tmp_path / "run"), more)
    assert f"--reuse {finished.folder},{more.folder}" in Run.load(tmp_path / "run").state()["command"]
    refused = tunixhack(*asked_for, "--reuse", tmp_path / "nowhere")
    assert (refused.code, refused.sentence) == (2, f"there is no folder {tmp_path / 'nowhere'}")


def test_a_finished_run_is_recomputed_while_its_server_is_away(recipe: Recipe, tmp_path: Path):
    with ScriptedTeacher() as teacher:
        first = build(recipe, teacher, tmp_path / "run")
        before = first.train
    assert build(recipe, teacher, first.folder).train.equals(before)
    with pytest.raises(UserError, match="no server answers"):
        build(recipe.replace(samples=5), teacher, first.folder)


# another seed


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters: all forty questions, two samples each."""
    return recipe.replace(steps=(Sample(), Parse()), samples=2)


def said_by(build_it: Any, *given: Any, **order: Any) -> str:
    log = io.StringIO()
    build_it(*given, **order, report=Reporter(log))
    return log.getvalue()


def test_another_seed_in_a_folder_reuses_the_answers_and_says_whose_seeds_they_have(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(plain, teacher, tmp_path / "run", questions=None)
    before = run.train
    teacher.reset()
    assert "--seed" not in said_by(build, plain, teacher, run.folder, questions=None)
    said = said_by(build, plain, teacher, run.folder, questions=None, seed=1)
    assert "sample: 80 of the stored answers were asked for with the seeds of --seed 0: they count" in said
    assert "--ask-again asks for them anew with those of --seed 1" in said
    assert teacher.stats["requests"] == 0
    assert run.train.equals(before)


def test_another_seed_with_ask_again_is_asked_for_once_and_the_first_answers_stay(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(plain, teacher, tmp_path / "run")
    first, stored = run.train, run.store.answers()
    chosen = small_recipe(write_questions(tmp_path / "six.jsonl", 6)).replace(steps=plain.steps, samples=2)
    run = build(chosen, teacher, tmp_path / "all", questions=None)
    first, stored = run.train, run.store.answers()
    teacher.reset()
    again = {"questions": None, "seed": 1, "ask_again": True}
    build(chosen, teacher, run.folder, **again)
    assert asked(teacher) == 12
    assert "--ask-again" in run.state()["command"].split()
    second = run.train
    keys = ["question_id", "sample"]
    assert second.select(keys).equals(first.select(keys))
    assert set(second["seed"]).isdisjoint(first["seed"])
    assert run.store.answers().head(12).equals(stored), "a stored answer is never replaced"
    teacher.reset()
    for order, train in ((again, second), ({"questions": None}, first), ({"questions": None, "seed": 1}, second)):
        assert "--ask-again asks" not in said_by(build, chosen, teacher, run.folder, **order)
        assert run.train.equals(train)
    assert teacher.stats["requests"] == 0
    assert run.state()["funnel"][-2]["completion_tokens"] == count_tokens(run.store.answers())["completion_tokens"]


def test_asking_again_that_was_interrupted_goes_on(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, tmp_path / "run", questions=None)
    teacher.reset()
    teacher.change(faults=Faults(script=("ok",) * 33 + ("404",) * 200))
    with pytest.raises(TeacherFailed):
        build(plain, teacher, run.folder, questions=None, seed=1, ask_again=True)
    teacher.change(faults=Faults())
    received = run.store.answers().height - 80
    assert 0 < received < 80
    said = said_by(build, plain, teacher, run.folder, questions=None, seed=1)
    assert f"{80 - received} of the stored answers were asked for with the seeds of another --seed" in said
    teacher.reset()
    build(plain, teacher, run.folder, questions=None, seed=1, ask_again=True)
    assert asked(teacher) == 80 - received
    assert run.store.answers().height == 160


def test_another_seed_takes_other_questions_and_says_how_many_answers_it_leaves(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(plain, teacher, tmp_path / "run")
    few = set(run.train["question_id"])
    teacher.reset()
    said = said_by(build, plain, teacher, run.folder, seed=5)
    left = len(few - set(run.train["question_id"]))
    assert 0 < left <= 6
    assert f"--seed 5 takes other questions than --seed 0: of 6 that have answers {left} are not among them" in said
    assert asked(teacher) == 2 * left


def test_answers_that_two_questions_share_are_asked_for_again_once(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        creative.CreativeWriting, "prompt", lambda self, row: [{"role": "user", "content": "One for all"}]
    )
    run = build(plain, teacher, tmp_path / "run", questions=None)
    teacher.reset()
    for _ in range(2):
        build(plain, teacher, run.folder, questions=None, seed=1, ask_again=True)
    assert asked(teacher) == 2
    assert run.train.height == 80


def test_without_seeds_nothing_is_said_of_them_or_asked_again(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, tmp_path / "run")
    teacher.reset()
    assert "--seed" not in said_by(build, plain, teacher, run.folder, seed=None, ask_again=True)
    assert teacher.stats["requests"] == 0


# a folder


def test_a_folder_belongs_to_one_domain_and_source(finished: Run, recipe: Recipe, teacher: ScriptedTeacher):
    from tunixhack.recipes import math

    with pytest.raises(UserError, match="holds a run of domain creative, not math: choose another --out"):
        math.recipe.replace(source="shipped").build(teacher.url, out=finished.folder, report=QUIET)
    with pytest.raises(UserError, match=r"holds a run of source .*choose another --out"):
        build(recipe.replace(source="shipped"), teacher, finished.folder)


def test_the_second_process_on_a_folder_says_so_and_stops(source: Path, tmp_path: Path):
    with ScriptedTeacher(faults=Faults(share={"hang": 1.0})) as slow:
        first = start(source, slow, tmp_path / "run")
        try:
            wait_for((tmp_path / "run" / "lock").exists)
            second = start(source, slow, tmp_path / "run", log="second.log")
            assert second.wait() == 2
            assert f"in use by process {first.pid}" in second.said
        finally:
            first.kill()


# interruptions


def start(source: Path, teacher: ScriptedTeacher, out: Path, log: str = "log") -> Started:
    about = ["--source", str(source), "--samples", "4", "--questions", "6", "--teacher", teacher.url, "--out", str(out)]
    return Started(out.with_name(log), command, "build", "creative", *about)


PREFLIGHT = ("ok",) * 3


@pytest.mark.parametrize("script", [PREFLIGHT + ("hang",) * 60, ("hang",) * 60], ids=["sampling", "preflight"])
def test_ctrl_c_ends_it_cancels_what_is_in_flight_and_tells_how_to_go_on(
    script: tuple[str, ...], source: Path, tmp_path: Path
):
    """What hangs in flight would hold it up for longer than a test is waited for."""
    with ScriptedTeacher(faults=Faults(script=script)) as teacher:
        process = start(source, teacher, tmp_path / "run")
        wait_for(lambda: teacher.stats["requests"] > script.index("hang"))
        process.send(signal.SIGINT)
        assert process.wait() == 130
        assert "the same command goes on from here" in process.said
        assert "Traceback" not in process.said
        wait_for(lambda: teacher.stats["cancelled"] >= 1)
        status = Run.load(tmp_path / "run").status
        assert status.startswith("not finished: interrupted; 0 answers received; go on with: tunixhack build creative")
        assert status.rpartition("go on with: ")[2] in process.said


def test_killed_among_probes_and_among_samples_it_ends_equal_to_an_uninterrupted_run(
    source: Path, recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    whole = build(recipe, teacher, tmp_path / "whole")
    teacher.reset()
    out = tmp_path / "run"
    for answered in (
        5,
        6,
        2,
    ):  # of the probes, of those that are left, of the samples
        so_far = teacher.stats["requests"] + len(PREFLIGHT) + answered
        teacher.change(faults=Faults(script=("ok",) * so_far + ("hang",) * 99))
        process = start(source, teacher, out)
        wait_for(lambda before=so_far: teacher.stats["requests"] > before)
        process.kill()
        assert process.wait() == -signal.SIGKILL, process.said
    teacher.change(faults=Faults())
    assert start(source, teacher, out).wait() == 0
    run = Run.load(out)
    assert run.done
    assert equal(run, whole)
    assert not (out / ".work").exists()
    assert [start["state"] for start in run.state()["starts"]][-1] == "done"
    # what was in flight at a kill, at most, was asked again
    assert sum(given_by_seed(teacher).values()) <= FULL + 3 * 16 * 4


def test_shuffled_input_gives_an_equal_run(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    rows = toy_questions(30)
    rows += [{"question": row["question"].upper()} for row in rows[:5]] + rows[5:8]
    one = small_recipe(write_questions(tmp_path / "one.jsonl", rows))
    random.Random(1).shuffle(rows)
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = small_recipe(write_questions(other_folder / "one.jsonl", rows))
    first, second = build(one, teacher, tmp_path / "a"), build(other, teacher, tmp_path / "b")
    assert first.rejected.filter(step="exact_dedup").height == 5
    assert first.rejected.filter(step="equal_ids").height == 3
    assert equal(_without_source(first), _without_source(second))


def _without_source(run: Run) -> Run:
    """The two files have two paths, which is all that may differ."""
    import polars as pl

    copy = run.folder.with_name(f"{run.folder.name}-bare")
    shutil.copytree(run.folder, copy)
    for name in ("train", "rejected", "questions"):
        path = copy / f"{name}.parquet"
        pl.read_parquet(path).drop("source").write_parquet(path)
    return Run(copy)
