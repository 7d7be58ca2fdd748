"""Options of ``build`` that change what is asked, or how: they reach the teacher, and the command that goes on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.builds import write_questions
from tests.commands import Command
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.sources.source import Source
from tunixhack.testing import ScriptedTeacher


def build(tunixhack: Command, teacher: ScriptedTeacher, source: Path, *more: str | Path):
    against = () if "--against" in more else ("--against", "none")
    return tunixhack(
        *("build", "math", "--source", source, *against),
        *("--questions", "2", "--samples", "2", "--teacher", teacher.url, *more),
    )


def again(tunixhack: Command, run: Run):
    return tunixhack(*shlex.split(run.state()["command"])[1:])


# columns


@pytest.fixture
def own(tmp_path: Path) -> Path:
    rows = [{"problem": f"What is {n} + {n}?", "result": str(2 * n), "context": f"Case {n}."} for n in range(8)]
    return write_questions(tmp_path / "own.jsonl", rows)


def test_own_columns_are_named_on_the_command_line(
    tunixhack: Command, teacher: ScriptedTeacher, own: Path, tmp_path: Path
):
    done = build(tunixhack, teacher, own, "--columns", "question=problem, reference=result", "--out", tmp_path / "run")
    assert done.code == 0
    run = Run.load(tmp_path / "run")
    row = run.train.row(0, named=True)
    assert row["question"] == f"What is {int(row['reference']) // 2} + {int(row['reference']) // 2}?"
    assert row["context"].startswith("Case "), "a column that has our name is taken without being named"
    teacher.reset()
    assert again(tunixhack, run).code == 0
    assert teacher.stats["requests"] == 0


@pytest.mark.parametrize(
    "columns", ["question", "question=", "=problem", "text=problem", "question=a,question=b", "", "question=a,,"]
)
def test_other_spellings_are_one_sentence(columns: str, tunixhack: Command, teacher: ScriptedTeacher, own: Path):
    assert "question=problem,reference=result" in build(tunixhack, teacher, own, "--columns", columns).sentence


def test_a_column_that_is_not_there_is_named_with_those_that_are(
    tunixhack: Command, teacher: ScriptedTeacher, own: Path
):
    told = build(tunixhack, teacher, own, "--columns", "question=task").sentence
    assert "has no column task: its columns are context, problem, result" in told


def test_columns_are_spelt_as_they_were_given():
    assert Source("a.jsonl").with_columns("question=q,support=s").columns_spelling() == "question=q,support=s"
    assert Source("a.jsonl").columns_spelling() is None


# how the teacher is asked


def test_sampling_system_and_concurrency_reach_the_teacher_and_the_command(
    tunixhack: Command, teacher: ScriptedTeacher, source: Path, tmp_path: Path
):
    options = ("--temperature", "0.3", "--top-p", "0.9", "--system", "Answer like a pirate.", "--concurrency", "1")
    assert build(tunixhack, teacher, source, *options, "--out", tmp_path / "run").code == 0
    body = teacher.stats["bodies"][-1]
    assert (body["temperature"], body["top_p"]) == (0.3, 0.9)
    system = body["messages"][0]["content"]
    assert system.startswith("Answer like a pirate.")
    assert "<reasoning>" in system, "what the trace needs is added"
    assert "word problems" not in system, "the domain's own is replaced"
    run = Run.load(tmp_path / "run")
    teacher.reset()
    assert again(tunixhack, run).code == 0
    assert teacher.stats["requests"] == 0


def test_concurrency_bounds_what_is_in_flight_and_asks_nothing_anew(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    recipe.build(teacher.url, questions=6, concurrency=1, out=tmp_path / "run")
    assert teacher.stats["max_concurrency"] == 1
    teacher.reset()
    recipe.build(teacher.url, questions=6, concurrency=4, out=tmp_path / "run")
    assert teacher.stats["requests"] == 0


@pytest.mark.parametrize("option", ["--concurrency", "--preview"])
def test_at_least_one(option: str, tunixhack: Command, teacher: ScriptedTeacher, source: Path):
    assert "ask for at least one" in build(tunixhack, teacher, source, option, "0").sentence


# help


@pytest.mark.parametrize("verb", [("build",), ("show",), ("train",), ("price",), ("teachers", "compare")])
def test_flags_have_no_type_in_the_help(verb: tuple[str, ...], tunixhack: Command):
    shown = tunixhack(*verb, "--help")
    assert shown.code == 0
    assert "bool" not in shown.out


def test_the_help_of_build_is_in_groups_with_examples_and_the_domains(tunixhack: Command):
    shown = tunixhack("build", "--help").out
    places = [shown.index(part) for part in ("Which questions", "Which teacher", "Examples:", "Domains: brainstorm")]
    assert places == sorted(places)


# datasets in a training format


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_run_is_exported_as_the_file_says(
    suffix: str, tunixhack: Command, teacher: ScriptedTeacher, source: Path, tmp_path: Path
):
    import polars as pl

    build(tunixhack, teacher, source, "--out", tmp_path / "run")
    file = tmp_path / f"rows{suffix}"
    done = tunixhack("export", tmp_path / "run", file, "--format", "think")
    assert done.code == 0
    assert done.out == f"4 rows in {file}, as think\n"
    read = pl.read_parquet(file) if suffix == ".parquet" else pl.read_ndjson(file)
    assert read["messages"][0][-1]["content"].startswith("<think>")


@pytest.mark.parametrize(
    ("file", "format", "sentence"),
    [
        ("rows.csv", "think", "ends in neither .jsonl nor .parquet"),
        ("rows", "think", "ends in neither .jsonl nor .parquet"),
        ("rows.jsonl", "thinks", "did you mean think"),
        ("rows.jsonl", "gguf", "Known: hackathon"),
    ],
)
def test_a_file_or_a_format_that_does_not_fit_is_refused(
    file: str, format: str, sentence: str, tunixhack: Command, teacher: ScriptedTeacher, source: Path, tmp_path: Path
):
    build(tunixhack, teacher, source, "--out", tmp_path / "run")
    assert sentence in tunixhack("export", tmp_path / "run", tmp_path / file, "--format", format).sentence
    assert not (tmp_path / file).exists()


def test_json_of_an_export(tunixhack: Command, teacher: ScriptedTeacher, source: Path, tmp_path: Path):
    build(tunixhack, teacher, source, "--out", tmp_path / "run")
    done = tunixhack("export", tmp_path / "run", tmp_path / "rows.jsonl", "--json")
    assert done.json == {"file": str(tmp_path / "rows.jsonl"), "format": "messages", "rows": 4, "rejected": 0}
    assert len([json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]) == 4


def test_benchmarks_are_named_on_the_command_line_and_kept_by_the_command_that_goes_on(
    tunixhack: Command, teacher: ScriptedTeacher, own: Path, tmp_path: Path
):
    benchmark = write_questions(tmp_path / "exam.jsonl", [{"question": "What is 3 + 3?"}])
    columns = ("--columns", "question=problem,reference=result")
    against = ("--against", f"default,-gsm8k,-math-500,-aime24,-aime25,{benchmark}")
    done = build(tunixhack, teacher, own, *columns, *against, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    run = Run.load(tmp_path / "run")
    assert run.rejected.filter(step="decontaminate")["question"].to_list() == ["What is 3 + 3?"]
    asked = teacher.stats["requests"]
    assert again(tunixhack, run).code == 0
    assert teacher.stats["requests"] == asked
    assert [line["rejected"] for line in run.state()["funnel"] if line["step"] == "decontaminate"] == [1]
    unknown = build(tunixhack, teacher, own, *columns, "--against", "default,-gsm", "--out", tmp_path / "other")
    assert (unknown.code, "takes out what is not there" in unknown.err) == (2, True)
