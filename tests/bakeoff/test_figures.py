"""What a run tells of its teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import QUIET
from tunixhack._util.proportions import Share
from tunixhack.bakeoff.compare import compare
from tunixhack.bakeoff.comparison import Comparison
from tunixhack.bakeoff.figures import Figures, quantiles
from tunixhack.recipe import Recipe
from tunixhack.recipes import math
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.steps.verify import Labels, Verify
from tunixhack.teachers.prices import Price
from tunixhack.teachers.registry import resolve
from tunixhack.testing import Faults, ScriptedTeacher

REFERENCES = ["4", "5", "4", None, "Because it is so, as everybody knows by now."]
"""Two are right for a teacher that always says 4, one is wrong, and two cannot be judged."""


def says_four(messages: list[dict[str, Any]], seed: int) -> str:
    return "<reasoning>2 + 2</reasoning>\n<answer>It is 4.</answer>"


@pytest.fixture
def sums(tmp_path: Path) -> Recipe:
    """Questions with references; every answer is kept."""
    rows = [{"question": f"What is sum {place}?", "reference": reference} for place, reference in enumerate(REFERENCES)]
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return math.recipe.replace(source=str(file), steps=(LengthFilter(), Sample(), Parse()))


def held(teacher: ScriptedTeacher, recipe: Recipe, out: Path, **how: Any) -> Figures:
    how = {"questions": len(REFERENCES), "report": QUIET} | how
    (entry,) = compare(teacher.url, recipe, out=out, **how).entries
    assert entry.figures is not None
    return entry.figures


def test_right_is_counted_where_the_reference_can_be_compared(sums: Recipe, tmp_path: Path):
    with ScriptedTeacher(answer=says_four) as teacher:
        assert held(teacher, sums, tmp_path / "out").right == Share(2, 3)
        shown = sums.replace(trace="guided")
        file = Path(sums.source.path)
        file.write_text(file.read_text(encoding="utf-8").replace("null", '"4"'), encoding="utf-8")
        assert held(teacher, shown, tmp_path / "guided").right == Share(0, 0), "the reference was shown"


def test_an_answer_that_does_not_parse_is_not_right(sums: Recipe, tmp_path: Path):
    with ScriptedTeacher(answer=lambda messages, seed: "It is 4.") as teacher:
        figures = held(teacher, sums, tmp_path / "out")
    assert (figures.right, figures.parsed, figures.kept) == (Share(0, 3), Share(0, 5), Share(0, 5))
    assert figures.trace_lengths == figures.answer_lengths == ()


def test_an_answer_that_is_withheld_is_not_right_though_it_reads_whole(sums: Recipe, tmp_path: Path):
    with ScriptedTeacher(answer=says_four, faults=Faults(filtered=1.0)) as teacher:
        figures = held(teacher, sums, tmp_path / "out")
    assert figures.reasons == {"parse filtered": 5}
    assert (figures.right, figures.parsed) == (Share(0, 3), Share(0, 5))


def test_a_recipe_that_verifies_says_itself_what_is_right(sums: Recipe, tmp_path: Path):
    verified = sums.replace(steps=(Sample(), Parse(), Verify(lambda text: "4" if "4" in text else None)))
    with ScriptedTeacher(answer=says_four) as teacher:
        figures = held(teacher, verified, tmp_path / "out")
    assert figures.right == Share(2, 2)
    assert figures.kept == Share(2, 5)
    assert figures.reasons == {"verify no_reference": 3}
    assert Labels(("4", "5"))("4") == "4"


def test_lengths_are_those_of_trace_and_answer(sums: Recipe, tmp_path: Path):
    with ScriptedTeacher(answer=says_four) as teacher:
        figures = held(teacher, sums, tmp_path / "out")
    assert (set(figures.trace_lengths), set(figures.answer_lengths)) == ({len("2 + 2")}, {len("It is 4.")})
    assert len(figures.trace_lengths) == 5


@pytest.mark.parametrize("price", [None, Price(1e-6, 4e-6), Price(0.0, 0.0)])
def test_price_and_hours_are_those_of_the_whole_with_its_probes(
    price: Price | None, sums: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resolve, "price_at", lambda *_: price)
    with ScriptedTeacher(answer=says_four) as teacher:
        figures = held(teacher, sums, tmp_path / "out")
        bodies, speed = teacher.stats["bodies"], figures.tokens_per_second
    assert bodies
    answers = 24_000 + 3_000
    completion = 14  # of the scripted teacher: one for every four characters begun
    assert speed is not None
    assert figures.hours == pytest.approx(answers * completion / speed / 3600)
    if price is None or price == Price(0.0, 0.0):
        assert figures.dollars == (None if price is None else 0.0)
    else:
        assert figures.dollars is not None
        prompt = (figures.dollars / answers - completion * 4e-6) / 1e-6
        assert 100 < prompt < 400, "what the prompt has in tokens, by its characters"


def test_tokens_that_are_not_told_leave_speed_and_price_unknown(
    sums: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resolve, "price_at", lambda *_: Price(1e-6, 4e-6))
    with ScriptedTeacher(answer=says_four, usage="none") as teacher:
        figures = held(teacher, sums, tmp_path / "out")
    assert (figures.tokens_per_second, figures.dollars) == (None, None)
    assert figures.hours is not None


def test_the_sources_own_solutions_cost_nothing(tmp_path: Path):
    entries = compare("reference", "math", source="shipped", questions=5, out=tmp_path / "out", report=QUIET).entries
    figures = entries[0].figures
    assert figures is not None
    assert (figures.dollars, figures.hours, figures.tokens_per_second) == (0.0, 0.0, None)
    assert figures.right == Share(5, 5)


@given(st.lists(st.integers(1, 10**6), min_size=1))
def test_quantiles_lie_in_order_within_the_lengths(lengths: list[int]):
    found = quantiles(lengths)
    assert found is not None
    values = [min(lengths), *found.values(), max(lengths)]
    assert values == sorted(values)


def figures(questions: set[str]) -> Figures:
    share = Share(1, 2)
    lengths: dict[str, Any] = {"trace_lengths": (10,), "answer_lengths": (5,), "reasons": {}}
    speed: dict[str, Any] = {"tokens_per_second": 9.0, "at_least": True, "dollars": 2.0, "hours": 1.0}
    asked: dict[str, Any] = {"questions": frozenset(questions), "answers": 2}
    return Figures(**asked, parsed=None, right=share, kept=share, **lengths, **speed)


def comparison(*asked: set[str], samples: int = 1) -> Comparison:
    from tunixhack.bakeoff.entries import Entry

    common: dict[str, Any] = {"teacher": "t", "domain": "math", "folder": Path("f"), "command": "tunixhack build math"}
    entries = tuple(Entry(label=f"t{place}", figures=figures(one), **common) for place, one in enumerate(asked))
    return Comparison(folder=Path("out"), samples=samples, recipe=math.recipe, rows=24_000, entries=entries)


def test_questions_that_not_all_were_asked_are_told():
    """A teacher with a smaller context is not asked what it cannot hold."""
    assert any("only 2 of 3 questions" in note for note in comparison({"a", "b", "c"}, {"a", "b"}).notes())
    assert not any("only" in note for note in comparison({"a", "b"}, {"a", "b"}).notes())


def test_several_answers_to_a_question_are_no_more_questions():
    assert any("narrower" in note for note in comparison({"a"}, samples=2).notes())
    assert not any("narrower" in note for note in comparison({"a"}).notes())


def test_it_is_json_and_a_table(capsys: pytest.CaptureFixture[str]):
    from tunixhack.bakeoff.table import print_comparison

    found = comparison({"a"}, {"a"})
    told = json.loads(json.dumps(found.as_dict()))
    assert told["teachers"][0]["figures"]["kept"]["value"] == 0.5
    assert told["teachers"][0]["figures"]["parsed"] is None
    print_comparison(found)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    row = next(line for line in lines if line[:1] == ["t0"])
    assert row == ["t0", "2", "≥", "9", "unknown", "50", "%", "(9–91)", "50", "%", "(9–91)", "≥", "$2.00", "1.0"]
