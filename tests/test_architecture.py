"""The rooms of docs/architecture.md are those of the code: what imports what, how large files are, and no circles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tunixhack"
LARGEST_FILE = 400
MOST_ARGUMENTS = 8
USERS_VERBS = {
    "tunixhack/recipe.py:Recipe.build",
    "tunixhack/mixture/mixture.py:Mixture.build",
    "tunixhack/bakeoff/compare.py:compare",
    "tunixhack/train/supervised.py:sft",
    "tunixhack/evaluate/runner.py:evaluate",
    "tunixhack/evaluate/planning.py:plan",
    "tunixhack/ablate/runner.py:ablate",
}
"""Functions whose arguments are what a user can ask for, and whose calls name them."""
FILES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))
MODULES = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}


@cache
def rooms() -> list[tuple[str, ...]]:
    """Return the table's lines from the ground up; the rooms of one line may use one another."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (`[^|]+`) \|", page.partition("## The rooms")[2].partition("\n## ")[0], re.M)
    return [tuple(re.findall(r"`([^`]+)`", line)) for line in lines]


def floor(path: str) -> int:
    """Return the line of a file's room: that of the longest name that its path begins with."""
    inside = path.removeprefix("tunixhack/")
    found = [
        (len(room), number)
        for number, line in enumerate(rooms())
        for room in line
        if inside == room or (room.endswith("/") and inside.startswith(room))
    ]
    assert found, f"{path} is in no room of docs/architecture.md"
    return max(found)[1]


def imports(path: str) -> Iterator[str]:
    """Yield the package's files that a file imports when it runs: those within functions too, those for types not."""
    waiting: list[ast.AST] = [ast.parse((ROOT / path).read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module or "" for name in names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (MODULES[name] for name in names if name in MODULES)


GRAPH = {path: sorted({used for used in imports(path) if used != path}) for path in FILES}


@pytest.mark.parametrize("path", FILES)
def test_a_file_imports_from_its_own_floor_and_those_below(path: str):
    above = [used for used in GRAPH[path] if floor(used) > floor(path)]
    assert not above, f"{path} imports from above: {', '.join(above)}"


def test_no_files_import_one_another_in_a_circle():
    left = {path: set(used) for path, used in GRAPH.items()}
    while free := [path for path, used in left.items() if not used & set(left)]:
        for path in free:
            del left[path]
    assert not left, f"there is a circle among: {', '.join(sorted(left))}"


def test_every_room_of_the_page_is_there():
    for line in rooms():
        for room in line:
            assert (PACKAGE / room).exists(), room


def test_the_top_of_the_package_has_few_files():
    assert len(list(PACKAGE.glob("*.py"))) <= 7


@pytest.mark.parametrize("path", FILES)
def test_no_file_is_long_and_no_function_takes_many_arguments(path: str):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert text.count("\n") <= LARGEST_FILE
    many = [name for name, count in arguments(ast.parse(text)) if count > MOST_ARGUMENTS]
    assert not [name for name in many if f"{path}:{name}" not in USERS_VERBS and not path.startswith("tunixhack/cli/")]


def arguments(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the public functions and methods with the number of their arguments, self left out."""
    for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
        for node in owner.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                asked = node.args
                yield prefix + node.name, len(asked.posonlyargs + asked.args + asked.kwonlyargs) - bool(prefix)
