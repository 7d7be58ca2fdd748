"""What the pages about training tell to type exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from tunixhack import cli

DOCS = Path(__file__).resolve().parents[2] / "docs"
VERBS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    found = [part for line in "".join(blocks).splitlines() for part in re.findall(r"tunixhack [^;&#]+", line)]
    assert found
    return found


@pytest.mark.parametrize("page", ["train.md", "tpu.md"])
def test_every_command_has_the_options_that_a_page_gives_it(page: str):
    for command in commands(page):
        _, verb, *words = shlex.split(command.replace("$(date +%s)", "0"))
        context = VERBS[verb].make_context(verb, words)  # raises for an option or a number of words that it lacks
        assert context.params
