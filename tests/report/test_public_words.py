"""What is the user's own affair, folders and addresses, stands nowhere in a report."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from tests.report.runs import answers, dropped, run_of
from tests.report.test_write import Page
from tunixhack.report.public_words import PublicWords
from tunixhack.report.write import write_report

FOLDER = "C:\\Users\\me\\students\\gemma"
ADDRESS = "http://192.168.1.7:8000/v1"
STATE = {"recipe": {"student": FOLDER}, "teachers": {ADDRESS: {"model": "/home/me/models/Qwen3-8B"}}}


def test_names_are_replaced_in_sentences_and_in_evidence():
    words = PublicWords(STATE)
    assert words.text(f"{ADDRESS} and {FOLDER}") == "openai-compatible/Qwen3-8B and gemma"
    rows = pl.DataFrame({"evidence": [json.dumps({"student": FOLDER, "limit": 9}), None]})
    assert words.evidence(rows)["evidence"].to_list() == ['{"student": "gemma", "limit": 9}', None]


def test_public_names_stay_as_they_are():
    words = PublicWords({"recipe": {"student": "google/gemma-3-270m"}, "teachers": {"local": {}}})
    assert words.text("of google/gemma-3-270m by local") == "of google/gemma-3-270m by local"
    assert PublicWords({}).text("x") == "x"


def test_no_private_name_is_in_the_file(tmp_path: Path):
    line = {"step": "max_length", "rows_in": 2, "kept": 1, "note": f"at most 768 tokens of {FOLDER}"}
    state = STATE | {"funnel": [line], "why": f"{ADDRESS} was slow", "command": f"tunixhack build --teacher {ADDRESS}"}
    rejected = pl.DataFrame([dropped("q", "max_length", "over_length", student=FOLDER, why=ADDRESS)])
    page = Page(write_report(run_of(tmp_path, answers("a"), rejected, **state)))
    assert "768 tokens of gemma" in page.shown
    seen = page.shown + json.dumps(page.entries()) + json.dumps(page.data("index"))
    for private in ("192.168", "Users", str(tmp_path), "/home/me"):
        assert private not in seen
