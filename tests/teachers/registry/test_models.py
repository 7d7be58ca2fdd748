"""Whoever answers is kept with the answer, and told of where it is another model than was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import build, small_recipe, write_questions
from tests.pipeline.test_mishaps import Notes
from tests.teachers.odd_server import Reply, completion, odd_server
from tunixhack.recipe import Recipe
from tunixhack.runs.journal import FIELDS
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.registry.models import MOST, SHOWN, Models, is_version, same_model
from tunixhack.testing import ScriptedTeacher


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Two samples of each question and nothing else."""
    return small_recipe(write_questions(tmp_path / "questions.jsonl", 12), steps=(Sample(), Parse()), samples=2)


class Naming:
    """A server that names a model, or one after the other, each for so many replies."""

    def __init__(self, *names: Any, each: int = 10**9) -> None:
        self.names, self.each, self.count = names, each, 0

    def __call__(self, body: dict[str, Any], headers: Any) -> Reply:
        name = self.names[min(self.count // self.each, len(self.names) - 1)]
        self.count += 1
        texts = [
            f"<reasoning>{body['seed']}</reasoning><answer>{self.count} {i}</answer>" for i in range(body.get("n", 1))
        ]
        return 200, completion(*texts, model=name)


def heard(*told: Any, asked: str = "gpt-4o") -> tuple[list[str], list[str]]:
    said: list[str] = []
    warned: list[str] = []
    models = Models(asked, "openai/gpt-4o", said.append, warned.append)
    for one in told:
        models.note(one)
    return said, warned


# telling


@pytest.mark.parametrize("told", [None, "", "gpt-4o", "GPT-4o", "gpt-4o:latest", "models/gpt-4o"])
def test_the_model_that_was_asked_for_is_nothing_to_tell(told: str | None):
    assert heard(told, told) == ([], [])


@pytest.mark.parametrize("told", ["gpt-4o-2024-08-06", "gpt-4o-20240806", "gpt-4o@2024", "gpt-4o:v1.2"])
def test_a_version_of_it_is_good_to_know(told: str):
    assert heard(told, told) == ([f"openai/gpt-4o was asked for gpt-4o, and says that {told} answers"], [])


@pytest.mark.parametrize("told", ["gpt-4o-mini", "gpt-4", "llama", "gpt-4o-mini-2024-07-18", "some-other-model"])
def test_another_one_is_warned_of_once(told: str):
    assert heard(told, told) == ([], [f"openai/gpt-4o was asked for gpt-4o, and says that {told} answers"])


def test_a_change_is_warned_of_at_each_model_that_is_new():
    said, warned = heard("gpt-4o", "llama", "gpt-4o", "llama", "qwen")
    assert said == []
    assert warned == [
        "another model answers for openai/gpt-4o from now on: llama, and before it gpt-4o",
        "another model answers for openai/gpt-4o from now on: qwen, and before it llama",
    ]


def test_a_server_that_names_another_one_each_time_is_told_of_often_enough_and_shortly():
    said, warned = heard(*[f"{number}{'x' * 10_000}" for number in range(100)])
    assert len(said + warned) == MOST
    assert max(map(len, warned)) < 3 * SHOWN


def test_names_are_compared_as_servers_spell_them():
    assert same_model("a/B", "A/b")
    assert not same_model("deepseek-r1", "deepseek-r1-distill")
    assert not is_version("gpt-4", "gpt-4o")


# a build


def test_the_model_of_each_reply_is_stored_and_another_one_is_told(recipe: Recipe, tmp_path: Path):
    notes = Notes()
    with odd_server(Naming("some-other-model")) as server:
        run = build(recipe, server.url, tmp_path / "run", questions=4, report=notes)
    assert run.store.answers()["model"].to_list() == ["some-other-model"] * 8
    told = [sentence for sentence in notes.said if "some-other-model" in sentence]
    assert len(told) == 1
    assert "was asked for odd, and says that some-other-model answers" in told[0]
    assert "model" not in run.train.columns


@pytest.mark.parametrize("name", [None, 7, ["a"], {}])
def test_a_model_that_is_no_name_is_unknown(name: Any, recipe: Recipe, tmp_path: Path):
    with odd_server(Naming(name)) as server:
        run = build(recipe, server.url, tmp_path / "run", questions=4)
    assert run.store.answers()["model"].null_count() == 8


def test_a_change_within_a_start_is_told_and_kept_with_the_teacher(recipe: Recipe, tmp_path: Path):
    notes = Notes()
    with odd_server(Naming("odd", "other", each=5)) as server:
        run = build(recipe, server.url, tmp_path / "run", questions=4, report=notes)
    assert sum("from now on: other, and before it odd" in sentence for sentence in notes.said) == 1
    assert [kept["models"] for kept in run.state()["teachers"].values()] == [["odd", "other"]]
    assert set(run.store.answers()["model"]) <= {"odd", "other"}


def test_a_change_since_the_last_start_is_told(recipe: Recipe, tmp_path: Path):
    naming = Naming("odd")
    with odd_server(naming) as server:
        build(recipe, server.url, tmp_path / "run", questions=4)
        naming.names = ("newer",)
        notes = Notes()
        build(recipe, server.url, tmp_path / "run", questions=6, report=notes)
    assert sum("from now on: newer, and before it odd" in sentence for sentence in notes.said) == 1


def test_answers_that_were_stored_before_models_were_kept_are_read_and_have_none(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(recipe, teacher, tmp_path / "run", questions=4)
    for path in (run.folder / "answers").glob("*.parquet"):
        pl.read_parquet(path).drop("model").write_parquet(path)
    again = build(recipe, teacher, tmp_path / "run", questions=6)
    stored = again.store.answers()
    assert stored.columns == list(FIELDS)
    assert stored["model"].null_count() == 8
    assert stored["model"].drop_nulls().to_list() == ["scripted"] * 4
