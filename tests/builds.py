"""What tests of whole builds share: a small recipe, its source file, and how to compare runs (contract 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.teachers.engine.preflight import SEEDS
from tunixhack.testing import ScriptedTeacher, toy_questions

QUIET = Reporter(quiet=True)
TABLES = ("train", "rejected", "questions")


def small_recipe(source: Path, **changes: Any) -> Recipe:
    """The creative domain on a file of toy questions, four samples each."""
    from tunixhack.recipes import creative

    return creative.recipe.replace(**({"source": source, "samples": 4} | changes))


def write_questions(path: Path, rows: list[dict[str, str]] | int) -> Path:
    rows = toy_questions(rows) if isinstance(rows, int) else rows
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def build(recipe: Recipe, teacher: ScriptedTeacher | str, out: Path | str, **order: Any) -> Run:
    spec = teacher if isinstance(teacher, str) else teacher.url
    return recipe.build(spec, out=out, **({"questions": 6, "report": QUIET} | order))


def asked(teacher: ScriptedTeacher) -> int:
    """Count the choices that were given to real requests, which the seeds tell from a preflight's."""
    return sum(given_by_seed(teacher).values())


def given_by_seed(teacher: ScriptedTeacher) -> dict[str, int]:
    """How often each (messages, seed) was answered, without the preflight's."""
    preflight = {str(seed + i) for seed in SEEDS for i in (0, 1)}
    given: dict[str, int] = teacher.stats["seeds"]
    return {key: count for key, count in given.items() if key.rpartition(":")[2] not in preflight}


def equal(one: Run, other: Run) -> bool:
    """Whether two runs are equal in the sense of contract 9."""
    return all(_comparable(one, name).equals(_comparable(other, name)) for name in TABLES)


def _comparable(run: Run, name: str) -> pl.DataFrame:
    table: pl.DataFrame = getattr(run, name)
    keys = [key for key in ("question_id", "sample", "step") if key in table.columns]
    evidence = [pl.col("evidence").str.replace(r'"kept_source_row": \d+', "")] if "evidence" in table.columns else []
    return table.with_columns(evidence).drop("source_row").sort(keys)
