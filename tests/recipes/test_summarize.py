"""Summaries: one question for all, the article as its context, the highlights as its reference."""

from __future__ import annotations

import json
from pathlib import Path

from tunixhack.recipes import summarize

ARTICLE = {"article": "It rained in Ellisport.", "highlights": "Rain in Ellisport .", "id": "0" * 40}


def test_the_teacher_gets_the_brief_the_task_and_the_article():
    row = {"question": summarize.QUESTION, "context": "It rained.", "reference": "Rain."}
    assert summarize.Summaries("any", trace="native").render(row) == [
        {"role": "system", "content": summarize.SYSTEM},
        {"role": "user", "content": f"{summarize.QUESTION}\n\nIt rained."},
    ]


def test_articles_are_told_apart_by_their_text_and_an_empty_one_is_no_question(tmp_path: Path):
    rows = [ARTICLE, ARTICLE | {"article": "It snowed."}, ARTICLE | {"article": " \n"}]
    file = tmp_path / "news.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    loaded = summarize.recipe.replace(source=file).source.load("summarize")
    assert loaded.rows["question"].to_list() == [summarize.QUESTION] * 2
    assert loaded.rows["question_id"].n_unique() == 2
    assert loaded.rows["context"].to_list() == ["It rained in Ellisport.", "It snowed."]
    assert loaded.rejected.select("source_row", "reason").rows() == [(2, "no_question")]


def test_a_file_of_own_questions_keeps_their_wording(tmp_path: Path):
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({"question": "Sum up in French.", "context": "It rained."}), encoding="utf-8")
    loaded = summarize.recipe.replace(source=file).source.load("summarize")
    assert loaded.rows["question"].to_list() == ["Sum up in French."]


def test_the_shipped_articles_are_longer_than_their_highlights():
    rows = summarize.recipe.replace(source="shipped").source.load("summarize").rows
    assert rows.height >= 20
    assert (rows["context"].str.len_chars() > 2.5 * rows["reference"].str.len_chars()).all()
