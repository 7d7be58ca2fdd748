"""The difficulty filter: what is asked, what a grade is, what is kept, and what it costs to be interrupted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import QUIET, build, equal, small_recipe, write_questions
from tests.judges import grade_of, judging
from tests.pipeline.test_mishaps import Notes
from tests.processes import Started
from tests.waiting import wait_for
from tunixhack import Context, Difficulty, ExactDedup, Parse, Random, Recipe, Request, Run, Sample
from tunixhack._util.ids import rank
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.steps.base import candidates_needed, judge
from tunixhack.steps.difficulty import SCHEMA
from tunixhack.steps.difficulty_rubrics import RUBRICS
from tunixhack.steps.grades import read_grade
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

Replies = Callable[[str], Sequence[str | None]]
"""From a question to the contents of its replies, in the order of the samples; None was not received."""


class Judge:
    """Answers from a function of the question, and remembers what it was asked."""

    def __init__(self, replies: Replies) -> None:
        self.replies, self.requests, self.teacher = replies, [], "unasked"

    def __call__(self, requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        self.requests, self.teacher = list(requests), teacher
        rows = [
            {"question_id": request.question_id, "sample": sample, "choice": json.dumps({"message": {"content": said}})}
            for request in requests
            for sample, said in zip(request.samples, self.replies(request.question_id), strict=False)
            if said is not None
        ]
        return pl.DataFrame(rows, schema={"question_id": pl.String, "sample": pl.Int64, "choice": pl.String}).reverse()


def run(replies: Replies, ids: Sequence[str], quota: int | None = None, **step: Any) -> tuple[list[str], pl.DataFrame]:
    """Return what is kept, and all rows with the step's columns, reasons and evidence."""
    rows = pl.DataFrame({"question_id": ids, "question": [f"Q {one}" for one in ids]})
    judging_by = step.pop("ask", None) or Judge(replies)
    ctx = Context(ask=judging_by, quota=quota, declined=lambda: step.pop("declined", {}))
    one = Difficulty(**{name: value for name, value in step.items() if name != "declined"})
    judged = judge(one, rows, one(rows, ctx))
    return judged.kept["question_id"].to_list(), pl.concat([judged.kept, judged.rejected], how="diagonal")


def by_rank(count: int, seed: int = 0) -> list[str]:
    return sorted((f"{at:016x}" for at in range(count)), key=lambda one: rank(seed, one))


IDS = by_rank(40)


def said(grade: Any) -> list[str]:
    return [json.dumps({"difficulty": grade})]


# what is asked


def test_the_judge_is_asked_once_a_question_by_schema_and_without_thinking() -> None:
    asked = Judge(lambda question: said(5))
    run(asked.replies, IDS[:4], quota=2, ask=asked, grades=1)
    assert [(one.question_id, tuple(one.samples)) for one in asked.requests] == [(one, (0,)) for one in IDS[:4]]
    assert all(one.schema == SCHEMA and not one.thinking for one in asked.requests)
    assert f"Q {IDS[0]}" in asked.requests[0].messages[1]["content"]
    assert asked.teacher is None


def test_another_judge_scale_and_number_of_grades_can_be_named() -> None:
    asked = Judge(lambda question: said(5) * 3)
    run(asked.replies, IDS[:2], quota=1, ask=asked, grades=3, teacher="lmstudio/judge", rubric="1 is easy, 10 is hard")
    assert asked.teacher == "lmstudio/judge"
    assert asked.requests[0].samples == (0, 1, 2)
    assert "1 is easy, 10 is hard" in asked.requests[0].messages[1]["content"]


def test_the_scale_is_the_domains_unless_another_is_named() -> None:
    row = {"question": "Why?", "context": "It rained."}
    for domain in (*RUBRICS, "another"):
        (_, asked) = Difficulty().messages(row, domain)
        assert RUBRICS.get(domain, RUBRICS["general"]) in asked["content"]
        assert "<question>\nWhy?\n\nIt rained.\n</question>" in asked["content"]
    assert RUBRICS["code"] in Difficulty(rubric="code").messages(row, "math")[1]["content"]


def test_every_scale_says_what_each_grade_means() -> None:
    for scale in set(RUBRICS.values()):
        assert [line.partition(":")[0] for line in scale.splitlines()] == [str(grade) for grade in range(1, 11)]


def test_of_teachers_that_can_thinking_is_switched_off_for_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunixhack.teachers.registry.resolve import RequestOptions, resolve

    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-none")
    teacher = resolve("deepseek/deepseek-reasoner", RequestOptions(trace="native"))
    thinks, does_not = (
        Request(question_id="a", messages=[], samples=[0], thinking=thinking).sampling_of(teacher)
        for thinking in (True, False)
    )
    assert thinks == dict(teacher.sampling), "the key of all other requests is as it was"
    assert does_not == {**teacher.sampling, **PRESETS["deepseek"].unthinking}


# what a grade is


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ('{"difficulty": 7}', 7),
        ('{"difficulty": 7.0, "reasoning": "three steps"}', 7),
        ('{"Difficulty": "8"}', 8),
        ('```json\n{"difficulty": 3}\n```', 3),
        ('Here it is: {"grade": 10}', 10),
        ("<think>Maybe 3, maybe 9.</think>4", 4),
        ("6", 6),
        ("**6**", 6),
        ("6/10", 6),
        ("Difficulty: 6 out of 10.", 6),
        ("The difficulty level is 2", 2),
        (r"\boxed{9}", 9),
        ("0", None),
        ("11", None),
        ("-3", None),
        ("1e1", None),
        ("7 or 8", None),
        ("The answer is 4.", None),
        ("I would say that it has 5 steps", None),
        ("seven", None),
        ("", None),
        ('{"difficulty": 0}', None),
        ('{"difficulty": 11}', None),
        ('{"difficulty": true}', None),
        ('{"difficulty": null}', None),
        ('{"difficulty": [7]}', None),
        ('{"difficulty": 7, "grade": 3}', None),
        ('{"difficulty": NaN}', None),
        ('{"difficulty": 1e999}', None),
        ('{"difficulty": 7', None),
        ('[{"difficulty": 7}]', None),
        ('{"a": ' * 5000, None),
        ('{"difficulty": ' + "9" * 5000 + "}", None),
    ],
)
def test_a_reply_is_read_tolerantly_and_strictly(reply: str, grade: float | None) -> None:
    assert read_grade(json.dumps({"message": {"content": reply}, "finish_reason": "stop"})) == grade


@pytest.mark.parametrize(
    "choice",
    [
        None,
        "",
        "[",
        "7",
        '{"message": 7}',
        '{"message": {"content": null}}',
        '{"message": {"content": "7"}, "finish_reason": "length"}',
        '{"message": {"content": "7"}, "finish_reason": "content_filter"}',
        '{"message": {"content": "7"}, "error": {"code": 500}}',
    ],
)
def test_what_is_cut_short_filtered_or_no_message_is_no_grade(choice: str | None) -> None:
    assert read_grade(choice) is None


@given(st.text(), st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.floats(), st.integers())))
def test_no_reply_raises_and_no_grade_is_out_of_bounds(text: str, data: dict[str, Any]) -> None:
    for content in (text, data, json.dumps(data), [data], f"{text}{json.dumps(data)}"):
        grade = read_grade(json.dumps({"message": {"content": content}}))
        assert grade is None or 1 <= grade <= 10


def test_of_three_grades_the_median_counts_and_what_cannot_be_read_is_left_out() -> None:
    replies = {
        IDS[0]: [*said(2), *said(9), *said(3)],
        IDS[1]: [*said(2), "no idea", *said(5)],
        IDS[2]: ["no idea", *said(8), "?"],
        IDS[3]: ["?", "?", "?"],
    }
    kept, rows = run(replies.__getitem__, IDS[:4], quota=2, grades=3)
    found = {row["question_id"]: (row["difficulty_grade"], row["difficulty_read"]) for row in rows.to_dicts()}
    assert [found[one] for one in IDS[:4]] == [(3.0, 3), (3.5, 2), (8.0, 1), (None, 0)]
    assert set(kept) == {IDS[1], IDS[2]}
    reasons = dict(rows.filter(pl.col("reason").is_not_null()).select("question_id", "reason").iter_rows())
    assert reasons == {IDS[0]: "easy", IDS[3]: "ungraded"}
    evidence = dict(rows.select("question_id", "evidence").iter_rows())
    assert json.loads(evidence[IDS[0]]) == {"grade": 3.0, "grades": [2.0, 9.0, 3.0]}


def test_failures_are_counted() -> None:
    rows = pl.DataFrame({"question_id": IDS[:4], "question": IDS[:4]})
    replies = Judge(lambda question: ["?", *said(3)] if question != IDS[2] else ["?", "?"])
    assert Difficulty(grades=2)(rows, Context(ask=replies)).note == (
        "the hardest by grade; 5 of 8 grades could not be read, 1 question has none"
    )
    assert Difficulty()(rows, Context(ask=Judge(lambda question: said(3)))).note == "the hardest by grade"


def test_a_judge_that_cannot_grade_at_all_is_told_of(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> None:
    steps = (Difficulty(), Sample(), Parse())
    with pytest.raises(UserError, match=r"no grade of 12 questions could be read; one says '.*Difficulty\(teacher=…\)"):
        build(recipe.replace(steps=steps), teacher, tmp_path / "run")


def test_missing_grades_stop_the_run_and_drop_nothing() -> None:
    with pytest.raises(TeacherFailed, match=r"grades of 1 of 4 questions were not received.* the same command asks"):
        run(lambda question: [*said(3), None] if question == IDS[1] else said(3) * 2, IDS[:4], quota=2, grades=2)


def test_a_refused_question_comes_last_and_says_why() -> None:
    asked = Judge(lambda question: [None] if question == IDS[0] else said(1))
    rows = pl.DataFrame({"question_id": IDS[:4], "question": IDS[:4]})
    verdict = Difficulty()(rows, Context(ask=asked, quota=2, declined=lambda: {IDS[0]: "HTTP 400: no"}))
    judged = judge(Difficulty(), rows, verdict)
    (row,) = judged.rejected.filter(reason="refused").to_dicts()
    assert (row["question_id"], row["difficulty_grade"]) == (IDS[0], None)
    assert json.loads(row["evidence"]) == {"why": "HTTP 400: no"}


# what is kept


GRADES = st.lists(st.one_of(st.none(), st.integers(1, 10)), min_size=8, max_size=30)


def replying(grades: Sequence[int | None], ids: Sequence[str]) -> Replies:
    given_to = dict(zip(ids, grades, strict=True))
    return lambda question: ["?"] if given_to[question] is None else said(given_to[question])


@given(GRADES, st.sampled_from([0.5, 0.25, 1 / 3, 0.8]))
def test_the_hardest_of_fewer_questions_are_among_those_of_more(grades: list[int | None], keep: float) -> None:
    ids, before, quota = by_rank(len(grades)), set[str](), 0
    if not any(grades):
        return
    while (pool := candidates_needed(quota + 1, keep)) <= len(ids):
        quota += 1
        if pool >= 8 and not any(grades[:pool]):
            continue
        kept = set(run(replying(grades, ids), ids[:pool], quota, keep=keep)[0])
        assert len(kept) == quota
        assert before <= kept
        before = kept


@given(GRADES, st.randoms(), st.sampled_from([{"keep": 0.5}, {"band": (3, 7)}]))
def test_the_order_of_the_rows_decides_nothing(grades: list[int | None], lucky: random.Random, step: Any) -> None:
    ids = by_rank(len(grades))
    if not any(grades):
        return
    shuffled = lucky.sample(ids, len(ids))
    one, other = (run(replying(grades, ids), order, 4, **step)[0] for order in (ids, shuffled))
    assert sorted(one) == sorted(other)


def test_ties_go_by_the_rank_of_the_questions() -> None:
    assert run(lambda question: said(5), IDS[:8], quota=4)[0] == [IDS[0], IDS[1], IDS[2], IDS[3]]


def test_outside_of_a_recipe_the_share_is_kept() -> None:
    assert len(run(lambda question: said(5), IDS[:9], keep=1 / 3)[0]) == 3


def test_a_band_drops_by_grade_first_and_keeps_the_rank_order() -> None:
    grades = [9, 4, 1, 8, 6, None, 10, 5]
    kept, rows = run(replying(grades, IDS[:8]), IDS[:8], quota=3, band=(4, 8))
    assert kept == [IDS[1], IDS[3], IDS[4]], "and not the hardest of them"
    reasons = dict(rows.filter(pl.col("reason").is_not_null()).select("question_id", "reason").iter_rows())
    assert [reasons[IDS[at]] for at in (0, 2, 5, 6, 7)] == [
        "too_hard",
        "too_easy",
        "ungraded",
        "too_hard",
        "not_needed",
    ]
    assert len(run(replying(grades, IDS[:8]), IDS[:8], band=[4, 8])[0]) == 4, "without a quota all of them"


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({"keep": 0}, "over 0 and at most 1"),
        ({"keep": 1.5}, "over 0 and at most 1"),
        ({"keep": True}, "over 0 and at most 1"),
        ({"keep": 0.5, "band": (4, 8)}, "not both"),
        ({"band": (8, 4)}, "lowest and its highest"),
        ({"band": (0, 4)}, "from 1 to 10"),
        ({"band": 4}, "lowest and its highest"),
        ({"grades": 0}, "1 to 15 grades"),
        ({"grades": 2.0}, "1 to 15 grades"),
        ({"rubric": "maths"}, "did you mean math"),
    ],
)
def test_what_makes_no_sense_is_told(step: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Difficulty(**step)


def test_two_that_are_the_same_are_equal_and_can_be_hashed() -> None:
    assert Difficulty() == Difficulty(keep=0.5)
    assert hash(Difficulty(band=[4, 8])) == hash(Difficulty(band=(4, 8)))  # type: ignore[arg-type]


# in a build


@pytest.fixture
def judging_teacher() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=judging()) as teacher:
        yield teacher


@pytest.fixture
def many(tmp_path: Path) -> Recipe:
    """Sixty questions, the harder half of which is sampled twice each."""
    steps = (ExactDedup(), Difficulty(), Sample(), Parse())
    return small_recipe(write_questions(tmp_path / "many.jsonl", 60), steps=steps, samples=2)


def judged(run: Run) -> pl.DataFrame:
    return run.store.answers().filter(step="difficulty")


def test_the_harder_half_is_sampled_and_the_grades_are_in_the_tables(
    many: Recipe, judging_teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    run = build(many, judging_teacher, tmp_path / "run", questions=10)
    kept = {row["question"]: row["difficulty_grade"] for row in run.train.to_dicts()}
    dropped = {row["question"]: row["difficulty_grade"] for row in run.rejected.filter(step="difficulty").to_dicts()}
    assert (len(kept), len(dropped)) == (10, 10)
    assert kept | dropped == {question: grade_of(question) for question in kept | dropped}
    assert sum(kept.values()) > sum(dropped.values())
    assert judged(run).height == 20
    assert run.funnel.filter(step="difficulty")["completion_tokens"].item() > 0


def test_fewer_questions_are_among_more_and_the_order_of_the_source_decides_nothing(
    many: Recipe, judging_teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    few, more = (build(many, judging_teacher, tmp_path / str(number), questions=number) for number in (6, 20))
    assert set(few.train["question_id"]) < set(more.train["question_id"])
    rows = toy_questions(60)
    random.Random(3).shuffle(rows)
    shuffled = many.replace(source=write_questions(tmp_path / "shuffled.jsonl", rows))
    other = build(shuffled, judging_teacher, tmp_path / "other", questions=20)
    for name in ("train", "rejected"):
        one, two = (
            getattr(run, name).drop("source", "source_row").sort("question_id", "sample") for run in (more, other)
        )
        assert one.equals(two)


def test_the_same_again_asks_nothing_and_another_share_asks_for_the_difference(
    many: Recipe, judging_teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    run = build(many, judging_teacher, tmp_path / "run", questions=10)
    judging_teacher.reset()
    build(many, judging_teacher, run.folder, questions=10)
    assert judging_teacher.stats["requests"] == 0
    third = many.replace(steps=(ExactDedup(), Difficulty(keep=0.25), Sample(), Parse()))
    build(third, judging_teacher, run.folder, questions=10)
    assert judged(run).height == 40, "and none of the twenty that are there is asked for again"


def test_an_interrupted_build_equals_a_whole_one(
    many: Recipe, judging_teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    graded_thrice = many.replace(steps=(ExactDedup(), Difficulty(grades=3), Sample(), Parse()))
    whole = build(graded_thrice, judging_teacher, tmp_path / "whole", questions=10)
    judging_teacher.reset()
    judging_teacher.change(faults=Faults(script=("ok",) * 12 + ("404",) * 200))
    with pytest.raises(TeacherFailed, match=r"the grades of .* were not received"):
        build(graded_thrice, judging_teacher, tmp_path / "cut", questions=10)
    judging_teacher.change(faults=Faults())
    cut = build(graded_thrice, judging_teacher, tmp_path / "cut", questions=10)
    assert equal(cut, whole)
    assert judged(cut).height == judged(whole).height == 60


def work(source: str, url: str, out: str) -> None:
    steps = (ExactDedup(), Difficulty(), Sample(), Parse())
    recipe = small_recipe(Path(source), steps=steps, samples=2)
    recipe.build(url, questions=10, out=out, report=QUIET)


def test_killed_while_it_grades_it_asks_for_no_grade_again(many: Recipe, tmp_path: Path) -> None:
    source = str(tmp_path / "many.jsonl")
    with ScriptedTeacher(answer=judging(), faults=Faults(latency=0.2), slots=2) as teacher:
        process = Started(tmp_path / "log", work, source, teacher.url, str(tmp_path / "run"))
        wait_for(lambda: teacher.stats["answered"] >= 10)
        process.kill()
        process.wait()
        in_flight = 16
        before = teacher.stats["choices"]
        teacher.change(faults=Faults(), slots=None)
        run = build(many, teacher, tmp_path / "run", questions=10)
        assert judged(run).height == 20
        preflights = 2 * 12  # at most, of both starts
        assert teacher.stats["choices"] <= 20 + 20 + in_flight + preflights
        assert before >= 10
        assert equal(run, build(many, teacher, tmp_path / "whole", questions=10))


def test_the_pilot_has_a_line_of_its_own_for_the_grades(
    many: Recipe, judging_teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    notes = Notes()
    thrice = many.replace(steps=(ExactDedup(), Difficulty(grades=3), Sample(), Parse()), samples=4)
    run = build(thrice, judging_teacher, tmp_path / "run", questions=25, report=notes)
    coming = [line for line in notes.said if line.startswith("to come")]
    assert coming[0].startswith("to come, difficulty: 102 answers in 34 requests, about ")
    assert coming[1].startswith("to come, sample: 84 answers in 21 requests, about ")
    assert coming[2].startswith("to come, in all: 186 answers")
    assert judged(run).height == 150


def test_with_the_sources_own_solutions_as_teacher_there_is_no_judge(tmp_path: Path) -> None:
    from tunixhack.recipes import math

    steps = (Difficulty(), *math.recipe.steps[2:])
    recipe = math.recipe.replace(source="shipped", steps=steps)
    with pytest.raises(UserError, match=r"step difficulty .* a teacher of its own"):
        recipe.build("reference", questions=2, out=tmp_path / "run")


def test_a_server_that_takes_no_schema_is_asked_without_and_told_of_once(
    many: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-none")
    with ScriptedTeacher(answer=judging(), dialect="deepseek", models=("deepseek-chat",)) as teacher:
        monkeypatch.setitem(PRESETS, "deepseek", replace(PRESETS["deepseek"], url=teacher.url))
        run = build(many, "deepseek/deepseek-chat", tmp_path / "run", questions=20, report=notes)
        told = [line for line in notes.said if "takes no JSON schema" in line]
        assert len(told) == 1
        assert "This response_format type is unavailable now" in told[0]
        assert judged(run).height == 40
        assert not any("response_format" in body for body in teacher.stats["bodies"])
        teacher.reset()
        build(many, "deepseek/deepseek-chat", run.folder, questions=20)
        assert teacher.stats["requests"] == 0, "the keys are those of what is asked for"


def test_beside_other_filters_it_is_a_step_like_any_other(
    many: Recipe, judging_teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    steps = (ExactDedup(), Difficulty(keep=0.5), Random(keep=0.5), Sample(), Parse())
    run = build(many.replace(steps=steps), judging_teacher, tmp_path / "run", questions=5)
    assert judged(run).height == 20
    assert run.train["question_id"].n_unique() == 5
