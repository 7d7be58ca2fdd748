"""A domain file that was written before the modules were arranged anew imports what it did."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tunixhack import find
from tunixhack._util.former_imports import MODULES, PACKAGES

FORMERLY = '''"""A domain as it was written before."""

from tunixhack.answers.budget import Budget
from tunixhack.answers.dedup import DedupAnswers
from tunixhack.answers.formats import user_message
from tunixhack.answers.parsing import Parse
from tunixhack.answers.sample import Sample
from tunixhack.questions.dedup import ExactDedup
from tunixhack.questions.sources import Source
from tunixhack.recipe import Recipe
from tunixhack.steps import Verdict
from tunixhack.teachers.llm import ReasoningLLM


class Sayings(ReasoningLLM):
    """Asks what a saying means."""

    def prompt(self, row):
        return [{"role": "user", "content": user_message(row["question"], row["context"])}]


recipe = Recipe(
    domain="sayings",
    source=Source("sayings.jsonl", columns={"question": "saying"}),
    llm=Sayings,
    samples=2,
    steps=(ExactDedup(), Sample(), Parse(), DedupAnswers(), Budget()),
)
'''


def test_a_domain_file_of_then_is_read(tmp_path: Path):
    file = tmp_path / "sayings.py"
    file.write_text(FORMERLY, encoding="utf-8")
    with pytest.warns(DeprecationWarning, match=r"tunixhack\.answers\.parsing is tunixhack\.steps\.parse now"):
        recipe = find(str(file))
    today = importlib.import_module("tunixhack.steps.max_length")
    assert type(recipe.steps[-1]) is today.MaxLength


@pytest.mark.parametrize("former", sorted(MODULES))
def test_every_former_module_is_found(former: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, former, raising=False)  # another test may have imported it
    with pytest.warns(DeprecationWarning, match=f"{former} is"):
        module = importlib.import_module(former)
    assert importlib.import_module(MODULES[former])
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018  # reading it is the point


def test_what_never_was_is_not_found():
    for name in (*PACKAGES, "tunixhack"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"{name}.never_was")
