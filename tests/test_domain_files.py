"""A domain is found by its name or by the path of its file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunixhack.domain_files import domains, find
from tunixhack.errors import UserError
from tunixhack.recipes import creative, math

COPY = "import dataclasses\nfrom tunixhack.recipes import creative\n"


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_packages_domains_are_found_by_name():
    assert domains() == ["brainstorm", "code", "creative", "general", "gym", "math", "rewrite", "science", "summarize"]
    assert find("creative") is creative.recipe
    assert find("math") is math.recipe


def test_a_file_is_found_by_its_path_and_remembers_it(tmp_path: Path):
    path = write(tmp_path / "sea.py", COPY + "recipe = creative.recipe.replace(domain='sea')\n")
    recipe = find(path)
    assert recipe.domain == "sea"
    assert recipe.file == Path(path)


def test_an_edited_file_is_read_anew(tmp_path: Path):
    path = tmp_path / "sea.py"
    for samples in (3, 15):  # of another length, since Python compares sizes
        assert find(write(path, COPY + f"recipe = creative.recipe.replace(samples={samples})\n")).samples == samples


@pytest.mark.parametrize(
    "name", ["math", "json", "queue", "datasets", "polars", "tunixhack", "xllamacpp", "my-file.v2"]
)
def test_a_file_may_be_called_as_a_package_is(name: str, tmp_path: Path):
    before = {known: module for known, module in sys.modules.items() if not known.startswith("_domain_")}
    path = write(tmp_path / f"{name}.py", COPY + "import json, polars\nrecipe = creative.recipe.replace(samples=3)\n")
    assert find(path).samples == 3
    assert {known: module for known, module in sys.modules.items() if not known.startswith("_domain_")} == before


def test_two_files_of_one_name_are_two(tmp_path: Path):
    recipes = []
    for folder, domain in (("one", "sea"), ("two", "sky")):
        (tmp_path / folder).mkdir()
        text = "from tunixhack.recipes import creative\nclass Own(creative.CreativeWriting): pass\n"
        text += f"recipe = creative.recipe.replace(domain={domain!r}, llm=Own)\n"
        recipes.append(find(write(tmp_path / folder / "mine.py", text)))
    assert [recipe.domain for recipe in recipes] == ["sea", "sky"]
    assert [sys.modules[recipe.llm.__module__].recipe.domain for recipe in recipes] == ["sea", "sky"]


def test_a_file_imports_those_beside_it_and_its_folder_hides_no_package(tmp_path: Path):
    write(tmp_path / "helper_of_mine.py", "SAMPLES = 5\n")
    for package in ("json", "datasets", "polars", "textwrap"):
        write(tmp_path / f"{package}.py", "raise SystemExit('the wrong one')\n")
    text = COPY + "import json, textwrap, datasets, polars\nfrom helper_of_mine import SAMPLES\n"
    before = list(sys.path)
    try:
        assert (
            find(write(tmp_path / "mine.py", text + "recipe = creative.recipe.replace(samples=SAMPLES)\n")).samples == 5
        )
    finally:
        sys.modules.pop("helper_of_mine", None)
    assert sys.path == before


def test_a_file_that_does_not_import_leaves_nothing_behind(tmp_path: Path):
    before = set(sys.modules), list(sys.path)
    with pytest.raises(UserError):
        find(write(tmp_path / "mine.py", "1 / 0\n"))
    assert (set(sys.modules), list(sys.path)) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "creativ",
            r"'creativ' is unknown: did you mean creative\? Known: brainstorm, code, .*, think_32k; or give the path",
        ),
        ("find", "domain 'find' is unknown"),
        ("", "domain '' is unknown"),
        ("../creative", "is unknown"),
        ("nowhere/sea.py", "there is no domain file nowhere/sea.py"),
    ],
)
def test_what_is_not_there_is_named(name: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        find(name)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", r"has no `recipe = Recipe\(\.\.\.\)`"),
        ("recipe = 'creative'\n", r"has no `recipe = Recipe\(\.\.\.\)`"),
        ("def broken(:\n", "does not import: SyntaxError"),
        ("import no_such_package\n", "does not import: ModuleNotFoundError: No module named 'no_such_package'"),
        ("1 / 0\n", "does not import: ZeroDivisionError"),
        (COPY + "recipe = creative.recipe.replace(sample=4)\n", "a recipe has no 'sample': did you mean samples"),
    ],
)
def test_a_file_that_does_not_work_says_why(text: str, sentence: str, tmp_path: Path):
    with pytest.raises(UserError, match=sentence):
        find(write(tmp_path / "mine.py", text))
