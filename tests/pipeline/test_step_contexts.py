"""What a step is told of the run it works for."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.builds import build
from tests.pipeline.test_mishaps import Notes
from tunixhack import Context, Verdict
from tunixhack.recipe import Recipe
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import ScriptedTeacher


def test_a_step_knows_seed_domain_samples_and_a_folder_of_its_own_and_can_tell_the_user(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    seen: dict[str, Context] = {}

    def looks(rows: pl.DataFrame, ctx: Context) -> Verdict:
        seen["answers" if "sample" in rows.columns else "questions"] = ctx
        ctx.say(f"looked at {rows.height}")
        return Verdict(keep=pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True))

    notes = Notes()
    steps = (looks, Sample(), Parse(), looks)
    build(recipe.replace(steps=steps), teacher, tmp_path / "run", seed=3, report=notes)
    for ctx in seen.values():
        assert (ctx.seed, ctx.domain, ctx.samples, ctx.trace) == (3, "creative", 4, "written")
    assert seen["questions"].cache == tmp_path / "cache" / "steps" / "looks"
    assert seen["answers"].cache == tmp_path / "cache" / "steps" / "looks_2"
    assert not (tmp_path / "cache" / "steps").exists(), "it is the step's to make"
    assert {"looked at 40", "looked at 24"} <= set(notes.said)
