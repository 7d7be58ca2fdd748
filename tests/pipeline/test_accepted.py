"""A build that goes on until enough answers are accepted: exactly so many, from the fewest questions (contract 8)."""

from __future__ import annotations

import hashlib
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import QUIET, asked, build, equal, given_by_seed, small_recipe, write_questions
from tests.commands import Command
from tests.pipeline.test_mishaps import Notes
from tests.processes import Started
from tests.teachers.odd_server import completion, odd_server
from tests.waiting import wait_for
from tunixhack import Context, Run, Verdict
from tunixhack._util.ids import question_id, rank
from tunixhack.errors import NearlyAllDropped, TeacherFailed, UserError
from tunixhack.pipeline import answer_blocks
from tunixhack.pipeline.accepted import AcceptedSearch
from tunixhack.pipeline.accepted_cut import AcceptedCut
from tunixhack.pipeline.accepted_goal import Goal
from tunixhack.recipe import Recipe
from tunixhack.steps.exact_dedup import ExactDedup
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

KILLS = 5


def good(answer: str, tenths: int = 4) -> bool:
    return int(hashlib.sha256(answer.encode()).hexdigest(), 16) % 10 < tenths


@dataclass(frozen=True)
class Passes:
    """Keeps about so many tenths of the answers."""

    tenths: int = 4

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        keep = [good(answer, self.tenths) for answer in rows["answer"]]
        return Verdict(keep=pl.Series(keep, dtype=pl.Boolean), reason="bad")


@dataclass(frozen=True)
class PassesByQuestion(Passes):
    """The same as a step that says that it can be called in blocks."""

    name: ClassVar[str] = "passes"
    by_question: ClassVar[bool] = True


ANSWERS = (Sample(), Parse(), Passes())
ORDER: dict[str, Any] = {"questions": None, "accepted": 30, "ceiling": 60}


@pytest.fixture
def many(tmp_path: Path) -> Recipe:
    """A hundred questions, four samples each, of which 40 % pass."""
    return small_recipe(write_questions(tmp_path / "many.jsonl", 100), steps=ANSWERS)


def beyond(run: Run) -> pl.DataFrame:
    return run.rejected.filter(reason="beyond_accepted")


def questions_asked(run: Run) -> list[str]:
    """The questions that have sampled answers, in rank order."""
    ids = run.store.answers().filter(pl.col("sample") >= 0)["question_id"].unique()
    return sorted(ids, key=lambda one: rank(0, one))


def in_rank_order(table: pl.DataFrame) -> list[tuple[str, int]]:
    return sorted(table.select("question_id", "sample").rows(), key=lambda one: (rank(0, one[0]), one[1]))


def test_exactly_so_many_are_kept_the_first_by_rank_and_sample(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(many, teacher, tmp_path / "run", **ORDER)
    assert run.train.height == 30
    all_good = [
        (question, sample)
        for question, sample, answer in pl.concat(
            [run.train, run.rejected.filter(pl.col("sample").is_not_null())], how="diagonal"
        )
        .select("question_id", "sample", "answer")
        .rows()
        if good(answer)
    ]
    all_good.sort(key=lambda one: (rank(0, one[0]), one[1]))
    assert in_rank_order(run.train) == all_good[:30]
    assert in_rank_order(beyond(run).filter(pl.col("answer").map_elements(good, pl.Boolean))) == all_good[30:]
    assert run.done


def test_the_questions_asked_are_the_fewest_and_what_was_in_flight(many: Recipe, tmp_path: Path):
    for concurrency in (1, 8):
        with ScriptedTeacher() as teacher:
            run = build(many, teacher, tmp_path / str(concurrency), concurrency=concurrency, **ORDER)
        last = max(rank(0, one) for one in run.train["question_id"])
        by_rank = sorted(run.questions["question_id"], key=lambda one: rank(0, one))
        fewest = 1 + [rank(0, one) for one in by_rank].index(last)
        told = run.state()["accepted"]
        assert told == {"wanted": 30, "ceiling": 60, "kept": 30, "questions": fewest}
        assert questions_asked(run) == by_rank[: len(questions_asked(run))], "the first in the order"
        assert fewest <= len(questions_asked(run)) < fewest + concurrency
        assert run.questions["selected"].sum() == fewest


def unhurried(run: Run) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in run.state()["funnel"]]


@pytest.mark.parametrize("order", [{"ceiling": 12}, {"accepted": 60}], ids=["too-few", "enough"])
def test_in_blocks_the_same_questions_are_asked_and_the_same_answers_kept(
    order: dict[str, Any], many: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    held: list[int] = []

    @dataclass(frozen=True)
    class Held(PassesByQuestion):
        def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
            held.extend([rows.height] if ctx.part else [])  # and not where the drop monitor looks at what comes
            return super().__call__(rows, ctx)

    filtered = many.replace(steps=(ExactDedup(), LengthFilter(), *ANSWERS))
    whole = build(filtered, teacher, tmp_path / "whole", concurrency=2, **(ORDER | order))
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 9)
    in_blocks = many.replace(steps=(ExactDedup(), LengthFilter(), Sample(), Parse(), Held()))
    blocks = build(in_blocks, teacher, tmp_path / "blocks", concurrency=2, **(ORDER | order))
    assert 0 < max(held) <= 12
    assert equal(whole, blocks)
    assert unhurried(whole) == unhurried(blocks)
    assert whole.state()["accepted"] == blocks.state()["accepted"]
    teacher.reset()
    again = build(in_blocks, teacher, tmp_path / "blocks", concurrency=2, **(ORDER | order))
    assert asked(teacher) == 0
    assert equal(again, whole)


def test_the_ceiling_is_never_passed_and_what_there_is_is_written(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    notes = Notes()
    run = build(many, teacher, tmp_path / "run", report=notes, **(ORDER | {"ceiling": 12}))
    assert len(questions_asked(run)) == 12
    assert run.train.height == sum(good(answer) for answer in [*run.train["answer"], *run.rejected["answer"]]) < 30
    assert beyond(run).is_empty()
    told = f"{run.train.height} of 30 wanted answers accepted, of 12 questions (at most 12)"
    assert f"{told}: raise --ceiling, and the same command goes on from here" in notes.said
    assert run.done
    assert run.status.startswith(f"finished, but {told}")
    teacher.reset()
    more = build(many, teacher, run.folder, **ORDER)
    assert more.train.height == 30
    assert not set(in_rank_order(run.train)) - set(in_rank_order(more.train))
    assert set(given_by_seed(teacher).values()) == {1}


def test_fewer_candidates_than_the_ceiling_are_the_ceiling(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    few = many.replace(source=write_questions(tmp_path / "few.jsonl", 10))
    run = build(few, teacher, tmp_path / "run", **(ORDER | {"ceiling": 1000}))
    assert run.state()["accepted"]["questions"] == run.state()["accepted"]["ceiling"] == 10


def test_probes_are_asked_as_questions_are_needed(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    filtered = many.replace(steps=(ExactDedup(), LengthFilter(), *ANSWERS))
    run = build(filtered, teacher, tmp_path / "run", **ORDER)
    assert run.train.height == 30
    probes = run.store.answers().filter(sample=-1).height
    assert probes == 2 * len(questions_asked(run)) < 100
    smaller = build(filtered, teacher, tmp_path / "smaller", **(ORDER | {"accepted": 12}))
    assert set(in_rank_order(smaller.train)) < set(in_rank_order(run.train)), "a smaller one is part of a larger"
    by_number = build(filtered, teacher, tmp_path / "number", questions=run.state()["accepted"]["questions"])
    assert set(in_rank_order(run.train)) <= set(in_rank_order(by_number.train))
    assert by_number.questions.equals(run.questions), "the same questions are selected"


def test_a_step_that_keeps_one_of_each_question_needs_as_many_questions(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    class Best:
        per_question = 1

        def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
            return Verdict(keep=rows["sample"] == rows.select(pl.col("sample").min().over("question_id")).to_series())

    changed = many.replace(steps=(*ANSWERS, Best()))
    run = build(changed, teacher, tmp_path / "run", **(ORDER | {"accepted": 20}))
    assert run.train.height == run.train["question_id"].n_unique() == 20
    with pytest.raises(UserError, match=r"101 accepted answers need at least 101 questions of 1 answer each"):
        build(changed, teacher, tmp_path / "other", **(ORDER | {"accepted": 101, "ceiling": 200}))


def test_a_teacher_that_fails_is_gone_on_with(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    whole = build(many, teacher, tmp_path / "whole", **ORDER)
    teacher.reset()
    teacher.change(faults=Faults(script=("ok",) * 11 + ("404",) * 200))
    with pytest.raises(TeacherFailed, match="not received"):
        build(many, teacher, tmp_path / "run", **ORDER)
    teacher.change(faults=Faults())
    assert equal_but_for_beyond(build(many, teacher, tmp_path / "run", **ORDER), whole)


def test_a_question_that_the_teacher_refuses_is_passed_over(many: Recipe, tmp_path: Path):
    by_rank = sorted(toy_questions(100), key=lambda row: rank(0, question_id("creative", row["question"])))
    refused = by_rank[2]["question"]

    def reply(body: dict[str, Any], headers: Any) -> tuple[int, Any]:
        asked_for = body["messages"][-1]["content"]
        if refused in asked_for:
            return 400, {"error": {"message": "not that"}}
        digest = hashlib.sha256(f"{asked_for}{body['seed']}".encode()).hexdigest()
        return 200, completion(f"<reasoning>Thought.</reasoning><answer>{digest}</answer>")

    with odd_server(reply) as server:
        for _ in range(2):
            run = build(many, server.url, tmp_path / "run", **ORDER)
            assert run.train.height == 30
            assert run.done
            assert refused not in set(run.train["question"])
    assert refused in set(run.questions.filter("selected")["question"])
    assert run.funnel.filter(step="sample")["missing"].item() == 4


def test_a_budget_of_hours_ends_it_on_whole_questions(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    from tunixhack.errors import LimitReached

    with pytest.raises(LimitReached, match="the others are written"):
        build(many, teacher, tmp_path / "run", hours=1e-9, **ORDER)
    assert build(many, teacher, tmp_path / "run", **ORDER).train.height == 30


def test_the_card_the_funnel_and_show_tell_it(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path, tunixhack: Command
):
    run = build(many, teacher, tmp_path / "run", **ORDER)
    told = f"30 of 30 wanted answers accepted, of {run.state()['accepted']['questions']} questions (at most 60)"
    assert f"- {told}" in (run.folder / "README.md").read_text()
    assert told in tunixhack("show", run.folder).out
    assert tunixhack("show", run.folder, "--json").json["accepted"]["kept"] == 30
    line = run.funnel.filter(step="accepted").row(0, named=True)
    assert (line["kept"], line["rejected"]) == (30, beyond(run).height)
    assert run.state()["order"] == {"questions": None, "rows": None, "accepted": 30, "ceiling": 60, "seed": 0}
    assert "--accepted 30 --ceiling 60" in run.state()["command"]


def test_on_the_command_line(tunixhack: Command, teacher: ScriptedTeacher, source: Path, tmp_path: Path):
    command = ("build", "creative", "--source", source, "--samples", "4", "--teacher", teacher.url)
    done = tunixhack(*command, "--accepted", "10", "--ceiling", "20", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert Run.load(tmp_path / "run").train.height == 10
    few = tunixhack(*command, "--accepted", "30", "--ceiling", "4", "--out", tmp_path / "few")
    assert few.code == 2
    assert few.sentence.startswith(
        "30 accepted answers need at least 8 questions of 4 answers each, and --ceiling is 4"
    )


# steps that compare the answers of different questions


class FirstOfEach:
    """Keeps one answer of those to all questions whose text begins alike, the first by question and sample."""

    def __init__(self, characters: str = "0123456789abcdef") -> None:
        self.characters = characters

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        ordered = rows.select("question_id", "sample", "answer").with_row_index().sort("question_id", "sample")
        seen, keep = set[str](), [False] * rows.height
        for at, answer in ordered.select("index", "answer").iter_rows():
            digest = hashlib.sha256(answer.encode()).hexdigest()[:2]
            keep[at] = digest not in seen and digest[0] in self.characters
            seen.add(digest)
        return Verdict(keep=pl.Series(keep, dtype=pl.Boolean), reason="seen")


class LongestHalf:
    """Keeps the longer half of all answers: an answer that comes later can let in one that was there before."""

    share = 0.5

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        keys = [hashlib.sha256(f"{row}".encode()).hexdigest() for row in rows.select("question_id", "sample").rows()]
        middle = sorted(keys)[len(keys) // 2] if keys else ""
        return Verdict(keep=pl.Series([key < middle for key in keys], dtype=pl.Boolean), reason="short")


def kept_of_first(recipe: Recipe, teacher: ScriptedTeacher, out: Path, questions: int) -> int:
    """How many answers a build of so many questions keeps."""
    return build(recipe, teacher, out / str(questions), questions=questions, yes=True).train.height


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("filtered", [False, True], ids=["all", "length_filter"])
def test_a_step_that_compares_questions_goes_on_until_all_are_there(
    concurrency: int, filtered: bool, many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    before = (ExactDedup(), LengthFilter()) if filtered else (ExactDedup(),)
    recipe = many.replace(steps=(*before, Sample(), Parse(), FirstOfEach()))
    order = {"questions": None, "accepted": 100, "ceiling": 50, "concurrency": concurrency}
    run = build(recipe, teacher, tmp_path / "run", **order)
    assert run.train.height == 100
    told = run.state()["accepted"]
    assert (told["wanted"], told["kept"]) == (100, 100)
    fewest = told["questions"]
    assert (
        kept_of_first(recipe, teacher, tmp_path, fewest - 1) < 100 <= kept_of_first(recipe, teacher, tmp_path, fewest)
    )
    by_number = Run.load(tmp_path / str(fewest))
    assert set(in_rank_order(run.train)) <= set(in_rank_order(by_number.train))
    assert by_number.questions.equals(run.questions)
    teacher.reset()
    again = build(recipe, teacher, tmp_path / "run", **order)
    assert asked(teacher) == 0
    assert again.train.equals(run.train)


def test_an_answer_that_a_later_one_lets_in_counts(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    recipe = many.replace(steps=(Sample(), Parse(), LongestHalf()))
    run = build(recipe, teacher, tmp_path / "run", **ORDER)
    assert run.train.height == 30
    assert run.state()["accepted"]["questions"] == next(
        count for count in range(8, 60) if kept_of_first(recipe, teacher, tmp_path, count) >= 30
    )


def test_a_step_that_can_never_keep_enough_stops_at_the_ceiling(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    notes = Notes()
    recipe = many.replace(steps=(Sample(), Parse(), FirstOfEach("0123")))
    order = {"questions": None, "accepted": 100, "ceiling": 60, "yes": True}
    run = build(recipe, teacher, tmp_path / "run", report=notes, **order)
    assert run.train.height < 100
    assert len(questions_asked(run)) == 60
    told = f"{run.train.height} of 100 wanted answers accepted, of 60 questions (at most 60)"
    assert f"{told}: raise --ceiling, and the same command goes on from here" in notes.said


# what makes no sense


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"questions": 5}, "--questions asks for a fixed number"),
        ({"rows": 5}, "--rows asks for a fixed number"),
        ({"ceiling": None}, "--accepted needs --ceiling"),
        ({"accepted": None}, "--ceiling is the most questions that --accepted asks"),
        ({"accepted": 0}, "accepted=0: ask for at least one"),
        ({"ceiling": -1}, "ceiling=-1: ask for at least one"),
        ({"accepted": 2.5}, "must be a whole number"),
        ({"batch": True}, "leave out one of the two"),
        ({"accepted": 241}, "241 accepted answers need at least 61 questions of 4 answers each, and --ceiling is 60"),
    ],
)
def test_what_makes_no_sense_costs_nothing(
    order: dict[str, Any], sentence: str, many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError) as caught:
        build(many, teacher, tmp_path / "run", **(ORDER | order))
    assert sentence in str(caught.value)
    assert teacher.stats["requests"] == 0
    assert not (tmp_path / "run").exists()


def test_too_few_questions_whatever_their_answers_are_like_cost_nothing(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    few = many.replace(source=write_questions(tmp_path / "few.jsonl", 5))
    with pytest.raises(UserError, match=r"and there are 5: ask for at most 20, for more samples, or add questions"):
        build(few, teacher, tmp_path / "run", **ORDER)
    assert asked(teacher) == 0


# the pilot, and contract 11


def test_the_pilot_stops_only_what_cannot_be_reached(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    low = many.replace(steps=(Sample(), Parse(), Passes(1)))
    notes = Notes()
    run = build(low, teacher, tmp_path / "run", report=notes, **(ORDER | {"ceiling": 100}))
    assert run.train.height == 30, "most are dropped, and that is what was asked for"
    assert any(line.startswith("pilot: ") for line in notes.said)
    none = many.replace(steps=(Sample(), Parse(), Passes(0)))
    with pytest.raises(UserError, match=r"only 0 of 16.*would give \d+ accepted answers at best, and 240 are wanted"):
        build(none, teacher, tmp_path / "none", **(ORDER | {"accepted": 240}))
    assert len(questions_asked(Run.load(tmp_path / "none"))) == 8


def test_where_all_that_is_wanted_is_there_a_low_rate_is_no_failure(
    many: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    low = many.replace(steps=(Sample(), Parse(), Passes(1)), samples=8)
    assert build(low, teacher, tmp_path / "run", yes=True, **(ORDER | {"accepted": 8})).done


def test_nearly_everything_dropped_and_too_few_is_one_as_ever(many: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    none = many.replace(steps=(Sample(), Parse(), Passes(0)))
    with pytest.raises(NearlyAllDropped, match="everything is written"):
        build(none, teacher, tmp_path / "run", yes=True, **(ORDER | {"ceiling": 20}))
    assert Run.load(tmp_path / "run").rejected.filter(reason="bad").height == 80


# killed, and gone on with


def equal_but_for_beyond(one: Run, other: Run) -> bool:
    """Whether two runs are equal but for what was in flight when there was enough."""
    tables = []
    for run in (one, other):
        rejected = run.rejected.filter(pl.col("reason") != "beyond_accepted")
        tables.append([run.train, run.questions, rejected.sort("question_id", "sample", "step")])
    return all(left.equals(right) for left, right in zip(*tables, strict=True))


def work(source: Path, url: str, out: Path) -> None:
    small_recipe(source, steps=(ExactDedup(), LengthFilter(), *ANSWERS, FirstOfEach())).build(
        url, out=out, report=QUIET, **ORDER
    )


def test_killed_at_random_moments_it_keeps_the_same_rows(teacher: ScriptedTeacher, tmp_path: Path):
    source = write_questions(tmp_path / "many.jsonl", 100)
    work(source, teacher.url, tmp_path / "whole")
    whole = Run.load(tmp_path / "whole")
    teacher.reset()
    out, in_all = tmp_path / "run", whole.store.answers()["usage"].drop_nulls().len()
    moments = sorted(random.Random(KILLS).sample(range(1, in_all), KILLS))
    for number, moment in enumerate(moments):
        teacher.change(faults=Faults(script=("ok",) * moment + ("hang",) * 999))
        process = Started(tmp_path / f"log{number}", work, source, teacher.url, out)
        wait_for(lambda at=moment, one=process: teacher.stats["requests"] > at or not one.running)
        process.kill()
        assert process.wait() == -signal.SIGKILL, process.said
    teacher.change(faults=Faults())
    work(source, teacher.url, out)
    run = Run.load(out)
    assert run.done
    assert run.train.height == 30
    assert equal_but_for_beyond(run, whole)
    assert len(questions_asked(run)) <= 60


# properties


COUNTS = st.lists(st.integers(0, 4), min_size=1, max_size=30)


def ids(count: int) -> list[str]:
    return [f"{at:016x}" for at in range(count)]


@given(COUNTS, st.integers(1, 60), st.randoms())
def test_the_cut_keeps_the_first_in_the_order_of_selection(counts: list[int], wanted: int, lucky: random.Random):
    places = list(range(len(counts)))
    lucky.shuffle(places)
    questions = ids(len(counts))
    order = dict(zip(questions, places, strict=True))
    rows = [(one, sample) for one, count in zip(questions, counts, strict=True) for sample in range(count)]
    lucky.shuffle(rows)
    table = pl.DataFrame(rows, schema={"question_id": pl.String, "sample": pl.Int64}, orient="row")
    cut = AcceptedCut(dict(zip(questions, counts, strict=True)), order, questions, wanted)
    expected = sorted(rows, key=lambda one: (order[one[0]], one[1]))
    kept, beyond = cut.split(table)
    assert sorted(kept.rows()) == sorted(expected[:wanted])
    assert sorted(beyond.rows()) == sorted(expected[wanted:])
    assert set(cut.rejects(beyond)["reason"]) <= {"beyond_accepted"}
    half = table["question_id"] < f"{len(counts) // 2:016x}"
    parts = [cut.split(table.filter(half)), cut.split(table.filter(~half))]
    assert sorted(pl.concat([part[0] for part in parts]).rows()) == sorted(expected[:wanted]), "block by block, too"


class PlayedSearch(AcceptedSearch):
    """A search whose questions give answers as a test says, and whose teacher has so many in flight."""

    def __init__(self, counts: Sequence[int], goal: Goal, in_flight: int) -> None:
        self.goal, self.counts, self.in_flight, self.rounds = goal, counts, in_flight, list[int]()
        self._places, self._counts, self._judged, self._missing, self._ordered = {}, {}, [], 0, True
        self._asked, self.in_blocks = [], False
        self.judges, self.report, self.contexts = (), QUIET, self  # type: ignore[assignment]
        self.pool, self.samples = self, 4

    def questions_in_flight(self, samples: int) -> int:
        return self.in_flight

    def _monitor_context(self) -> Context:
        return Context()

    def _same_together(self, quota: int) -> bool:
        return True

    def _round(self, quota: int, monitor: Any) -> None:
        self.rounds.append(quota)
        for at, one in enumerate(ids(quota)):
            self._places[one], self._counts[one] = at, self.counts[at]


@given(COUNTS, st.integers(1, 40), st.integers(1, 30), st.integers(1, 8))
def test_the_fewest_questions_are_found_and_no_more_begun_than_were_in_flight(
    counts: list[int], wanted: int, ceiling: int, in_flight: int
):
    goal = Goal(wanted=wanted, ceiling=min(ceiling, len(counts)), most=4)
    search = PlayedSearch(counts, goal, in_flight)
    found = search.run()
    sums = [sum(counts[: at + 1]) for at in range(goal.ceiling)]
    fewest = next((at + 1 for at, total in enumerate(sums) if total >= wanted), goal.ceiling)
    assert found.quota == fewest
    begun = search.rounds[-1]
    assert fewest <= begun <= goal.ceiling
    assert begun < fewest + in_flight
    one_by_one = PlayedSearch(counts, goal, 1)
    assert one_by_one.run().quota == one_by_one.rounds[-1] == fewest, "one at a time, none is begun too many"


@given(st.integers(1, 500), st.integers(1, 200), st.floats(0, 4))
def test_as_many_questions_are_expected_as_the_rate_tells(wanted: int, ceiling: int, rate: float):
    goal = Goal(wanted=wanted, ceiling=ceiling, most=4)
    expected = goal.expected(rate)
    assert expected <= ceiling
    if expected < ceiling:
        assert (expected + 1e-9) * rate >= wanted * (1 - 1e-9)
        assert expected == goal.fewest or (expected - 1) * rate < wanted
