"""The scores of answers are those of a reference in NumPy, whatever they are packed with, and computed once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

import jax.numpy as jnp
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.toy import SETTINGS, write_sums
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.attention.dense import dense
from tunixhack.train.data.chat import Rendered
from tunixhack.train.scoring import student_scorer
from tunixhack.train.scoring.student_scorer import StudentScorer

SAME = 256
"""Tokens of which a row of the reference has a multiple, so that few lengths are compiled."""
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "it", "ran", "in", "an", "hour"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_student(tmp_path_factory.mktemp("student") / "tiny", "llama")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> StudentScorer:
    return StudentScorer(folder)


def row(reasoning: str, answer: str = "42", question: str = "Why?", context: str | None = None) -> dict[str, Any]:
    return {"question": question, "context": context, "reasoning": reasoning, "answer": answer}


def rendered(scorer: StudentScorer, *rows: dict[str, Any]) -> list[Rendered]:
    found = [scorer.render(one) for one in rows]
    assert not [one for one in found if isinstance(one, str)]
    return [one for one in found if not isinstance(one, str)]


@partial(nnx.jit, static_argnums=0)
def states_and_table(family: Any, model: Any, tokens: Any, segments: Any) -> tuple[Any, Any]:
    """Return the states of one row by itself, and the matrix that makes logits of them; compiled once for a length."""
    positions = jnp.arange(tokens.shape[1])[None]
    return family.hidden_states(model, tokens, positions, segments, dense), family.output_table(model)


def reference(scorer: StudentScorer, one: Rendered) -> tuple[int, float, float]:
    """Return tokens, mean loss and ratio of a row by itself, from all of its logits in fp64."""
    student, count = scorer.found.student, len(one.tokens)
    padded = -(-count // SAME) * SAME  # what follows the last token is seen by none before it
    tokens = np.zeros((1, padded), np.int32)
    tokens[0, :count] = one.tokens
    states, table = states_and_table(
        student.base.family, student.model, jnp.asarray(tokens), jnp.asarray(np.arange(padded)[None] < count, jnp.int32)
    )
    here = np.flatnonzero(one.loss_mask)
    logits = np.asarray(states, np.float64)[0, here - 1] @ np.asarray(table, np.float64).T
    wanted = np.take_along_axis(logits, one.tokens[here][:, None].astype(int), 1)
    losses = np.log(np.exp(logits).sum(1)) - wanted[:, 0]
    ranks = np.minimum(1 + (logits > wanted).sum(1), 100)
    return len(here), losses.mean(), ranks.mean() / losses.mean()


@settings(max_examples=5, deadline=None)
@given(
    traces=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join), min_size=1, max_size=9),
    question=st.sampled_from(["Why?", "Which of them ran, and when?"]),
)
def test_scores_are_those_of_a_reference_in_numpy(scorer: StudentScorer, traces: list[str], question: str):
    rows = rendered(scorer, *(row(trace, question=question) for trace in traces))
    for score, one in zip(scorer.scores(rows), rows, strict=True):
        tokens, loss, ratio = reference(scorer, one)
        assert score.tokens == tokens
        assert score.nll == pytest.approx(loss, rel=1e-4)
        assert score.rank_surprisal == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("family", ["gemma3", "qwen"])
def test_other_families_are_scored_as_well(family: str, tmp_path: Path):
    scorer = StudentScorer(write_tiny_student(tmp_path / "tiny", family))
    rows = rendered(scorer, row("The cat sat."), row("It ran " * 40))
    for score, one in zip(scorer.scores(rows), rows, strict=True):
        tokens, loss, ratio = reference(scorer, one)
        assert (score.tokens, score.nll) == (tokens, pytest.approx(loss, rel=1e-4))
        assert score.rank_surprisal == pytest.approx(ratio, rel=1e-4)


def test_rows_of_very_different_lengths_and_equal_rows_keep_their_places(scorer: StudentScorer):
    rows = rendered(scorer, row("a"), row("it ran " * 300), row("a"), row("the mat " * 30))
    found = scorer.scores(rows)
    assert found[0] == found[2]
    assert [one.tokens for one in found] == [int(one.loss_mask.sum()) for one in rows]
    for score, one in zip(found, rows, strict=True):
        assert score.nll == pytest.approx(reference(scorer, one)[1], rel=1e-4)


def test_what_no_training_takes_has_a_reason(scorer: StudentScorer):
    assert scorer.render(row("a </reasoning> b")) == "tag_in_text"
    assert scorer.render(row("a", answer=" ")) == "no_answer"
    assert scorer.render(row("on and on " * 3000)) == "too_long"


def test_scores_are_computed_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = StudentScorer(folder)
    rows = rendered(first, row("a"), row("b"))
    found = first.scores(rows, tmp_path)
    monkeypatch.setattr(StudentScorer, "_compute", lambda self, rows: pytest.fail("computed again"))
    other = StudentScorer(folder)
    assert other.scores(rows, tmp_path) == found
    monkeypatch.undo()
    computed: list[int] = []
    compute = StudentScorer._compute
    monkeypatch.setattr(StudentScorer, "_compute", lambda self, rows: computed.append(len(rows)) or compute(self, rows))
    assert other.scores([*rows, *rendered(other, row("c"))], tmp_path)[:2] == found
    assert computed == [1]


def test_a_kill_between_two_parts_loses_none_of_the_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(student_scorer, "AT_ONCE", 150)
    scorer = StudentScorer(folder)
    rows = rendered(scorer, *(row(f"{word} " * 3) for word in "abcde"))

    class KilledError(Exception):
        pass

    def killed(done: int, count: int) -> None:
        if done:
            raise KilledError

    with pytest.raises(KilledError):
        scorer.scores(rows, tmp_path, killed)
    told: list[tuple[int, int]] = []
    again = StudentScorer(folder).scores(rows, tmp_path, lambda *counts: told.append(counts))
    assert told == [(0, 3), (2, 3), (3, 3)]
    assert again == scorer.scores(rows)


def test_another_student_has_other_scores(folder: Path, tmp_path: Path):
    one, other = StudentScorer(folder), StudentScorer(write_tiny_student(tmp_path / "other", "llama", seed=1))
    rows = rendered(one, row("the cat"))
    assert one.scores(rows, tmp_path) != other.scores(rows, tmp_path)


def test_a_trained_student_is_scored_with_its_adapters(folder: Path, tmp_path: Path):
    changes = SETTINGS | {"steps": 4, "report": Reporter(quiet=True)}
    train.sft(write_sums(tmp_path), folder, out=tmp_path / "student", **changes)
    base, trained = StudentScorer(folder), StudentScorer(tmp_path / "student")
    assert trained.found.identity != base.found.identity
    rows = rendered(base, row("I add 1 and 2.", "3", "What is 1 + 2?"))
    (before,), (after,) = (
        base.scores(rows),
        trained.scores(rendered(trained, row("I add 1 and 2.", "3", "What is 1 + 2?"))),
    )
    assert after.nll < before.nll


def test_a_format_of_the_training_is_rendered(folder: Path):
    tags, think = StudentScorer(folder), StudentScorer(folder, format="think")
    assert len(rendered(tags, row("a"))[0].tokens) != len(rendered(think, row("a"))[0].tokens)
    with pytest.raises(UserError, match=r"format 'thinks' is unknown: did you mean think\?"):
        StudentScorer(folder, format="thinks")
