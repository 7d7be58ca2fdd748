"""The loss on the source's own solutions is the one that a training computes, and is as robust as the replies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.builds import QUIET
from tests.evaluate.conftest import Toy, WriteTask, sums
from tunixhack.evaluate import Evaluation, evaluate, reference_loss
from tunixhack.evaluate.losses import FILE, LOSS, loss_differences
from tunixhack.evaluate.reference_loss import RowLoss, padded_length, row_losses
from tunixhack.testing import ScriptedTeacher
from tunixhack.train.data.datasets import read
from tunixhack.train.data.tokenize import tokenise
from tunixhack.train.handle import StudentHandle
from tunixhack.train.report.validation import ValidationLoss

SOLVED = """
import json

from tunixhack.recipes import general

recipe = general.recipe.replace(domain="sums", test={test!r}, cluster="context", solution=lambda row: {solution})
"""
STEPS = "('I add ' + row['question'], row['reference'])"


@pytest.fixture
def domain(write_task: WriteTask, tmp_path: Path) -> Path:
    rows = [row | {"context": f"Page {at // 2}."} for at, row in enumerate(sums(range(4)))]
    path = tmp_path / "sums.py"
    path.write_text(SOLVED.format(test=str(write_task(rows)), solution=STEPS))
    return path


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the solutions whose loss is computed; four tokens' rows a batch, so that there are several."""
    told: list[int] = []
    usual = reference_loss.row_losses

    def counted(student: Any, rows: Sequence[Any]) -> Iterator[list[tuple[int, RowLoss]]]:
        for batch in usual(student, rows):
            told.append(len(batch))
            yield batch

    monkeypatch.setattr(reference_loss, "row_losses", counted)
    monkeypatch.setattr(reference_loss, "LONGEST", 512)
    return told


def run(arms: Sequence[str | Path], on: Path, out: Path, **options: Any) -> Evaluation:
    return evaluate(arms, str(on), out=out, report=QUIET, **({"questions": 12, "max_tokens": 4} | options))


def test_the_loss_of_rows_is_that_of_the_training(toy: Toy):
    student = StudentHandle.load(toy.student, report=QUIET)
    data = tokenise(
        [read(toy.base.parent / "sums.jsonl")], student.renderer, max_seq_len=128, validation_questions=8, seed=0
    )
    rows = [data.row(int(number)) for number in data.validation_rows()]
    found = {place: loss for batch in row_losses(student, rows) for place, loss in batch}
    assert sorted(found) == list(range(8))
    nats, tokens = sum(one.nats for one in found.values()), sum(one.tokens for one in found.values())
    expected = ValidationLoss(student, data, 4)()
    assert nats / tokens == pytest.approx(expected, rel=1e-4)
    alone = [next(row_losses(student, [row]))[0][1].nats for row in rows[:3]]
    assert alone == [found[place].nats for place in range(3)]


@pytest.mark.parametrize("tokens", [1, 64, 65, 96, 97, 300, 4097])
def test_a_row_fits_into_its_length(tokens: int):
    assert tokens <= padded_length(tokens) < max(65, 1.5 * tokens)


def test_students_have_a_loss_beside_their_score(toy: Toy, domain: Path, tmp_path: Path):
    with ScriptedTeacher() as teacher:
        found = run(["base", "base+brief", toy.student, teacher.url], domain, tmp_path / "out")
    scores = found.scores
    assert scores["loss_n"].to_list() == [12, 12, 12, 0]
    assert scores["loss"].null_count() == 1
    assert all(row["loss_low"] < row["loss"] < row["loss_high"] for row in scores.rows(named=True)[:3])
    means = found.losses.group_by("arm").agg(pl.col("loss").mean())
    assert dict(means.rows()) == pytest.approx(dict(scores.select("arm", "loss").rows()[:3]))
    assert found.losses["cluster"].n_unique() == 2 * 4
    lines = found.content["loss_differences"]
    assert [(line["arm"], line["n"]) for line in lines] == [("base+brief", 12), (str(toy.student), 12)]
    assert lines[1]["difference"] == pytest.approx(scores["loss"][2] - scores["loss"][0])
    assert lines[1]["clusters"] == 8
    assert len(found.loss_verdicts) == 2
    assert "nats a token" in found.loss_verdicts[0]
    assert f"{scores['loss'][0]:.3f}" in found.cells("sums")[0][-1]
    assert found.cells("sums")[3][-1] == "–"


def test_what_was_computed_is_not_computed_again(toy: Toy, domain: Path, computed: list[int], tmp_path: Path):
    out, arms = tmp_path / "out", ["base", toy.student]
    first = run(arms, domain, out, questions=10)
    assert sum(computed) == 20
    run(arms, domain, out, questions=4)
    assert run(arms, domain, out, questions=10).losses.equals(first.losses)
    assert sum(computed) == 20
    parts = [tmp_path / name for name in ("one", "two")]
    for number, part in enumerate(parts, 1):
        run(arms, domain, part, questions=10, shard=f"{number}/2")
    assert sum(computed) == 40
    merged = run(arms, domain, tmp_path / "merged", questions=10, reuse=parts)
    assert sum(computed) == 40
    assert merged.losses.equals(first.losses)
    (out / "sums" / "base" / FILE).write_bytes(b"no parquet")
    assert run(arms, domain, out, questions=10).losses.equals(first.losses)
    assert sum(computed) == 50


def test_a_kill_between_two_batches_changes_nothing(
    toy: Toy, domain: Path, computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    arms = ["base", toy.student]
    whole = run(arms, domain, tmp_path / "whole")
    computed.clear()
    usual = reference_loss.store_losses

    def killed(place: Path, rows: pl.DataFrame) -> None:
        usual(place, rows)
        if computed:
            raise KeyboardInterrupt

    monkeypatch.setattr(reference_loss, "store_losses", killed)
    with pytest.raises(KeyboardInterrupt):
        run(arms, domain, tmp_path / "killed")
    done = sum(computed)
    assert 0 < done < 12
    computed.clear()
    monkeypatch.setattr(reference_loss, "store_losses", usual)
    assert run(arms, domain, tmp_path / "killed").losses.equals(whole.losses)
    assert sum(computed) == 24 - done


def test_solutions_that_cannot_be_read_are_told(toy: Toy, write_task: WriteTask, tmp_path: Path):
    domain = tmp_path / "sums.py"
    solution = "('I add.', row['reference']) if row['question'].startswith('What is 1') else row['no such']"
    domain.write_text(SOLVED.format(test=str(write_task(sums(range(3)))), solution=solution))
    found = run(["base", toy.student], domain, tmp_path / "out")
    assert found.scores["loss_n"].to_list() == [4, 4]
    (note,) = [note for note in found.notes if "solution" in note]
    assert "8 questions of sums" in note
    assert "no such" in note


def of(arm: str, losses: Sequence[float]) -> pl.DataFrame:
    rows = [("t", arm, f"q{at}", None, loss, 9) for at, loss in enumerate(losses)]
    return pl.DataFrame(rows, schema=LOSS, orient="row")


def test_losses_are_compared_by_question_and_only_in_the_same_tokens():
    draws = np.random.default_rng(1)
    base = draws.uniform(1, 5, 40)
    changed = base - 0.1 + draws.normal(0, 0.01, 40)
    table = pl.concat([of("base", base), of("better", changed), of("same", base[::-1]), of("other", changed)])
    lines = loss_differences(table, {"base": "x", "better": "x", "same": "x", "other": "y", "teacher": None})
    assert [(line["arm"], line["verdict"]) for line in lines] == [("better", "lower"), ("same", "not told apart")]
    assert lines[0]["difference"] == pytest.approx(-0.1, abs=0.01)
    assert lines[0]["high"] - lines[0]["low"] < 0.02
    assert lines[0]["level"] == pytest.approx(0.975)
    few = loss_differences(table.filter(pl.col("question_id") < "q2"), {"base": "x", "better": "x"})
    assert few[0]["verdict"] == "too few questions"
