"""Candidates are judged in rank order until as many are found as are wanted, and no further (contract 8)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import QUIET, build, equal, small_recipe, write_questions
from tests.judges import grade_of, judging
from tests.pipeline.test_mishaps import Notes
from tunixhack import Context, Difficulty, LengthFilter, Parse, Random, Recipe, Run, Sample, Verdict
from tunixhack._util.ids import rank
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.pipeline.candidate_search import CandidateSearch
from tunixhack.pipeline.run_steps import run_steps
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

ANSWERS = (Sample(), Parse())
BAND = (4, 6)


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=judging()) as one:
        yield one


@pytest.fixture
def many(tmp_path: Path) -> Recipe:
    """Three hundred questions, of which about three tenths are within the band."""
    source = write_questions(tmp_path / "many.jsonl", 300)
    return small_recipe(source, steps=(Difficulty(band=BAND), *ANSWERS), samples=2)


def in_band(question: str) -> bool:
    return BAND[0] <= grade_of(question) <= BAND[1]


def first_in_band(run: Run, wanted: int) -> list[str]:
    """Return the first questions within the band, in rank order."""
    found = [row for row in ranked(run) if in_band(row["question"])]
    return [row["question_id"] for row in found[:wanted]]


def ranked(run: Run) -> list[dict[str, Any]]:
    return sorted(run.questions.to_dicts(), key=lambda row: rank(0, row["question_id"]))


def graded(run: Run) -> list[str]:
    """Return the questions that were graded, in rank order."""
    ids = run.store.answers().filter(step="difficulty")["question_id"]
    return sorted(ids, key=lambda one: rank(0, one))


def selected(run: Run) -> set[str]:
    return set(run.questions.filter("selected")["question_id"])


def test_the_first_within_the_band_are_kept_and_what_comes_behind_is_not_graded(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    run = build(many, teacher, tmp_path / "run", questions=12, concurrency=1)
    assert selected(run) == set(first_in_band(run, 12))
    ids = [row["question_id"] for row in ranked(run)]
    needed = max(ids.index(one) for one in selected(run)) + 1
    assert graded(run) == ids[:needed], "with one request at a time not one more than it takes"
    rank_line, band_line = (run.funnel.filter(step=step).row(0, named=True) for step in ("rank", "difficulty"))
    assert (rank_line["kept"], rank_line["set_aside"]) == (needed, 300 - needed)
    assert (band_line["rows_in"], band_line["kept"], band_line["rejected"]) == (needed, 12, needed - 12)
    reasons = Counter("too_easy" if grade_of(row["question"]) < BAND[0] else "too_hard" for row in ranked(run)[:needed]
                      if not in_band(row["question"]))  # fmt: skip
    assert Counter(run.rejected.filter(step="difficulty")["reason"].to_list()) == reasons


def test_at_most_what_was_in_flight_is_graded_besides_and_changes_nothing(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    one, several = (build(many, teacher, tmp_path / str(n), questions=12, concurrency=n) for n in (1, 8))
    assert len(graded(one)) <= len(graded(several)) < len(graded(one)) + 8
    assert equal(one, several)


def test_fewer_questions_are_among_more_and_ask_for_the_difference(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    few = selected(build(many, teacher, tmp_path / "run", questions=5))
    run = build(many, teacher, tmp_path / "run", questions=20)
    assert few < selected(run)
    assert selected(run) == set(first_in_band(run, 20))
    assert set(Counter(graded(run)).values()) == {1}
    teacher.reset()
    build(many, teacher, tmp_path / "run", questions=20)
    assert teacher.stats["requests"] == 0


def test_an_interrupted_search_goes_on_where_it_was(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> None:
    whole = build(many, teacher, tmp_path / "whole", questions=15)
    teacher.reset()
    teacher.change(faults=Faults(script=("ok",) * 20 + ("404",) * 400))
    with pytest.raises(TeacherFailed, match="not received"):
        build(many, teacher, tmp_path / "cut", questions=15)
    teacher.change(faults=Faults())
    cut = build(many, teacher, tmp_path / "cut", questions=15)
    assert equal(cut, whole)
    assert set(Counter(graded(cut)).values()) == {1}


def test_too_few_within_the_band_are_an_error_before_an_answer_is_paid_for(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    few = many.replace(source=write_questions(tmp_path / "few.jsonl", 30))
    there = sum(in_band(row["question"]) for row in toy_questions(30))
    with pytest.raises(UserError, match=rf"25 questions are wanted, and step difficulty keeps {there} of 30 candidates "
                       rf"\(.*too_.*\): ask for at most {there}"):  # fmt: skip
        build(few, teacher, tmp_path / "run", questions=25, yes=True)
    run = Run.load(tmp_path / "run")
    assert set(run.store.answers()["step"]) <= {"difficulty", "sample"}
    assert run.store.answers().filter(step="sample").height <= 16, "of the pilot at most"
    run = build(few, teacher, tmp_path / "run", questions=None)
    assert len(selected(run)) == there
    assert len(graded(run)) == 30
    with pytest.raises(UserError, match="31 questions need 31 candidates"):
        build(few, teacher, tmp_path / "run", questions=31)


def rarely(question: str, seed: int) -> str:
    """Grade 10 for about one question in twenty."""
    return json.dumps({"difficulty": 10 if hashlib.sha256(question.encode()).digest()[1] < 13 else 1})


def test_where_nearly_all_lie_outside_it_stops_unless_told_to_go_on(tmp_path: Path) -> None:
    recipe = small_recipe(
        write_questions(tmp_path / "many.jsonl", 300), steps=(Difficulty(band=(9, 10)), *ANSWERS), samples=1
    )
    with ScriptedTeacher(
        answer=judging(lambda question, seed: f'{{"difficulty": {1 + grade_of(question) // 3}}}')
    ) as one:
        with pytest.raises(UserError, match=r"keeps 0 of the first \d+ candidates \(too_easy \d+\).*--yes"):
            build(recipe, one, tmp_path / "run", questions=10)
        run = Run.load(tmp_path / "run")
        assert 50 <= len(graded(run)) < 150
        assert run.state()["command"].endswith(" --yes")
        with pytest.raises(UserError, match="keeps 0 of 300 candidates"):
            build(recipe, one, tmp_path / "run", questions=10, yes=True)
    steps = (Difficulty(band=(10, 10)), *ANSWERS)
    with ScriptedTeacher(answer=judging(rarely)) as one:
        run = build(recipe.replace(steps=steps), one, tmp_path / "rare", questions=4, yes=True)
    assert run.done
    assert run.funnel.filter(step="difficulty")["kept"].item() == 4


def test_the_pilot_searches_for_its_own_and_foretells_by_the_share_it_found(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    notes = Notes()
    run = build(many, teacher, tmp_path / "run", questions=40, report=notes, concurrency=1)
    coming = {one["step"]: one["answers"] for one in run.state()["pilot"]["to_come"]}
    ids = [row["question_id"] for row in ranked(run)]
    of_pilot = max(ids.index(one) for one in first_in_band(run, 8)) + 1
    foretold = -(-40 * of_pilot // 8) - of_pilot
    assert abs(coming["difficulty"] - foretold) <= 1
    assert coming["sample"] == 64
    told = [line for line in notes.said if line.startswith("to come, difficulty: ")]
    assert len(told) == 1
    assert coming["difficulty"] > 40, "not as if all were within the band"


def test_where_all_are_taken_the_pilot_foretells_as_many_as_its_share_lets_expect(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    run = build(many, teacher, tmp_path / "run", questions=None)
    coming = {one["step"]: one["answers"] for one in run.state()["pilot"]["to_come"]}
    there = run.train.height
    assert there / 2 < coming["sample"] + 16 < there * 2 < 600
    assert 200 < coming["difficulty"] < 300


def test_with_accepted_answers_it_is_searched_as_far_as_they_need(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    order: dict[str, Any] = {"questions": None, "accepted": 17, "ceiling": 40}
    run = build(many, teacher, tmp_path / "run", **order)
    assert run.train.height == 17
    assert selected(run) == set(first_in_band(run, 9))
    assert len(graded(run)) < 100
    scarce = many.replace(source=write_questions(tmp_path / "few.jsonl", 30))
    there = sum(in_band(row["question"]) for row in toy_questions(30))
    run = build(scarce, teacher, tmp_path / "scarce", **(order | {"accepted": 60}))
    assert run.train.height == 2 * there, "all that there are"
    assert run.state()["accepted"]["questions"] == there


@pytest.mark.parametrize("behind", [True, False])
def test_beside_a_share_both_are_kept(behind: bool, many: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> None:
    pair = (Difficulty(band=BAND), Random(keep=0.5)) if behind else (Random(keep=0.5), Difficulty(band=BAND))
    recipe = many.replace(steps=(*pair, *ANSWERS), samples=1)
    few, more = (build(recipe, teacher, tmp_path / str(n), questions=n) for n in (4, 9))
    assert (len(selected(few)), len(selected(more))) == (4, 9)
    assert selected(few) < selected(more)
    assert all(in_band(row["question"]) for row in more.train.to_dicts())
    again = build(recipe, teacher, tmp_path / "9", questions=4)
    assert selected(again) == selected(few), "whatever was graded before"


def test_one_step_can_search_and_before_answers_are_there(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    two = (Difficulty(band=BAND), LengthFilter(), Difficulty(band=(1, 2)), *ANSWERS)
    with pytest.raises(UserError, match=r"step difficulty_2 has questions judged until .* step difficulty does so"):
        build(many.replace(steps=two), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0


def test_a_bake_off_leaves_it_out_as_other_filters() -> None:
    from tunixhack.bakeoff.compare import _unselecting

    assert _unselecting((Difficulty(band=BAND), Difficulty(), LengthFilter(), *ANSWERS)) == ANSWERS


# the search by itself


@dataclass(frozen=True)
class Marked:
    """Keeps the questions that are marked, and remembers what it was given."""

    searches: ClassVar[bool] = True
    name: ClassVar[str] = "marked"
    seen: list[str]

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        self.seen.extend(rows["question_id"])
        return Verdict(keep=rows["question"] == "x", reason="blank")


class Recorded:
    """A recorder that keeps nothing."""

    class options:
        yes = True

    timed_stage = staticmethod(run_steps.__kwdefaults__["stage"])


class Idle:
    """A pool of teachers of which none is asked."""

    in_flight = 1

    class pool:
        @staticmethod
        def questions_in_flight(samples: int) -> int:
            return Idle.in_flight

    def __call__(self, step: Any, rows: pl.DataFrame, quota: int | None = None) -> Context:
        return Context(quota=quota)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 12), st.data())
def test_the_shortest_beginning_is_found_whatever_was_asked_for_before(
    marks: list[bool], in_flight: int, data: st.DataObject
) -> None:
    rows = pl.DataFrame(
        {"question_id": [str(at) for at in range(len(marks))], "question": ["x" if m else "" for m in marks]}
    )
    Idle.in_flight = in_flight
    step = Marked([])
    contexts, recorder = Idle(), Recorded()
    search = CandidateSearch(steps=[step], rows=rows, contexts=contexts, recorder=recorder)  # type: ignore[arg-type]
    there = sum(marks)
    for quota in data.draw(st.lists(st.integers(1, len(marks)), min_size=1, max_size=4)):
        if quota > there:
            with pytest.raises(UserError, match="wanted, and step marked keeps"):
                search.find(quota)
            assert len(step.seen) == len(marks), "before all were looked at nothing is said"
            continue
        pool, quotas = search.find(quota)
        assert quotas == {"marked": quota}
        assert sum(marks[:pool]) == quota
        assert marks[pool - 1]
        assert step.seen == [str(at) for at in range(len(step.seen))], "in rank order, each once"
        expected = search.expect(quota)
        assert quota <= expected.pool <= len(marks)
    assert QUIET is not None
