"""A mixture in shards: what each part takes is decided once, and the shards together are the unsharded mixture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET, TABLES, asked, equal, write_questions
from tests.commands import Command
from tests.processes import Started, command
from tests.waiting import wait_for
from tunixhack import Mixture, Part, Recipe
from tunixhack._util.progress import Reporter
from tunixhack.domain_files import find_dataset
from tunixhack.errors import LimitReached, NearlyAllDropped, UserError
from tunixhack.mixture import build as mixture_build
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.teacher_settings import settings_of
from tunixhack.runs.run import Run
from tunixhack.runs.shard_folders import shard_progress
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

PREFLIGHT = 3
"""Requests by which a part learns what its teacher can do."""
FILE = """
from tunixhack import LengthFilter, Mixture, Part
from tunixhack.recipes import creative

first, second = (creative.recipe.replace(source={source!r} % name, samples=2) for name in ("first", "second"))
mixture = Mixture(
    name="mixed",
    parts=(
        Part(recipe=first, questions=7),
        Part(recipe=second.without(LengthFilter), questions=30, name="lamps"),
        Part(recipe=first, questions=5, name="again"),
    ),
    short="keep",
)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A part that asks before its samples, one that shares six questions with it, and one that finds all taken."""
    write_questions(tmp_path / "first.jsonl", 20)
    again = [{"question": f"  {row['question'].upper()}"} for row in toy_questions(6)]
    own = [{"question": f"Tell of lamp {number}."} for number in range(14)]
    write_questions(tmp_path / "second.jsonl", again + own)
    path = tmp_path / "mixed.py"
    path.write_text(FILE.format(source=str(tmp_path / "%s.jsonl")))
    return path


@pytest.fixture
def mixed(file: Path) -> Mixture:
    found = find_dataset(str(file))
    assert isinstance(found, Mixture)
    return found


def build(mixed: Mixture, teacher: ScriptedTeacher | str, out: Path, **order: Any) -> Run:
    spec = teacher if isinstance(teacher, str) else teacher.url
    return mixed.build(spec, out=out, **({"report": QUIET} | order))


def same(one: Run, other: Run) -> bool:
    """Whether two mixtures are equal in the sense of contract 9, as a whole and part by part."""
    return equal(one, other) and all(equal(*pair) for pair in zip(one.parts(), other.parts(), strict=True))


def figures(run: Run) -> list[dict[str, Any]]:
    """Return the funnel, from which a report has its figures, without what depends on the machine."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in run.state()["funnel"]]


class Cut(Reporter):
    """Ends a build where the second part begins, as Ctrl-C would."""

    def say(self, sentence: str) -> None:
        if sentence.startswith("part lamps (2 of 3)"):
            raise KeyboardInterrupt


@pytest.mark.parametrize("of", [1, 5])
def test_merged_shards_equal_the_unsharded_mixture_and_nothing_is_asked_twice(
    of: int, mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    whole = build(mixed, teacher, tmp_path / "whole")
    alone = asked(teacher)
    teacher.reset()
    parent = tmp_path / "parts"
    prepared = build(mixed, teacher, parent, prepare=True)
    assert prepared.done
    shards = [build(mixed, teacher, parent, shard=f"{number}/{of}") for number in range(1, of + 1)]
    assert asked(teacher) == alone
    url = teacher.url
    teacher.__exit__(None, None, None)  # a merge needs no teacher that answers
    merged = build(mixed, url, tmp_path / "merged", merge=parent)
    assert same(merged, whole)
    for name in TABLES:
        assert (merged.folder / f"{name}.parquet").read_bytes() == (whole.folder / f"{name}.parquet").read_bytes()
    assert figures(merged) == figures(whole)
    assert [figures(part) for part in merged.parts()] == [figures(part) for part in whole.parts()]
    assert sum(shard.train.height for shard in shards) == whole.train.height
    progress = shard_progress(parent)
    assert [line["done"] for line in progress] == [True] * (of + 1)
    assert sum(line["answers"] for line in progress) == alone, "what was lent counts once"


def test_a_killed_shard_goes_on_and_the_commands_of_a_launcher_give_the_whole(
    file: Path, mixed: Mixture, tmp_path: Path, tunixhack: Command
):
    parent = tmp_path / "parts"
    with ScriptedTeacher() as teacher:
        whole = build(mixed, teacher, tmp_path / "whole")
        alone = asked(teacher)
        teacher.reset()
        words = [str(file), "--teacher", teacher.url, "--out", str(parent)]
        assert tunixhack("prepare", *words).code == 0
        # both questions of the first part, and two of the second
        answered = teacher.stats["requests"] + PREFLIGHT + 2 + PREFLIGHT + 2
        teacher.change(faults=Faults(script=("ok",) * answered + ("hang",) * 99))
        shard = ["build", *words, "--shard", "1/2", "--concurrency", "2"]
        process = Started(tmp_path / "log", command, *shard)
        # whoever has two requests that hang has written down what came before
        wait_for(lambda: teacher.stats["requests"] >= answered + 2)
        process.kill()
        teacher.change(faults=Faults())
        told = {line["shard"]: line for line in tunixhack("show", str(parent), "--json").json["shards"]}
        assert told["prepared"]["done"]
        assert told["1/2"]["answers"] == 4 * 2
        assert "not finished" in told["1/2"]["status"]
        assert "not begun" in tunixhack("show", str(parent)).out
        refused = tunixhack("merge", str(parent), "--out", str(tmp_path / "merged"))
        assert (refused.code, "2 shards of" in refused.sentence) == (2, True)
        for which in ("1/2", "2/2"):
            assert tunixhack("build", *words, "--shard", which).code == 0
        assert asked(teacher) == alone, "nothing that was answered is asked again"
        assert tunixhack("merge", str(parent), "--out", str(tmp_path / "merged")).code == 0
    assert same(Run.load(tmp_path / "merged"), whole)


def test_a_shard_of_what_is_not_prepared_names_the_command_and_asks_nothing(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match=r"share their questions .*: first run tunixhack prepare .*mixed.py .*--out .*"):
        build(mixed, teacher, tmp_path / "parts", shard="1/2", scale=0.5)
    assert asked(teacher) == 0
    assert not (tmp_path / "parts").exists()
    with pytest.raises(KeyboardInterrupt):
        build(mixed, teacher, tmp_path / "parts", prepare=True, report=Cut(quiet=True))
    with pytest.raises(UserError, match=r"first run tunixhack prepare .*mixed.py"):
        build(mixed, teacher, tmp_path / "parts", shard="1/2")


def test_what_is_of_another_build_is_refused_before_anything_is_asked(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    parent = tmp_path / "parts"
    build(mixed, teacher, parent, prepare=True)
    before = asked(teacher)
    with pytest.raises(UserError, match=r"prepared is of another order than this build \(scale: 1.0, and not 0.5\)"):
        build(mixed, teacher, parent, shard="1/2", scale=0.5)
    fewer = mixed.replace(parts=mixed.parts[:2])
    with pytest.raises(UserError, match=r"is of other parts than this build \(creative 7, lamps 30, again 5, and not"):
        build(fewer, teacher, parent, shard="1/2")
    with pytest.raises(UserError, match=r"part creative: .*prepared/creative is of another recipe .*max_length"):
        build(mixed.replace(max_length="500chars"), teacher, parent, shard="1/2")
    write_questions(tmp_path / "first.jsonl", 21)
    with pytest.raises(UserError, match=r"first.jsonl has changed since .*prepared/creative took its questions"):
        build(mixed, teacher, parent, shard="1/2")
    assert asked(teacher) == before
    write_questions(tmp_path / "first.jsonl", 20)
    build(mixed, teacher, parent, shard="1/2")
    with pytest.raises(UserError, match=r"--shard 2/3: .* has shards of 2"):
        build(mixed, teacher, parent, shard="2/3")
    with pytest.raises(UserError, match=r"1 shard of .* has not ended: 2/2"):
        build(mixed, teacher, tmp_path / "merged", merge=parent)


def test_a_part_that_asks_until_enough_is_kept_is_not_built_in_shards(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    until = mixed.replace(parts=(Part(recipe=mixed.parts[0].recipe, rows=6, name="until"),))
    for order in ({"prepare": True}, {"shard": "1/2"}):
        with pytest.raises(UserError, match=r"part until of mixture mixed asks until rows= answers are kept"):
            build(until, teacher, tmp_path / "parts", **order)
    assert not (tmp_path / "parts").exists()


def test_a_part_of_the_sources_own_solutions_and_one_that_repeats_are_as_in_one(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    solved = mixed.parts[0].recipe.without(LengthFilter).replace(solution=lambda row: ("Because.", "42"))
    lamps = mixed.parts[1].recipe
    others = mixed.replace(
        parts=(
            Part(recipe=solved, questions=6, teacher="reference", name="solved"),
            Part(recipe=lamps, questions=20, short="repeat", name="lamps"),
        )
    )
    whole = build(others, teacher, tmp_path / "whole")
    build(others, teacher, tmp_path / "parts", prepare=True)
    for number in (1, 2):
        build(others, teacher, tmp_path / "parts", shard=f"{number}/2")
    merged = build(others, teacher, tmp_path / "merged", merge=tmp_path / "parts")
    assert same(merged, whole)
    assert merged.train["repeat"].max() == 1


def test_a_shard_drops_nearly_everything_with_a_warning_and_the_merge_says_so(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    short = mixed.replace(max_length="20chars", samples=4)
    build(short, teacher, tmp_path / "parts", prepare=True, yes=True)
    assert all(build(short, teacher, tmp_path / "parts", shard=f"{n}/2", yes=True).done for n in (1, 2))
    with pytest.raises(NearlyAllDropped, match="part creative: nothing is left of 7 questions"):
        build(short, teacher, tmp_path / "merged", merge=tmp_path / "parts", yes=True)
    assert Run.load(tmp_path / "merged").rejected.filter(pl.col("reason") == "over_length").height > 0


def test_a_shard_that_stopped_at_its_hours_goes_on_with_its_own_command(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path
):
    parent = tmp_path / "parts"
    build(mixed, teacher, parent, prepare=True)
    with pytest.raises(LimitReached):
        build(mixed, teacher, parent, shard="1/2", hours=1e-9)
    record = json.loads((parent / "shard-1-of-2" / "run.json").read_text())
    assert record["order"]["shard"] == "1/2"
    assert f"--shard 1/2 --out {parent}" in record["command"]
    with pytest.raises(UserError, match=r"parts holds the shards of a build and is no run itself"):
        build(mixed, teacher, parent)


def test_the_budget_is_that_of_all_shards_and_of_all_parts(
    mixed: Mixture, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build(mixed, teacher, tmp_path / "parts", prepare=True)
    left: dict[str, float | None] = {}

    def note(recipe: Recipe, options: BuildOptions, out: Path, report: Reporter) -> None:
        left[out.name] = settings_of(recipe, options).budget

    monkeypatch.setattr(mixture_build.pipeline, "build", note)
    monkeypatch.setattr(mixture_build, "spent", lambda run: {"creative": 4.0, "lamps": 1.0}.get(run.folder.name, 0.0))
    build(mixed, teacher, tmp_path / "parts", shard="1/2", budget=20)
    assert left == {"creative": 9.0, "lamps": 6.0}
    with pytest.raises(LimitReached, match="used up by the parts before"):
        build(mixed, teacher, tmp_path / "parts", shard="1/2", budget=8)
