"""The page about evaluations explains every word and column that one shows."""

from __future__ import annotations

from tests.pages import ROOT
from tunixhack.evaluate.evaluation import COLUMNS, FILE, LOSSES, PREFERENCE_COLUMNS, PREFERENCES, REPLIES, SCORES
from tunixhack.evaluate.preferences import FOLLOWS_PLACE, LIKES_LONG
from tunixhack.evaluate.statistics.verdicts import Word

PAGE = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")


def test_every_word_of_a_verdict_is_explained():
    table = PAGE.partition("## What a verdict says")[2].partition("\n## ")[0]
    assert [word for word in Word if word.value not in table] == []
    for remark in ("these students, not yet these recipes", "cut-off replies could turn it", "floor", "ceiling"):
        assert remark in table


def test_every_column_and_file_is_explained():
    columns = {*COLUMNS, *PREFERENCE_COLUMNS} - {""}
    assert [name for name in columns if f"\n| {name} | " not in PAGE] == []
    assert [name for name in (FILE, REPLIES, SCORES, LOSSES, PREFERENCES) if f"\n| `{name}` | " not in PAGE] == []


def test_what_is_said_of_a_judge_is_explained():
    words = " ".join(PAGE.partition("## Without a reference")[2].partition("\n## ")[0].split())
    assert FOLLOWS_PLACE.partition(":")[0] in words
    assert LIKES_LONG in words
    assert "the judge is no stranger to an arm" in words
