"""New questions: what is shown and asked, what is new, where it stops, and that they are questions like all others."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import build, equal, small_recipe, write_questions
from tests.judges import judging, written
from tests.pipeline.test_mishaps import Notes
from tunixhack import (
    Context,
    Decontaminate,
    ExactDedup,
    FuzzyDedup,
    LengthFilter,
    Parse,
    Recipe,
    Request,
    Sample,
    Synthesize,
)
from tunixhack._util.ids import question_id, rank
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.steps.base import Made
from tunixhack.steps.synthesis_prompts import SCHEMA, TASKS, read_question
from tunixhack.testing import Faults, ScriptedTeacher, toy_questions

IDS = sorted((f"{at:016x}" for at in range(6)), key=lambda one: rank(0, one))
TABLE = pl.DataFrame({"question_id": IDS, "question": [f"Question {one}?" for one in IDS], "category": list("aabbcc")})


class Writer:
    """Answers with the contents of a list in the order of the requests, and remembers what it was asked."""

    def __init__(self, *contents: str | None) -> None:
        self.contents, self.rounds, self.teacher = list(contents), [], "unasked"

    def __call__(self, requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        self.rounds.append(list(requests))
        self.teacher = teacher
        rows = [
            {"question_id": request.question_id, "sample": sample, "choice": content}
            for request in requests
            for sample in request.samples
            if (content := self._next()) is not None
        ]
        schema = dict.fromkeys(("question_id", "choice"), pl.String)
        return pl.DataFrame(rows, schema={**schema, "sample": pl.Int64}).reverse()

    def _next(self) -> str | None:
        content = self.contents.pop(0)
        return None if content is None else json.dumps({"message": {"content": content}})


def asking(text: str) -> str:
    return json.dumps({"question": text})


def make(writer: Writer, rows: pl.DataFrame = TABLE, declined: Any = None, **step: Any) -> Made:
    return Synthesize(**step)(rows, Context(ask=writer, declined=lambda: declined or {}))


def new(made: Made) -> list[str]:
    assert made.reasons is not None
    return [text for text, reason in zip(made.rows["question"], made.reasons, strict=True) if reason is None]


# what is shown and asked


@pytest.mark.parametrize(("how", "shown"), [("examples", 3), ("harder", 1), ("other_setting", 1), ("combined", 2)])
def test_as_many_questions_are_shown_as_it_takes_and_they_are_the_parents(how: Any, shown: int) -> None:
    writer = Writer(asking("One?"), asking("Two?"))
    made = make(writer, wanted=2, how=how, examples=3)
    assert list(made.parents) == [IDS[:shown], IDS[1 : shown + 1]]
    (asked,) = writer.rounds
    for request, parents in zip(asked, made.parents, strict=True):
        text = request.messages[1]["content"]
        assert [one for one in IDS if one in text] == sorted(parents, key=IDS.index)
        assert TASKS[how].instruction in text
        assert request.schema == SCHEMA
    assert made.rows["synthesize_how"].to_list() == [how, how]
    assert writer.teacher is None
    other = Writer(asking("One?"))
    make(other, wanted=1, how=how, examples=3, teacher="lmstudio/writer")
    assert other.teacher == "lmstudio/writer"


def test_a_new_question_has_the_category_that_its_parents_share() -> None:
    made = make(Writer(*[asking(f"{at}?") for at in range(3)]), wanted=3, how="combined")
    assert made.rows["category"].to_list() == ["a", None, "b"]


def test_equal_questions_are_shown_once_and_new_ones_of_another_step_are_not() -> None:
    rows = TABLE.with_columns(
        question=pl.when(pl.col("question_id") == IDS[1])
        .then(pl.lit(f"question  {IDS[0]}?"))
        .otherwise(pl.col("question")),
        parents=pl.Series([None, None, [IDS[0]], None, None, None], dtype=pl.List(pl.String)),
    )
    made = make(Writer(*[asking(f"{at}?") for at in range(4)]), rows, wanted=4, how="harder")
    assert list(made.parents) == [[IDS[0]], [IDS[3]], [IDS[4]], [IDS[5]]]


def test_the_order_of_the_rows_decides_nothing() -> None:
    for rows in (TABLE, TABLE.reverse()):
        assert list(make(Writer(asking("A?")), rows, wanted=1, how="combined").parents) == [IDS[:2]]


def test_when_all_were_shown_they_are_shown_again_for_another_sample() -> None:
    writer = Writer(*[asking(f"{at}?") for at in range(14)])
    assert len(new(make(writer, wanted=14, how="harder"))) == 14
    (asked,) = writer.rounds
    assert [tuple(request.samples) for request in asked] == [(0, 1, 2), (0, 1, 2)] + [(0, 1)] * 4


def test_what_is_shown_differently_is_another_request() -> None:
    few, more = Writer(asking("A?")), Writer(asking("A?"))
    make(few, TABLE, wanted=1, examples=2)
    make(more, TABLE.filter(pl.col("question_id") != IDS[1]), wanted=1, examples=2)
    assert few.rounds[0][0].question_id != more.rounds[0][0].question_id
    single = Writer(asking("A?"))
    make(single, TABLE, wanted=1, how="harder")
    assert single.rounds[0][0].question_id == IDS[0]


# what is new, and when it stops


def test_it_asks_until_so_many_are_new_and_says_how_many_were_twins() -> None:
    there = f"Question {IDS[0]}?"
    writer = Writer(asking("A?"), asking(there.upper()), asking("a? "), asking("B?"), "no JSON", asking("C?"))
    made = make(writer, wanted=3, how="harder", ceiling=10)
    assert new(made) == ["A?", "B?", "C?"]
    assert list(made.reasons or ()) == [None, "twin", "twin", None, "unreadable", None]
    assert made.note == "3 new questions of 6 replies (2 twins, 1 unreadable)"
    assert [len(asked) for asked in writer.rounds] == [3, 2, 1], "never more than are missing"


def test_it_ends_at_the_ceiling_and_says_so() -> None:
    said: list[str] = []
    writer = Writer(*[asking("A?")] * 4)
    step = Synthesize(wanted=2, how="harder")
    made = step(TABLE, Context(ask=writer, say=said.append))
    assert new(made) == ["A?"]
    assert sum(len(asked) for asked in writer.rounds) == step.most_replies == 4
    assert said == ["synthesize: 1 new question of 4 replies (3 twins); 2 are wanted, and the ceiling is 4"]


def test_fewer_wanted_are_the_first_of_more() -> None:
    contents = [asking(f"{at % 5}?") for at in range(20)]
    few, more = (new(make(Writer(*contents), wanted=wanted, how="harder", ceiling=20)) for wanted in (2, 4))
    assert few == more[:2]


def test_missing_replies_make_nothing_and_a_refused_one_is_told() -> None:
    with pytest.raises(TeacherFailed, match=r"1 new question of 2 was not received.* the same command asks"):
        make(Writer(asking("A?"), None), wanted=2, how="harder")
    made = make(Writer(asking("A?"), None, asking("B?")), wanted=2, how="harder", declined={IDS[1]: "HTTP 400"})
    assert list(made.reasons or ()) == [None, "refused", None]


def test_a_teacher_that_does_not_keep_to_the_form_is_told_of_before_the_ceiling() -> None:
    writer = Writer(*["Sure! How about ducks?"] * 8)
    with pytest.raises(
        UserError, match=r"no question could be read in 8 replies .*'Sure! How.*Synthesize\(teacher=…\)"
    ):
        make(writer, wanted=8, how="harder")
    assert len(writer.rounds) == 1


@pytest.mark.parametrize(
    ("content", "question"),
    [
        ('{"question": " Why? "}', "Why?"),
        ('```json\n{"question": "Why {x}?"}\n```', "Why {x}?"),
        ("Here: <question>Why?</question>", "Why?"),
        ("<think>Hm.</think>" + '{"question": "Why?"}', "Why?"),
        ("Why?", None),
        ('{"question": ""}', None),
        ('{"question": "\u200b "}', None),
        ('{"question": "); { }}"}', None),
        ('{"question": 7}', None),
        ('{"question": ["Why?"]}', None),
        ('{"question": "A?", "Question": "B?"}', None),
        ('{"question": "\\ud800"}', None),
        ('{"question": "' + "x" * 20_001 + '"}', None),
        ("<question>A?</question><question>B?</question>", None),
        ('{"question": "A?"} {"question": "B?"}', None),
    ],
)
def test_a_reply_is_read_tolerantly_and_strictly(content: str, question: str | None) -> None:
    assert read_question(json.dumps({"message": {"content": content}})) == question


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({"how": "hader"}, "did you mean harder"),
        ({"wanted": 0}, r"wanted=0\): it is a whole number, 1 or more"),
        ({"wanted": 2.0}, "whole number"),
        ({"examples": 40}, "1 to 32"),
        ({"wanted": 5, "ceiling": 4}, "at least as many replies"),
    ],
)
def test_what_makes_no_sense_is_told(step: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Synthesize(**step)
    with pytest.raises(UserError, match="shows 7 questions at a time, and there are 6"):
        make(Writer(), wanted=1, examples=7)


# in a build


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=judging()) as one:
        yield one


def recipe_of(tmp_path: Path, *steps: Any, rows: int = 20, **changes: Any) -> Recipe:
    source = write_questions(tmp_path / f"{rows}.jsonl", rows)
    return small_recipe(source, steps=(ExactDedup(), *steps, Sample(), Parse()), samples=1, **changes)


def test_new_questions_are_questions_like_all_others(teacher: ScriptedTeacher, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, Synthesize(wanted=12), FuzzyDedup(), LengthFilter())
    run = build(recipe, teacher, tmp_path / "run", questions=10)
    made = run.questions.filter(pl.col("parents").is_not_null())
    assert (made.height, run.questions.height) == (12, 32)
    own = set(run.questions.filter(pl.col("parents").is_null())["question_id"])
    for row in made.to_dicts():
        assert row["question_id"] == question_id("creative", row["question"])
        assert len(row["parents"]) == 4
        assert set(row["parents"]) <= own
    trained = run.train.filter(pl.col("question_id").is_in(made["question_id"].implode()))
    assert trained.height > 0
    assert set(trained["synthesize_how"]) == {"examples"}
    line = run.funnel.filter(step="synthesize").row(0, named=True)
    assert (line["rows_in"], line["made"], line["kept"], line["note"]) == (20, 12, 32, "12 new questions of 12 replies")
    assert line["completion_tokens"] > 0


def test_twins_are_rejected_with_their_parents_and_counted(tmp_path: Path) -> None:
    def one_of_few(shown: list[str], seed: int) -> str:
        return asking(f"What is {hashlib.sha256(f'{shown} {seed}'.encode()).digest()[0] % 12}?")

    with ScriptedTeacher(answer=judging(write=one_of_few)) as teacher:
        run = build(recipe_of(tmp_path, Synthesize(wanted=8, ceiling=60)), teacher, tmp_path / "run", questions=None)
    line = run.funnel.filter(step="synthesize").row(0, named=True)
    twins = run.rejected.filter(step="synthesize")
    assert (line["kept"], line["rejected"]) == (28, twins.height)
    assert line["note"] == f"8 new questions of {8 + twins.height} replies ({twins.height} twins)"
    assert set(twins["reason"]) == {"twin"}
    assert all(len(json.loads(evidence)["parents"]) == 4 for evidence in twins["evidence"])


def test_how_many_are_new_does_not_depend_on_how_many_questions_are_taken(
    teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    recipe = recipe_of(tmp_path, Synthesize(wanted=5, how="harder"))
    few, more = (build(recipe, teacher, tmp_path / str(number), questions=number) for number in (4, 20))
    assert few.questions.drop("selected").equals(more.questions.drop("selected"))
    assert set(few.train["question_id"]) < set(more.train["question_id"])


def test_the_same_again_asks_nothing_and_more_wanted_ask_for_the_difference(
    teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    run = build(recipe_of(tmp_path, Synthesize(wanted=5)), teacher, tmp_path / "run")
    teacher.reset()
    build(recipe_of(tmp_path, Synthesize(wanted=5)), teacher, run.folder)
    assert teacher.stats["requests"] == 0
    more = build(recipe_of(tmp_path, Synthesize(wanted=9)), teacher, run.folder)
    asked = more.store.answers().filter(step="synthesize")
    assert asked.height == 9
    grown = build(recipe_of(tmp_path, Synthesize(wanted=9), rows=24), teacher, tmp_path / "grown")
    assert grown.questions.height == 33


def test_more_questions_in_the_source_replace_no_reply(teacher: ScriptedTeacher, tmp_path: Path) -> None:
    source = write_questions(tmp_path / "growing.jsonl", 20)
    recipe = small_recipe(source, steps=(Synthesize(wanted=20), Sample(), Parse()), samples=1)
    run = build(recipe, teacher, tmp_path / "run")
    write_questions(source, toy_questions(26))
    assert build(recipe, teacher, run.folder).questions.height == 46


def test_an_interrupted_build_equals_a_whole_one(tmp_path: Path) -> None:
    def sometimes(shown: list[str], seed: int) -> str:
        text = written(shown, seed)
        return text if int(hashlib.sha256(text.encode()).hexdigest(), 16) % 3 else asking("Why?")

    with ScriptedTeacher(answer=judging(write=sometimes)) as teacher:
        recipe = recipe_of(tmp_path, Synthesize(wanted=14, how="combined", ceiling=60))
        whole = build(recipe, teacher, tmp_path / "whole", questions=20)
        teacher.reset()
        teacher.change(faults=Faults(script=("ok",) * 9 + ("404",) * 300))
        with pytest.raises(TeacherFailed, match="not received"):
            build(recipe, teacher, tmp_path / "cut", questions=20)
        teacher.change(faults=Faults())
        cut = build(recipe, teacher, tmp_path / "cut", questions=20)
    assert equal(cut, whole)
    keys = cut.store.answers().filter(step="synthesize").select("question_id", "sample").rows()
    assert set(Counter(keys).values()) == {1}
    assert "twin" in set(cut.rejected["reason"])


def test_what_a_teacher_knows_by_heart_is_rejected_behind_it(tmp_path: Path) -> None:
    exam = write_questions(tmp_path / "exam.jsonl", [{"question": "How many eggs do three ducks lay in a week?"}])

    def by_heart(shown: list[str], seed: int) -> str:
        return asking(f"How many eggs do {seed % 90 + 10} ducks lay in a week?") if seed % 2 else written(shown, seed)

    clean = Decontaminate(against=(str(exam),))
    with ScriptedTeacher(answer=judging(write=by_heart)) as teacher:
        run = build(recipe_of(tmp_path, clean, Synthesize(wanted=12), clean), teacher, tmp_path / "run", questions=None)
    stopped = run.rejected.filter(reason="in_benchmark")
    assert set(stopped["step"]) == {"decontaminate_2"}
    assert not run.train.filter(pl.col("question").str.contains("ducks lay")).height
    assert run.questions.height == 20 + 12


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (lambda a, b, made: (a, made), r"what it makes is not compared with .*a\.jsonl.* behind it"),
        (lambda a, b, made: (made, a), r"the questions that it shows to a teacher are not compared with .* before it"),
        (lambda a, b, made: (a, made, b), r"what it makes is not compared with .*a\.jsonl: "),
        (lambda a, b, made: (a, made, a, made), r"step synthesize_2 makes questions, and what it makes"),
    ],
)
def test_a_recipe_that_compares_a_part_alone_is_refused_before_anything_is_asked(
    steps: Any, sentence: str, teacher: ScriptedTeacher, tmp_path: Path
) -> None:
    a, b = (
        Decontaminate(against=(str(write_questions(tmp_path / f"{name}.jsonl", [{"question": f"Why {name}?"}])),))
        for name in "ab"
    )
    with pytest.raises(UserError, match=sentence):
        build(recipe_of(tmp_path, *steps(a, b, Synthesize(wanted=2))), teacher, tmp_path / "run")
    assert teacher.stats["requests"] == 0


def test_with_the_sources_own_solutions_as_teacher_nobody_writes(tmp_path: Path) -> None:
    from tunixhack.recipes import math

    recipe = math.recipe.replace(source="shipped", steps=(Synthesize(wanted=2), *math.recipe.steps[2:]))
    with pytest.raises(UserError, match=r"step synthesize .* a teacher of its own"):
        recipe.build("reference", questions=2, out=tmp_path / "run")


def test_what_falls_short_is_said(tmp_path: Path) -> None:
    notes = Notes()
    with ScriptedTeacher(answer=judging(write=lambda shown, seed: asking("Why?"))) as teacher:
        build(recipe_of(tmp_path, Synthesize(wanted=3)), teacher, tmp_path / "run", report=notes)
    assert "synthesize: 1 new question of 6 replies (5 twins); 3 are wanted, and the ceiling is 6" in notes.said
