"""A build asks for what it was told to, loses no row, and says what it dropped (contracts 2, 3, 7, 8 and 11)."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import TABLES, asked, build, equal, small_recipe, write_questions
from tunixhack.errors import NearlyAllDropped, TeacherFailed, UserError
from tunixhack.pipeline import answer_blocks
from tunixhack.recipe import Recipe
from tunixhack.recipes import math
from tunixhack.runs.run import Run
from tunixhack.runs.schema import CORE, QUESTION, REJECTION
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.testing import Faults, ScriptedTeacher

PREFLIGHT = ("ok",) * 3
"""What the preflight of a written run costs where seeds are consecutive."""


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters: every question that is wanted is sent, and every answer that parses is kept."""
    return recipe.replace(steps=(Sample(), Parse()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One whole run for tests that only look at it; some of its answers are bad."""
    folder = tmp_path_factory.mktemp("finished")
    with ScriptedTeacher(faults=Faults(truncated=0.2)) as teacher:
        return build(small_recipe(write_questions(folder / "questions.jsonl", 40)), teacher, folder / "run")


# columns (contract 2)


def test_every_table_starts_with_its_core_columns_in_their_order(finished: Run):
    assert finished.train.columns[: len(CORE)] == list(CORE)
    assert finished.rejected.columns[: len(CORE) + 3] == [*CORE, *REJECTION]
    assert finished.questions.columns == [*QUESTION, "selected"]


def test_core_columns_have_their_types_even_where_all_is_unknown(finished: Run):
    for table, schema in (
        (finished.train, CORE),
        (finished.rejected, CORE | REJECTION),
        (finished.questions, QUESTION),
    ):
        assert {name: table.schema[name] for name in schema} == schema


def test_steps_columns_come_behind_and_the_raw_choice_is_in_no_table(finished: Run):
    assert finished.train.columns[len(CORE) :] == [
        "length_filter_length",
        "length_filter_unit",
        "max_length_length",
    ]
    assert all("choice" not in getattr(finished, name).columns for name in TABLES)


def test_what_is_not_known_is_null_and_not_zero(finished: Run):
    train = finished.train
    # the source has none of these, and the tokens of one choice of four are not told
    for column in ("category", "context", "support", "reference", "inputs", "completion_tokens"):
        assert train[column].null_count() == train.height, column
    questions_rejected = finished.rejected.filter(step="length_filter")
    for column in ("sample", "seed", "completion_tokens", "answer"):
        assert questions_rejected[column].null_count() == questions_rejected.height, column
    assert (
        train.select("question", "sample", "seed", "reasoning", "answer", "teacher").null_count().sum_horizontal().sum()
        == 0
    )


def test_tokens_of_an_answer_are_told_where_it_was_the_only_choice_of_its_request(plain: Recipe, tmp_path: Path):
    with ScriptedTeacher(seeds="own") as single:
        train = build(plain, single, tmp_path / "run").train
    assert train["completion_tokens"].min() > 0


def test_questions_has_every_candidate_and_which_were_selected(finished: Run):
    assert finished.questions.height == 40
    sent = set(finished.questions.filter("selected")["question_id"])
    assert len(sent) == 6
    assert sent == set(finished.train["question_id"]) | set(finished.rejected.filter(step="parse")["question_id"])


# steps (contract 3)


def no_letters(rows: pl.DataFrame, ctx: Context) -> Verdict:
    """A user's own step on questions."""
    return Verdict(
        keep=~rows["question"].str.contains("letter"),
        reason="letter",
        columns={"no_letters_words": rows["question"].str.split(" ").list.len()},
    )


def odd_ending(rows: pl.DataFrame, ctx: Context) -> Verdict:
    """A user's own step on answers."""
    even = rows["answer"].str.slice(-2, 1).is_in(list("02468"))
    return Verdict(keep=even, evidence=[{"ending": answer[-2]} for answer in rows["answer"]])


def test_a_plain_function_is_a_step_on_questions_and_on_answers(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    changed = plain.replace(steps=(no_letters, Sample(), Parse(), odd_ending))
    run = build(changed, teacher, tmp_path / "run", questions=10)
    dropped = run.rejected.filter(step="no_letters")
    assert dropped["reason"].unique().to_list() == ["letter"]
    assert all("letter" in question for question in dropped["question"])
    assert not any("letter" in question for question in run.train["question"])
    odd = run.rejected.filter(step="odd_ending")
    assert set(odd["reason"]) == {"odd_ending"}
    assert {json.loads(evidence)["ending"] for evidence in odd["evidence"]} <= set("13579")
    assert run.train.height + odd.height == 40
    assert run.train["no_letters_words"].min() > 3


NONSENSE: list[tuple[Any, str]] = [
    (None, "must return a Verdict or Made, not NoneType"),
    ([True], "must return a Verdict or Made, not list"),
    (Verdict(keep=pl.Series([True])), "but its verdict has 1 values of keep"),
    (Verdict(keep=[True] * 40), "keep must be a polars Series of booleans, not list"),  # type: ignore[arg-type]
    (Verdict(keep=pl.col("question") == ""), "keep must be a polars Series of booleans, not Expr"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("result", "sentence"), NONSENSE)
def test_a_step_that_returns_nonsense_is_named_before_anything_is_asked(
    result: Any, sentence: str, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    def my_own_filter(rows: pl.DataFrame, ctx: Context) -> Any:
        return result

    with pytest.raises(UserError, match="step my_own_filter") as caught:
        build(plain.replace(steps=(my_own_filter, *plain.steps)), teacher, tmp_path / "run")
    assert sentence in str(caught.value)
    assert teacher.stats["requests"] == 0


def test_no_row_disappears_between_source_and_dataset(finished: Run):
    for line in finished.funnel.filter(pl.col("made").is_null()).iter_rows(named=True):
        assert line["rows_in"] == line["kept"] + line["rejected"] + line["set_aside"], line["step"]
    rejected = dict(finished.rejected.group_by("step").len().iter_rows())
    assert rejected == dict(finished.funnel.filter(pl.col("rejected") > 0).select("step", "rejected").iter_rows())


def test_a_recipe_needs_one_sample_step(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    for steps in ((Parse(),), (Sample(), Sample())):
        with pytest.raises(UserError, match=r"exactly one Sample\(\)"):
            build(plain.replace(steps=steps), teacher, tmp_path / "run")


# missing is not bad (contract 7)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(truncated=0.3), "truncated"),
        (Faults(filtered=0.3), "filtered"),
        (Faults(empty=0.3), "empty"),
        (Faults(finish={2: "length"}), "truncated"),
    ],
)
def test_a_bad_answer_is_paid_rejected_under_its_reason_and_never_asked_again(
    faults: Faults, reason: str, plain: Recipe, tmp_path: Path
):
    with ScriptedTeacher(faults=faults) as bad:
        run = build(plain, bad, tmp_path / "run")
        rejected = run.rejected.filter(step="parse")
        assert set(rejected["reason"]) == {reason}
        assert run.train.height == 24 - rejected.height > 0
        assert asked(bad) == run.store.answers().height == 24
        bad.reset()
        build(plain, bad, run.folder)
        assert bad.stats["requests"] == 0


@pytest.fixture
def interrupted(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path) -> Run:
    """Two of six questions were refused by the server."""
    teacher.change(faults=Faults(script=PREFLIGHT + ("ok",) * 4 + ("404",) * 50))
    with pytest.raises(TeacherFailed, match="8 answers were not received; 4 times: HTTP 404") as caught:
        build(plain, teacher, tmp_path / "run")
    assert caught.value.exit_code == 3
    teacher.change(faults=Faults())
    teacher.reset()
    return Run.load(tmp_path / "run")


def test_missing_answers_are_no_rows_and_what_there_is_is_written(interrupted: Run):
    assert interrupted.train.height == 16
    assert interrupted.rejected.height == 0
    assert interrupted.questions["selected"].sum() == 6
    assert interrupted.funnel.filter(step="sample")["missing"].item() == 8
    assert not interrupted.done
    assert interrupted.status.startswith("not finished: 8 answers were not received")


def test_the_next_start_asks_for_the_missing_answers_only(
    interrupted: Run, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(plain, teacher, interrupted.folder)
    assert asked(teacher) == 8
    assert run.done
    assert equal(run, build(plain, teacher, tmp_path / "whole"))


def test_missing_probes_stop_the_build_since_nothing_can_be_judged_without_them(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    teacher.change(faults=Faults(script=PREFLIGHT + ("ok",) * 5 + ("404",) * 50))
    with pytest.raises(TeacherFailed, match="7 of 12 probes of the length filter were not received"):
        build(recipe, teacher, tmp_path / "run")
    teacher.change(faults=Faults())
    teacher.reset()
    build(recipe, teacher, tmp_path / "run")
    assert asked(teacher) == 7 + 24


# order and counts (contract 8)


def test_exactly_n_questions_are_sent_and_twice_as_many_are_probed(finished: Run):
    stored = finished.store.answers()
    assert stored.filter(sample=-1).height == 12
    assert stored.filter(pl.col("sample") >= 0)["question_id"].n_unique() == 6
    assert stored.filter(pl.col("sample") >= 0).height == 24
    assert finished.funnel["step"].to_list() == [
        "source",
        "equal_ids",
        "exact_dedup",
        "rank",
        "length_filter",
        "sample",
        "parse",
        "dedup_answers",
        "max_length",
    ]


def test_rows_asks_for_n_answers_by_whole_questions(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, tmp_path / "run", questions=None, rows=10)
    assert run.train["question_id"].n_unique() == 3
    assert run.train.height == asked(teacher) == 12


@pytest.mark.parametrize(
    "order", [{"questions": 21}, {"questions": None, "rows": 81}, {"questions": None, "rows": 10**9}]
)
def test_too_few_candidates_is_an_error_before_anything_is_asked(
    order: dict[str, Any], recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match="there are 40: ask for at most 20, or add questions"):
        build(recipe, teacher, tmp_path / "run", **order)
    assert teacher.stats["requests"] == 0


def test_selection_is_nested(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    selected = []
    for count in (3, 6, 9):
        run = build(recipe.replace(samples=1), teacher, tmp_path / str(count), questions=count)
        selected.append(set(run.questions.filter("selected")["question_id"]))
    assert [len(ids) for ids in selected] == [3, 6, 9]
    assert selected[0] < selected[1] < selected[2]


def test_without_a_number_all_questions_are_sent_that_the_steps_leave(
    recipe: Recipe, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    assert build(plain, teacher, tmp_path / "all", questions=None).train["question_id"].n_unique() == 40
    half = build(recipe.replace(samples=1), teacher, tmp_path / "half", questions=None)
    assert half.train["question_id"].n_unique() == 20


def test_another_seed_takes_other_questions(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    first, other = (build(plain, teacher, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert set(first.train["question_id"]) != set(other.train["question_id"])


BAD_ORDERS = [
    ({"samples": 0}, {}, "samples=0: ask for at least one answer a question"),
    ({}, {"questions": 0}, "questions=0: ask for at least one"),
    ({}, {"questions": None, "rows": -1}, "rows=-1: ask for at least one"),
    ({}, {"rows": 5}, "--questions and --rows say the same thing twice"),
    ({"trace": "spoken"}, {}, "trace='spoken' is unknown: it is one of native, written, guided"),
    ({"max_tokens": 0}, {}, "max_tokens=0: an answer needs at least one token"),
]


@pytest.mark.parametrize(("changes", "order", "sentence"), BAD_ORDERS)
def test_an_order_that_makes_no_sense_leaves_no_folder_behind(
    changes: dict[str, Any],
    order: dict[str, Any],
    sentence: str,
    plain: Recipe,
    teacher: ScriptedTeacher,
    tmp_path: Path,
):
    with pytest.raises(UserError) as caught:
        build(plain.replace(**changes), teacher, tmp_path / "run", **order)
    assert sentence in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_mistake_does_not_bind_a_folder_to_the_source_it_was_made_with(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    few = plain.replace(source=write_questions(tmp_path / "few.jsonl", 2))
    with pytest.raises(UserError, match="ask for at most 2"):
        build(few, teacher, tmp_path / "run")
    assert build(plain, teacher, tmp_path / "run").done


# nearly everything dropped (contract 11)


@dataclass(frozen=True)
class KeepFirst:
    """Keeps the first few rows, whatever they are."""

    count: int

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        return Verdict(keep=pl.Series([at < self.count for at in range(rows.height)]), reason="not_first")


@pytest.mark.parametrize(("available", "kept", "stops"), [(50, 4, True), (50, 5, False), (49, 4, False)])
def test_a_step_that_drops_nearly_all_questions_ends_the_build_before_it_is_paid_for(
    available: int, kept: int, stops: bool, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    changed = plain.replace(
        source=write_questions(tmp_path / "many.jsonl", available), steps=(KeepFirst(kept), *plain.steps)
    )
    if not stops:
        assert build(changed, teacher, tmp_path / "run", questions=None).train.height == kept * 4
        return
    with pytest.raises(NearlyAllDropped, match=r"keep_first dropped 46 of 50 rows \(not_first 46\).*before paying"):
        build(changed, teacher, tmp_path / "run", questions=None)
    assert teacher.stats["requests"] == 0


def test_a_step_that_drops_nearly_all_answers_writes_everything_and_then_raises(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    changed = plain.replace(steps=(*plain.steps, KeepFirst(3)))
    with pytest.raises(NearlyAllDropped, match=r"keep_first dropped 57 of 60 rows.*everything is written") as caught:
        build(changed, teacher, tmp_path / "run", questions=15)
    assert caught.value.exit_code == 4
    run = Run.load(tmp_path / "run")
    assert (run.train.height, run.rejected.height, run.questions.height) == (3, 57, 40)
    assert (run.folder / "README.md").exists()
    assert run.done
    assert run.status.startswith("finished, but step keep_first dropped 57 of 60 rows")


# the funnel over starts


def test_tokens_and_seconds_are_those_of_all_starts(
    interrupted: Run, plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    tokens = ["prompt_tokens", "completion_tokens"]
    build(plain, teacher, interrupted.folder)
    after = interrupted.funnel.filter(step="sample")
    whole = build(plain, teacher, tmp_path / "whole").funnel.filter(step="sample")
    assert after.select(tokens).rows() == whole.select(tokens).rows()
    starts = interrupted.state()["starts"]
    assert [start["state"] for start in starts] == ["stopped", "done"]
    assert after["seconds"].item() == pytest.approx(sum(start["seconds"]["sample"] for start in starts))
    assert all(start["seconds"]["sample"] > 0 for start in starts)


def test_a_start_that_asks_nothing_adds_no_tokens(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(plain, teacher, tmp_path / "run")
    before = run.funnel.drop("seconds")
    build(plain, teacher, run.folder)
    assert run.funnel.drop("seconds").equals(before)
    assert before.filter(step="sample")["completion_tokens"].item() > 0


def test_a_finished_run_leaves_at_most_twice_the_answers_on_disk(plain: Recipe, tmp_path: Path):
    def essay(messages: list[dict[str, Any]], seed: int) -> str:
        lucky = random.Random(f"{messages}{seed}")
        text = " ".join("".join(lucky.choices("etaoinshrdlucmfw", k=lucky.randint(2, 9))) for _ in range(310))
        return f"<reasoning>{text[:1200]}</reasoning><answer>{text[1200:]}</answer>"

    with ScriptedTeacher(answer=essay) as teacher:
        run = build(plain.replace(samples=16), teacher, tmp_path / "run", questions=38)
    train = run.train
    written = sum(len(text.encode()) for column in ("reasoning", "answer") for text in train[column])
    assert train.height == 608
    assert written / train.height > 1800
    assert sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file()) <= 2 * written


# traces


STYLES = ("reasoning_content", "reasoning", "think")


def test_native_traces_are_read_from_every_kind_of_server(plain: Recipe, tmp_path: Path):
    found = []
    for style in STYLES:
        with ScriptedTeacher(style=style) as thinking:
            train = build(plain.replace(trace="native"), thinking, tmp_path / style).train
        assert train.height == 24
        assert set(train["trace"]) == {"native"}
        assert not train["answer"].str.contains("<").any()
        found.append(train.select("question_id", "sample", "reasoning", "answer"))
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def test_a_teacher_without_thinking_ends_a_native_run_before_it_is_paid_for(plain: Recipe, tmp_path: Path):
    with ScriptedTeacher(style="none") as silent:
        with pytest.raises(UserError, match="shows no thinking of its own: use --trace written"):
            build(plain.replace(trace="native"), silent, tmp_path / "run")
        assert asked(silent) == 0
        assert silent.stats["requests"] <= 2


def problems(path: Path, count: int) -> Path:
    rows = [
        {
            "question": f"Ada has {n} boxes of 4 pens. How many pens are that?",
            "answer": f"Each box has 4 pens.\n{n} * 4 = <<{n}*4={4 * n}>>{4 * n} pens.\n#### {4 * n}",
        }
        for n in range(1000, 1000 + count)
    ]
    return write_questions(path, rows)


@pytest.fixture
def sums(tmp_path: Path) -> Recipe:
    return math.recipe.replace(source=problems(tmp_path / "problems.jsonl", 8), samples=2, against="none")


def test_the_reference_gives_one_row_a_question_and_asks_nobody(
    sums: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("requests.request", None)
    run = build(sums, "reference", tmp_path / "run", questions=None)
    assert run.train.height == 4
    assert run.train["question_id"].n_unique() == 4
    row = run.train.row(0, named=True)
    assert row["reasoning"] == f"Each box has 4 pens.\n{int(row['answer']) // 4} * 4 = {row['answer']} pens."
    assert row["answer"] == row["reference"]
    assert (row["teacher"], row["trace"]) == ("reference", "native")
    assert [row[name] for name in ("request_key", "seed", "prompt_tokens", "completion_tokens")] == [None] * 4
    assert run.store.answers().height == 0
    monkeypatch.setattr(answer_blocks, "MOST_ANSWERS", 3)
    blocks = build(sums, "reference", tmp_path / "blocks", questions=None)
    assert equal(blocks, run)
    assert blocks.funnel.drop("seconds").equals(run.funnel.drop("seconds"))


def test_a_domain_without_solutions_has_no_reference_teacher(plain: Recipe, tmp_path: Path):
    with pytest.raises(UserError, match="the source of creative has no solutions of its own"):
        build(plain, "reference", tmp_path / "run")


def test_a_guided_teacher_sees_the_reference_and_the_student_never_does(
    sums: Recipe, teacher: ScriptedTeacher, tmp_path: Path
):
    run = build(sums.replace(trace="guided"), teacher, tmp_path / "run", questions=3)
    sent = [json.dumps(body["messages"]) for body in teacher.stats["bodies"]]
    for row in run.train.iter_rows(named=True):
        assert any(f"Reference: {row['reference']}" in messages and row["question"] in messages for messages in sent)
        assert row["reference"] not in row["question"]
        assert row["trace"] == "guided"
    assert all("Reference: " in messages for messages in sent)


def test_a_written_teacher_sees_no_reference(sums: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    build(sums, teacher, tmp_path / "run", questions=3)
    assert not any("Reference" in json.dumps(body["messages"]) for body in teacher.stats["bodies"])


# secrets


def test_credentials_in_an_address_reach_no_file(plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    spec = teacher.url.replace("http://", "http://me:hunter2-secret@")
    run = build(plain, spec, tmp_path / "run")
    assert set(run.train["teacher"]) == {"openai-compatible/scripted"}
    assert_absent("hunter2-secret", run.folder)


def assert_absent(secret: str, folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        if path.suffix == ".parquet":  # compressed
            text = json.dumps(pl.read_parquet(path).rows(), default=str)
        else:
            text = path.read_bytes().decode(errors="replace")
        assert secret not in text, path.name
