"""Builds whose folder is an address: together they are the unsharded build, on whichever machines they ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builds import asked, build, equal
from tests.storage.conftest import Bucket
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.storage.working_copy import VARIABLE
from tunixhack.testing import ScriptedTeacher


def on_machine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in folders that no other machine sees."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / name))


def merged(recipe: Recipe, teacher: ScriptedTeacher | str, address: str, out: Path | str) -> Run:
    return build(recipe, teacher, out, questions=12, merge=address)


def test_shards_of_several_machines_merge_to_the_unsharded_build_and_nothing_is_asked_twice(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
):
    whole = build(recipe, teacher, tmp_path / "whole", questions=12)
    alone = asked(teacher)
    teacher.reset()
    for name, order in {"a": {"prepare": True}, "b": {"shard": "1/2"}, "c": {"shard": "2/2"}}.items():
        on_machine(name, tmp_path, monkeypatch)
        build(recipe, teacher, bucket.address(), questions=12, **order)
    assert asked(teacher) == alone
    on_machine("d", tmp_path, monkeypatch)
    run = merged(recipe, teacher, bucket.address(), tmp_path / "merged")
    assert asked(teacher) == alone
    assert equal(run, whole)
    assert run.state()["command"] == f"tunixhack merge {bucket.address()} --out {tmp_path / 'merged'}"
    assert Run(tmp_path / "merged").done
