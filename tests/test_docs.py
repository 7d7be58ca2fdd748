"""What every page of the documentation has in common; what a page shows is tried in a test of its own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from tests.pages import PAGES, ROOT, Block, blocks
from tunixhack.cli import main as cli

WIDTH = 85
"""Columns of code that a page shows without a bar to scroll by."""
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_is_no_wider_than_a_page(page: Path):
    # a row of data is a line by its format
    wide = [line for block in blocks(page) if block.language != "json" for line in block.text.splitlines()]
    assert [line for line in wide if len(line) > WIDTH] == []


def tunixhack_commands(block: Block) -> list[str]:
    found = (re.findall(r"tunixhack (?:[^;&#\"]|\"[^\"]*\")+", line) for line in block.commands)
    return [part for parts in found for part in parts if not part.startswith("tunixhack-")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_has_the_options_that_a_page_gives_it(page: Path):
    for block in blocks(page):
        if block.language != "sh":
            continue
        for command in tunixhack_commands(block):
            _, verb, *words = shlex.split(command.replace("$(date +%s)", "0"))
            known = COMMANDS[verb]
            if words and words[0] in getattr(known, "commands", {}):
                known = known.commands[words.pop(0)]
            context = known.make_context(verb, words)  # raises for an option or a number of words that it lacks
            assert context.params or not known.params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_installs_the_package_by_its_name_alone(page: Path):
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.commands]
    assert not [line for line in lines if re.search(r'install .*"tunixhack(\[[^\]]*\])?"', line)], "it is on no index"


@pytest.mark.parametrize("name", ["README.md", "docs/install.md"])
def test_the_notebooks_are_linked(name: str):
    page = ROOT / name
    links = re.findall(r"\]\(([^)#:]+\.ipynb)\)", page.read_text(encoding="utf-8"))
    assert {(page.parent / link).resolve() for link in links} == set((ROOT / "notebooks").glob("*.ipynb"))


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f": {page.name}\n" not in nav] == []
