"""A bake-off: the same questions to all, the failure of one does not end the others, and answers that count later."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, asked, build, write_questions
from tests.commands import Command
from tunixhack._util.progress import Reporter
from tunixhack.bakeoff import compare as module
from tunixhack.bakeoff import lengths
from tunixhack.bakeoff.compare import compare
from tunixhack.bakeoff.comparison import Comparison
from tunixhack.errors import MissingExtra, UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher

NO_SERVER = "http://127.0.0.1:9/v1#x"
TERSE = """
from tunixhack.recipes import creative


class Terse(creative.CreativeWriting):
    def prompt(self, row):
        return [{"role": "user", "content": f"In three lines: {row['question']}"}]


recipe = creative.recipe.replace(llm=Terse)
"""
"""A file that differs from its domain in the prompt alone."""


@pytest.fixture
def other() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(faults=Faults(truncated=0.5)) as teacher:
        yield teacher


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters; four samples each."""
    return recipe.replace(steps=(Sample(), Parse()))


def held(teachers: list[str], domain: Any, out: Path, **how: Any) -> Comparison:
    return compare(teachers, domain, out=out, **({"questions": 6, "samples": 2, "report": QUIET} | how))


def figures_of(comparison: Comparison, place: int) -> Any:
    figures = comparison.entries[place].figures
    assert figures is not None
    return figures


# who is asked what


def test_all_are_asked_the_same_questions_whatever_the_recipe_selects_by(
    recipe: Recipe, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    """The recipe's filter probes its teacher, and would keep other questions of each."""
    found = held([teacher.url, other.url], recipe, tmp_path / "out")
    assert (asked(teacher), asked(other)) == (12, 12)
    assert figures_of(found, 0).questions == figures_of(found, 1).questions
    assert (found.common, found.asked, found.exit_code) == (6, 6, 0)
    assert not any("put to all" in note for note in found.notes())
    assert [entry.label for entry in found.entries] == [teacher.url, other.url]
    whole, cut = figures_of(found, 0), figures_of(found, 1)
    assert (whole.parsed.count, whole.parsed.of) == (12, 12)
    truncated = cut.reasons["parse truncated"]
    assert 0 < truncated < 12
    assert (cut.parsed.count, cut.parsed.of) == (12 - truncated, 12)
    assert len(cut.trace_lengths) == len(cut.answer_lengths) == 12 - truncated


def test_two_prompts_of_one_domain_are_two_files(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path
):
    file = tmp_path / "terse.py"
    file.write_text(TERSE, encoding="utf-8")
    done = tunixhack(
        "teachers", "compare", "--teachers", teacher.url, "--domain", f"creative,{file}", "--source", source,
        "--questions", "5", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.code == 0
    assert [entry["label"] for entry in done.json["teachers"]] == ["creative", str(file)]
    assert done.json["common_questions"] == done.json["questions"] == 5
    prompts = [body["messages"][-1]["content"] for body in teacher.stats["bodies"]]
    assert any(prompt.startswith("In three lines: ") for prompt in prompts)
    assert not all(prompt.startswith("In three lines: ") for prompt in prompts)
    assert asked(teacher) == 10


def test_two_settings_of_one_teacher_are_two_recipes_by_name(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    recipes = {name: plain.replace(sampling={"temperature": one}) for name, one in (("warm", 1.0), ("cool", 0.25))}
    found = held([teacher.url], recipes, tmp_path / "out")
    assert [entry.label for entry in found.entries] == ["warm", "cool"]
    assert len({entry.folder for entry in found.entries}) == 2
    assert {body["temperature"] for body in teacher.stats["bodies"]} == {1.0, 0.25}
    assert found.common == 6


def test_recipes_whose_questions_would_be_others_are_not_compared(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    elsewhere = plain.replace(source=str(write_questions(tmp_path / "more.jsonl", 8)))
    for changed, sentence in ((plain.replace(domain="own"), "the same `domain`"), (elsewhere, "--source")):
        with pytest.raises(UserError, match=sentence):
            held([teacher.url], {"one": plain, "two": changed}, tmp_path / "out")
    assert teacher.stats["requests"] == 0


# answers that count


def test_a_later_build_asks_nothing_again(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    (entry,) = held([teacher.url], plain, tmp_path / "out").entries
    teacher.reset()
    small = plain.replace(samples=2)
    assert build(small, teacher, entry.folder).train.height == 12
    assert build(small, teacher, tmp_path / "later", reuse=[entry.folder]).train.height == 12
    assert teacher.stats["requests"] == 0
    build(plain, teacher, tmp_path / "later", questions=10, reuse=[entry.folder])
    assert asked(teacher) == 10 * 4 - 12


def test_a_later_build_with_a_filter_asks_its_probes_and_nothing_that_is_there(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    found = held([teacher.url], recipe, tmp_path / "out")
    teacher.reset()
    run = build(recipe.replace(samples=2), teacher, tmp_path / "later", reuse=[found.entries[0].folder])
    new = set(run.questions.filter("selected")["question_id"]) - figures_of(found, 0).questions
    assert asked(teacher) == 12 + 2 * len(new)
    assert len(new) < 6


def test_the_command_that_it_names_builds_with_what_is_there(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "ROWS", 16)
    benchmark = write_questions(tmp_path / "tests.jsonl", [{"question": "Which river is the longest in Africa?"}])
    against = f"default,-humaneval,-mbpp,{benchmark}"
    common = ["--source", source, "--max-tokens", "900", "--against", against, "--json"]
    compare_code = ["teachers", "compare", "--teachers", teacher.url, "--domain", "code", "--questions", "3"]
    compared = tunixhack(*compare_code, *common)
    (entry,) = compared.json["teachers"]
    assert f"--against {against}" in entry["command"]
    teacher.reset()
    assert tunixhack(*entry["command"].split()[1:]).code == 0
    assert asked(teacher) == 16 - 1  # one question, as its recipe has sixteen answers to each


def test_the_command_that_it_names_asks_no_more_than_its_source_has(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Forty questions, half of which creative keeps, are 20 × 16 answers, not the 24,000 of the prices."""
    monkeypatch.chdir(tmp_path)
    compared = tunixhack(
        "teachers", "compare", "--teachers", teacher.url, "--domain", "creative", "--questions", "3",
        "--source", source, "--json",
    )  # fmt: skip
    (entry,) = compared.json["teachers"]
    assert "--rows 320" in entry["command"]
    assert tunixhack(*shlex.split(entry["command"])[1:]).code == 0


def test_held_again_it_asks_nothing_and_finds_the_same(
    plain: Recipe, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    teachers = [teacher.url, other.url]
    first = held(teachers, plain, tmp_path / "out")
    teacher.reset(), other.reset()
    assert held(teachers, plain, tmp_path / "out").entries == first.entries
    assert (teacher.stats["requests"], other.stats["requests"]) == (0, 0)
    more = held(teachers, plain, tmp_path / "out", questions=8)
    assert figures_of(more, 0).answers == 16
    assert (asked(teacher), asked(other)) == (4, 4)


class Interrupting(Reporter):
    """Ctrl-C when the first answers of the second teacher are there."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.second = False

    def say(self, sentence: str) -> None:
        self.second |= sentence.startswith("2 of 2")

    def advance(self, done: int, tokens: int | None = None, at_least: bool = False) -> None:
        if self.second:
            raise KeyboardInterrupt


def test_interrupted_it_goes_on_where_it_was(
    source: Path, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    how: dict[str, Any] = {"source": str(source), "questions": 12, "samples": 1}
    teachers, out = [teacher.url, other.url], tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        held(teachers, "creative", out, report=Interrupting(), **how)
    (stopped,) = [run for run in map(Run, sorted(out.iterdir())) if not run.done]
    command = stopped.state()["command"]
    assert command.startswith("tunixhack teachers compare --teachers ")
    assert f"{teacher.url},{other.url} --domain creative --source {source} --questions 12" in command
    there = stopped.store.answers().height
    teacher.reset(), other.reset()
    found = held(teachers, "creative", out, **how)
    assert teacher.stats["requests"] == 0
    assert asked(other) == 12 - there
    assert [figures.answers for _, figures in found.measured] == [12, 12]


# failures


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [(NO_SERVER, "no server answers"), ("lmstudi/x", "unknown"), ("local/none.gguf", "not a file")],
)
def test_one_that_is_down_is_named_and_the_others_have_their_result(
    spec: str, sentence: str, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    found = held([spec, teacher.url], plain, tmp_path / "out")
    down, up = found.entries
    assert down.figures is None
    assert sentence in (down.problem or "")
    assert figures_of(found, 1).answers == 12
    assert (up.problem, found.exit_code, found.common) == (None, 2, 6)
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["teachers"][0]["problem"] == down.problem


def test_answers_that_are_missing_are_told_beside_those_that_came(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with ScriptedTeacher(faults=Faults(script=("ok",) * 8, share={"404": 0.8}, first_attempt_only=False)) as flaky:
        found = held([flaky.url, teacher.url], plain, tmp_path / "out", questions=12, samples=1)
    assert 0 < figures_of(found, 0).answers < 12
    assert "answers were not received" in (found.entries[0].problem or "")
    assert found.exit_code == 3


def test_one_that_drops_everything_has_a_result(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    with ScriptedTeacher(style="none") as bad:
        found = held([bad.url, teacher.url], recipe, tmp_path / "out", questions=30)
    assert figures_of(found, 0).parsed.value == 0.0
    assert figures_of(found, 0).reasons == {"parse malformed": 60}
    assert "step parse dropped 60 of 60" in (found.entries[0].problem or "")
    assert found.exit_code == 0


def test_with_nobody_there_it_is_an_error(plain: Recipe, tmp_path: Path):
    with pytest.raises(UserError, match=r"no server answers.*; lmstudi/x: teacher 'lmstudi/x' is unknown"):
        held([NO_SERVER, "lmstudi/x"], plain, tmp_path / "out")


def test_what_is_wrong_for_all_is_said_once(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    with pytest.raises(UserError, match=r"^41 questions need 41 candidates, [^;]*ask for at most 40, or add"):
        held([teacher.url, f"{teacher.url}#scripted"], plain, tmp_path / "out", questions=41)


def test_a_changed_prompt_keeps_no_earlier_result(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    held([teacher.url], plain, tmp_path / "out")
    changed = plain.replace(sampling={"top_p": 0.5})
    with pytest.raises(UserError, match="--ask-again"):
        held([teacher.url], changed, tmp_path / "out")
    assert figures_of(held([teacher.url], changed, tmp_path / "out", ask_again=True), 0).answers == 12


def test_a_runs_own_folder_is_refused(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    build(plain, teacher, tmp_path / "run")
    with pytest.raises(UserError, match="is the folder of a run"):
        held([teacher.url], plain, tmp_path / "run")


# what it shows


def test_the_command_line_prints_a_table_and_names_the_picture(
    tunixhack: Command, source: Path, teacher: ScriptedTeacher, other: ScriptedTeacher, tmp_path: Path
):
    out = tmp_path / "out"
    done = tunixhack(
        "teachers", "compare", "--teachers", f"{teacher.url},{NO_SERVER},{other.url}", "--domain", "creative",
        "--source", source, "--questions", "8", "--out", out,
    )  # fmt: skip
    assert done.code == 2
    assert "tokens/s" in done.out
    assert "parse truncated" in done.out
    assert f"- {NO_SERVER}: no server answers" in done.out
    assert "24,000 rows: 1,500 questions × 16 answers and 3,000 probes" in done.out
    assert done.out.splitlines()[-1].strip().startswith(f"tunixhack build creative --source {source} --teacher ")
    assert "Traceback" not in done.err
    assert (out / lengths.FILE).read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in out.iterdir() if path.is_file()} == {"compare.json", lengths.FILE}


def test_without_matplotlib_the_figures_are_there_all_the_same(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def missing(*_: Any) -> bool:
        raise MissingExtra("generate", "the picture")

    monkeypatch.setattr(lengths, "draw", missing)
    told: list[str] = []
    report = Reporter(quiet=True)
    monkeypatch.setattr(report, "say", told.append)
    found = held([teacher.url], plain, tmp_path / "out", report=report)
    assert found.plot is None
    assert figures_of(found, 0).answers == 12
    assert str(MissingExtra("generate", "the picture")) in told


def test_a_secret_in_an_address_is_nowhere(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    url = teacher.url.replace("http://", "http://me:s3cret@")
    found = held([url], plain, tmp_path / "out")
    assert "s3cret" not in str(found)
    assert all("s3cret" not in str(path) for path in tmp_path.rglob("*"))
    files = [path for path in (tmp_path / "out").rglob("*.json") if path.is_file()]
    assert files
    assert all(b"s3cret" not in path.read_bytes() for path in files)
    train = pl.read_parquet(found.entries[0].folder / "train.parquet")
    assert set(train["teacher"]) == {"openai-compatible/scripted"}
