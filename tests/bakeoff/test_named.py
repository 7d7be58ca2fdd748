"""How teachers, recipes, folders and the command that goes on are named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.bakeoff.named import compare_command, folder_names, recipes_of, split
from tunixhack.errors import UserError
from tunixhack.recipes import creative

RECIPES = {
    "creative": creative.recipe,
    "mine/terse.py": creative.recipe.replace(file=Path("mine/terse.py")),
    "warm": creative.recipe.replace(sampling={"temperature": 1.5}),
}


def test_folders_are_named_after_what_tells_them_apart():
    teachers = ["local", "local//models/qwen3.gguf", "ollama/qwen3:8b", "http://me:secret@gpu:8000/v1#qwen"]
    pairs = [(teacher, called) for teacher in teachers for called in RECIPES]
    names = folder_names(pairs, RECIPES)
    assert [names[teacher, "creative"] for teacher in teachers] == [
        "local", "local-qwen3", "ollama-qwen3-8b", "gpu-8000-v1-qwen",
    ]  # fmt: skip
    assert (names["local", "mine/terse.py"], names["local", "warm"]) == ("local-terse", "local-warm")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_each_has_a_folder_of_its_own_and_keeps_it_when_others_come(teachers: list[str]):
    pairs = [(teacher, called) for teacher in teachers for called in RECIPES]
    names = folder_names(pairs, RECIPES)
    assert len({name.casefold() for name in names.values()}) == len(pairs)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name) for name in names.values())
    assert all(len(name) <= 110 for name in names.values())
    few = folder_names(pairs[:2], RECIPES)
    assert few == {pair: names[pair] for pair in pairs[:2]}


@pytest.mark.parametrize(
    ("listed", "sentence"), [("", "names nothing"), (" , ", "names nothing"), ("a,b,a", "a twice")]
)
def test_a_list_that_is_none_is_refused(listed: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        split(listed, "--teachers")


def test_a_teacher_that_is_named_twice_is_refused_without_its_secret():
    with pytest.raises(UserError, match="names http://gpu/v1 twice"):
        split(["http://me:secret@gpu/v1"] * 2, "--teachers")


def test_recipes_are_called_as_they_were_named(tmp_path: Path):
    file = tmp_path / "terse.py"
    file.write_text("from tunixhack.recipes.creative import recipe\n", encoding="utf-8")
    assert list(recipes_of(f"creative, {file}")) == ["creative", str(file)]
    assert list(recipes_of(["creative", file])) == ["creative", str(file)]
    assert list(recipes_of(creative.recipe)) == ["creative"]
    assert list(recipes_of({"warm": "creative", "cool": creative.recipe})) == ["warm", "cool"]
    with pytest.raises(UserError, match="two of the domains are called creative"):
        recipes_of([creative.recipe, creative.recipe])
    with pytest.raises(UserError, match="names nothing"):
        recipes_of([])
    with pytest.raises(UserError, match="did you mean creative"):
        recipes_of("creativ")


def test_the_command_that_goes_on_is_the_one_that_was_typed():
    options = {"source": "my questions.csv", "max_tokens": 900, "student": None, "out": Path("out")}
    command = compare_command(["local", "http://me:secret@gpu/v1#m"], "creative,terse.py", options)
    assert shlex.split(command) == [
        "tunixhack", "teachers", "compare", "--teachers", "local,http://gpu/v1#m", "--domain", "creative,terse.py",
        "--source", "my questions.csv", "--max-tokens", "900", "--out", "out",
    ]  # fmt: skip
    assert compare_command(["local"], [Path("a.py"), "b.py"], {}).endswith("--domain a.py,b.py")
    for recipes in (creative.recipe, [creative.recipe], {"warm": "creative"}):
        assert compare_command(["local"], recipes, {}).startswith("the same call of tunixhack")
