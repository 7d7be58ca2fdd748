"""The answers that suit a student: which are chosen, why the others are not, and that another choice costs nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, small_recipe
from tests.pipeline.test_block_judge import in_blocks
from tunixhack import ForStudent
from tunixhack.errors import MissingExtra, UserError
from tunixhack.steps.base import Context, judge
from tunixhack.testing import ScriptedTeacher
from tunixhack.train.scoring import for_student
from tunixhack.train.scoring.scores import AnswerScore

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.testing.student import write_tiny_student
from tunixhack.train.scoring.student_scorer import StudentScorer


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_student(tmp_path_factory.mktemp("student") / "tiny", "llama")


def answers(*texts: str, question: str = "q") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "question_id": [question] * len(texts),
            "sample": range(len(texts)),
            "question": ["Why?"] * len(texts),
            "reasoning": texts,
            "answer": ["42"] * len(texts),
        }
    )


def chosen(step: ForStudent, rows: pl.DataFrame, seed: int = 0) -> list[int]:
    judged = judge(step, rows, step(rows, Context(seed=seed)))
    return sorted(judged.kept["sample"])


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[int, AnswerScore]:
    """Give answers the scores of a test, by their place among those that can be learnt."""
    scores: dict[int, AnswerScore] = {}
    monkeypatch.setattr(
        StudentScorer, "scores", lambda self, rows, folder, progress: [scores[at] for at in range(len(rows))]
    )
    return scores


def test_the_lowest_ratios_and_the_lowest_losses_are_kept(student: Path, scored: dict[int, AnswerScore]):
    for at, (nll, rank) in enumerate([(1.0, 4.0), (0.5, 3.0), (2.0, 5.0), (0.1, 1.0)]):
        scored[at] = AnswerScore(tokens=9, nll=nll, mean_rank=rank)
    rows = answers(*"abcd")
    assert chosen(ForStudent(keep=2, model=student), rows) == [0, 2]
    assert chosen(ForStudent(keep=2, model=student, by="nll"), rows) == [1, 3]
    assert chosen(ForStudent(keep=9, model=student), rows) == [0, 1, 2, 3]


def test_ties_go_to_the_smaller_sample_in_any_order_of_the_rows(student: Path, scored: dict[int, AnswerScore]):
    for at in range(3):
        scored[at] = AnswerScore(tokens=9, nll=1.0, mean_rank=2.0)
    rows = answers(*"abc")
    assert chosen(ForStudent(keep=1, model=student), rows) == [0]
    assert chosen(ForStudent(keep=1, model=student), rows.reverse()) == [0]


def test_columns_and_evidence_tell_what_was_measured(student: Path, scored: dict[int, AnswerScore]):
    scored[0] = AnswerScore(tokens=9, nll=2.0, mean_rank=3.0)
    scored[1] = AnswerScore(tokens=9, nll=1.0, mean_rank=3.0)
    rows, step = answers("a", "b", "a <answer> b"), ForStudent(keep=1, model=student)
    verdict = step(rows, Context())
    judged = judge(step, rows, verdict)
    assert judged.kept.select(*step.writes[1:]).row(0) == (2.0, 1.5)
    assert judged.rejected.select("sample", "reason", "evidence").rows() == [
        (1, "not_chosen", '{"by": "rank_surprisal", "score": 3.0}'),
        (2, "tag_in_text", '{"by": "rank_surprisal", "score": null}'),
    ]
    assert judged.rejected["for_student_tokens"].is_null().to_list() == [False, True]
    assert verdict.details is not None
    assert (verdict.details["rank_surprisal_of_all"], verdict.details["rank_surprisal_of_chosen"]) == (2.0, 1.5)


def test_short_answers_are_chosen_without_a_forward_pass(student: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(StudentScorer, "scores", lambda *_: pytest.fail("a forward pass"))
    rows = answers("a b c d", "a", "a b")
    step = ForStudent(keep=2, model=student, by="short")
    assert chosen(step, rows) == [1, 2]
    assert step(rows, Context()).columns["for_student_nll"].is_null().all()


@given(keep=st.integers(1, 6), there=st.integers(1, 8), seed=st.integers(0, 9))
def test_a_mix_has_one_long_trace_to_four_short_ones(keep: int, there: int, seed: int):
    rows = pl.concat([answers(*"x" * there, question=f"{number:04}") for number in range(60)])
    lengths = {place: float(place % there) for place in range(rows.height)}
    places = ForStudent(keep=keep, model="m", by="long_short")._choose(rows, lengths, seed)
    most, long = min(keep, there), 0
    for number in range(60):
        mine = sorted(place % there for place in places if place // there == number)
        assert len(mine) == most
        tops = most - next((at for at, one in enumerate(mine) if one != at), most)
        assert mine == [*range(most - tops), *range(there - tops, there)]
        long += tops
    if there > most:
        assert abs(long / (60 * most) - 0.2) < 0.2 / most


def test_the_same_questions_have_a_long_trace_whoever_else_is_there(student: Path):
    rows = pl.concat([answers("a", "a b c", question=f"{number:04}") for number in range(40)])
    step = ForStudent(keep=1, model=student, by="long_short")
    of_all = judge(step, rows, step(rows, Context())).kept
    half = rows.filter(pl.col("question_id") < "0020")
    of_half = judge(step, half, step(half, Context())).kept
    assert 0 < of_all["sample"].sum() < 20
    assert of_half.equals(of_all.filter(pl.col("question_id") < "0020"))


@pytest.mark.parametrize("by", ["rank_surprisal", "long_short"])
def test_in_blocks_it_chooses_and_tells_the_same_and_loads_the_student_once(
    student: Path, by: Any, monkeypatch: pytest.MonkeyPatch
):
    rows = pl.concat([answers("a", "a b", "a b c", question=f"q{number:02}") for number in range(6)])
    step, loaded = ForStudent(keep=2, model=student, by=by), []
    find = ForStudent._scorer
    monkeypatch.setattr(ForStudent, "_scorer", lambda self, say: loaded.append(1) or find(self, say))
    whole, told, _ = in_blocks([step], rows, [])
    blocks, told_of_blocks, _ = in_blocks([step], rows, [2, 3])
    assert whole.equals(blocks)
    assert [one.stage for one in told_of_blocks] == [one.stage for one in told]
    assert len(loaded) == 2


@pytest.mark.parametrize(("wrong", "why"), [({"keep": 0}, "at least 1"), ({"by": "shrot"}, "did you mean short")])
def test_a_choice_that_cannot_be_is_a_sentence(wrong: dict[str, Any], why: str):
    with pytest.raises(UserError, match=why):
        ForStudent(**({"keep": 1, "model": "m"} | wrong))


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch, student: Path):
    def missing(module: str, what: str) -> Any:
        raise MissingExtra("train", what)

    monkeypatch.setattr(for_student, "import_optional", missing)
    with pytest.raises(MissingExtra, match=r"ForStudent needs packages .*pip install.*\[train\]"):
        ForStudent(keep=1, model=student).ready()


# in a build


def with_choice(source: Path, **choice: Any) -> Any:
    recipe = small_recipe(source)
    return recipe.replace(steps=(*recipe.steps, ForStudent(**choice)))


def test_another_choice_over_a_run_asks_nothing_and_computes_nothing(
    source: Path, student: Path, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))
    first = build(with_choice(source, keep=1, model=student), teacher, tmp_path / "run")
    assert first.train.height == 6
    ratios = pl.concat([first.train, first.rejected], how="diagonal").filter(
        pl.col("for_student_rank_surprisal").is_not_null()
    )
    best = ratios.group_by("question_id").agg(pl.col("for_student_rank_surprisal").min()).sort("question_id")
    assert first.train["for_student_rank_surprisal"].to_list() == best["for_student_rank_surprisal"].to_list()
    before = asked(teacher)
    monkeypatch.setattr(StudentScorer, "_compute", lambda self, rows: pytest.fail("computed again"))
    second = build(with_choice(source, keep=2, model=student, by="nll"), teacher, tmp_path / "run")
    assert (asked(teacher), second.train.height) == (before, 12)
    line = next(line for line in second.state()["funnel"] if line["step"] == "for_student")
    assert line["details"]["rank_surprisal_of_chosen"] > 0


def test_a_student_that_is_not_there_is_told_before_anything_is_asked(
    source: Path, teacher: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(UserError, match="there is no folder"):
        build(with_choice(source, keep=1, model=str(tmp_path / "nothing")), teacher, tmp_path / "run")
    assert teacher.stats["choices"] == 0


def test_nothing_that_needs_jax_is_imported_before_it_is_used():
    import subprocess

    code = "import sys; from tunixhack import ForStudent; ForStudent(keep=1, model='m'); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
