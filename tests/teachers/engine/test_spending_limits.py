"""A budget and hours: what they stop, when, and how the build goes on (contracts 8 and 12)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import asked, build, equal
from tests.commands import Command
from tests.pipeline.test_mishaps import Notes
from tunixhack.errors import LimitReached, UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.teachers.engine import spending_limits as module
from tunixhack.teachers.engine.spending_limits import Admission, SpendingLimits
from tunixhack.teachers.prices import FREE, Price, dollars
from tunixhack.teachers.registry import price_table
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.testing import Faults, ScriptedTeacher

PRICED = "deepseek/deepseek-chat"
"""A provider whose prices are in the table, played by a scripted teacher."""


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """Without filters: four samples each, nothing probed."""
    return recipe.replace(steps=(Sample(), Parse()))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedTeacher]:
    """A provider that sells what it says; a dollar for a thousand tokens."""
    with ScriptedTeacher(n_supported=False, models=("deepseek-chat",), faults=Faults(latency=0.005)) as teacher:
        here = replace(PRESETS["deepseek"], url=teacher.url, concurrency=2, seeded=True)
        monkeypatch.setitem(PRESETS, "deepseek", here)
        monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-none")
        monkeypatch.setattr(price_table, "_table", lambda: {"deepseek/deepseek-chat": entry("deepseek", 0.001, 0.001)})
        yield teacher


def entry(provider: str, prompt: float | None, completion: float | None) -> dict[str, Any]:
    return {
        "litellm_provider": provider,
        "input_cost_per_token": prompt,
        "output_cost_per_token": completion,
    }


def per_question(run: Run) -> dict[str, int]:
    """How many answers each question has."""
    return dict(run.store.answers().group_by("question_id").len().iter_rows())


def dollars_in(run: Run) -> float:
    usages = [json.loads(usage) for usage in run.store.answers()["usage"].drop_nulls()]
    return math.fsum(0.001 * (usage["prompt_tokens"] + usage["completion_tokens"]) for usage in usages)


class Hurried:
    """A clock that goes further each time it is looked at, which is once for each question."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


# the rule


@given(st.floats(0.5, 50), st.lists(st.tuples(st.integers(1, 16), st.floats(0.001, 2)), max_size=60), st.integers(1, 4))
def test_all_of_a_question_or_nothing_in_order_and_what_it_goes_over_by(
    budget: float, questions: list[tuple[int, float]], at_once: int
):
    """Questions of some answers at some dollars each; a few are under way at once."""
    limits = SpendingLimits(budget=budget)
    admission = Admission(limits, {str(number): size for number, (size, _) in enumerate(questions)})
    under_way: list[tuple[str, int, float]] = []
    verdicts = []
    for number, (size, each) in enumerate(questions):
        if len(under_way) == at_once:
            question, answers, dollars = under_way.pop(0)
            for _ in range(answers):
                assert admission.admits(question), "what was begun is finished"
                admission.received(dollars, 1)
        admitted = admission.admits(str(number))
        verdicts.append(admitted)
        if admitted:
            under_way.append((str(number), size, each))
    assert verdicts == sorted(verdicts, reverse=True), "once one is left out, so are all after it"
    dearest = max((size * each for size, each in questions), default=0)
    assert limits.spent <= budget + at_once * dearest


@given(st.integers(1, 16), st.floats(0.01, 1), st.floats(0.1, 100), st.integers(1, 8))
def test_where_answers_cost_the_same_the_budget_is_kept_but_for_the_first_questions(
    size: int, each: float, budget: float, at_once: int
):
    limits = SpendingLimits(budget=budget)
    admission = Admission(limits, {str(number): size for number in range(1000)})
    begun: list[int] = []
    for number in range(1000):
        if not admission.admits(str(number)):
            break
        begun.append(number)
        if len(begun) % at_once == 0 or begun[-1] == 999:
            for _ in range(at_once * size):
                admission.received(each, 1)
    assert limits.spent <= max(budget, at_once * size * each) * (1 + 1e-9)


@pytest.mark.parametrize("number", [0, -1, math.nan, math.inf, "5", True])
def test_a_limit_is_a_number_over_nothing(number: Any):
    with pytest.raises(UserError, match="must be a number over 0"):
        SpendingLimits(budget=number)
    with pytest.raises(UserError, match="must be a number over 0"):
        SpendingLimits(hours=number)


# the budget


def test_a_budget_stops_on_whole_questions_and_the_command_that_is_told_ends_it(
    plain: Recipe, provider: ScriptedTeacher, tmp_path: Path
):
    whole = build(plain, PRICED, tmp_path / "whole", questions=30)
    budget = round(dollars_in(whole) / 2, 2)
    provider.reset()
    notes = Notes()
    with pytest.raises(LimitReached, match=rf"the budget of \${budget:.2f} is used up") as caught:
        build(plain, PRICED, tmp_path / "run", questions=30, budget=budget, report=notes)
    assert caught.value.exit_code == 3
    run = Run.load(tmp_path / "run")
    assert set(per_question(run).values()) == {4}, "no question is left in the middle"
    assert 10 <= len(per_question(run)) < 20
    assert dollars_in(run) <= budget * 1.1
    assert run.train.height == asked(provider) == len(per_question(run)) * 4
    line = run.funnel.filter(step="sample")
    assert line["missing"].item() == 120 - run.train.height
    assert line["cost"].item() == pytest.approx(dollars_in(run))
    assert not run.done

    command = run.state()["command"].split()
    assert notes.said[-1] == f"to go on: {run.state()['command']}"
    enough = float(command[command.index("--budget") + 1])
    assert dollars_in(whole) < enough < 1.5 * dollars_in(whole)
    done = build(plain, PRICED, run.folder, questions=30, budget=enough)
    assert done.done
    assert asked(provider) == 120, "nothing was asked for twice"
    assert equal(done, whole)


def test_a_budget_is_one_for_all_starts(plain: Recipe, provider: ScriptedTeacher, tmp_path: Path):
    with pytest.raises(LimitReached):
        build(plain, PRICED, tmp_path / "run", questions=30, budget=2)
    provider.reset()
    with pytest.raises(LimitReached, match="the budget of"):
        build(plain, PRICED, tmp_path / "run", questions=30, budget=2)
    assert asked(provider) <= 4, "at most the question that still fitted"


def test_what_other_runs_paid_for_is_not_in_the_budget(plain: Recipe, provider: ScriptedTeacher, tmp_path: Path):
    lender = build(plain, PRICED, tmp_path / "lender", questions=30)
    provider.reset()
    of_three = dollars_in(lender) / 10
    for questions in (30, 31):
        run = build(plain, PRICED, tmp_path / "run", questions=questions, budget=of_three, reuse=[lender])
        assert run.done
    assert asked(provider) == 4
    with pytest.raises(LimitReached):
        build(plain, PRICED, tmp_path / "run", questions=40, budget=of_three, reuse=[lender])


def test_a_budget_that_is_used_up_while_probing_judges_nothing(
    recipe: Recipe, provider: ScriptedTeacher, tmp_path: Path
):
    with pytest.raises(LimitReached, match="answers of step length_filter were not asked for"):
        build(recipe, PRICED, tmp_path / "run", questions=20, budget=0.5)
    run = Run.load(tmp_path / "run")
    assert 0 < run.store.answers().height < 40
    assert "--budget 0.5" not in run.state()["command"]


def test_an_answer_whose_tokens_are_not_told_counts_as_more_than_it_has(
    plain: Recipe, provider: ScriptedTeacher, tmp_path: Path
):
    provider.change(faults=Faults(share={"no_usage": 1.0}, first_attempt_only=False))
    with pytest.raises(LimitReached):
        build(plain, PRICED, tmp_path / "run", questions=30, budget=5)
    run = Run.load(tmp_path / "run")
    assert 0 < run.train.height < 120
    assert run.funnel.filter(step="sample")["cost"].item() is None, "not told is not known"


def test_an_unknown_price_is_refused_with_a_budget_and_called_unknown_without(
    plain: Recipe, provider: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(price_table, "_table", dict)
    with pytest.raises(UserError, match=r"the price of deepseek/deepseek-chat is unknown.*--budget cannot be kept"):
        build(plain, PRICED, tmp_path / "run", budget=5)
    assert provider.stats["requests"] == 0
    assert not (tmp_path / "run").exists()
    run = build(plain, PRICED, tmp_path / "run")
    assert run.funnel.filter(step="sample")["cost"].item() is None


def test_a_server_on_this_machine_costs_nothing_and_needs_no_table(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(price_table, "_table", dict)
    run = build(plain, teacher, tmp_path / "run", budget=0.01)
    assert run.done
    assert run.funnel.filter(step="sample")["cost"].item() == 0


# hours


def test_hours_stop_on_whole_questions_and_the_same_command_goes_on(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "time", Hurried(60))
    teacher.change(n_supported=False)
    with pytest.raises(LimitReached, match=r"hours are over: .* answers are not there"):
        build(plain, teacher, tmp_path / "run", questions=40, hours=0.25)
    run = Run.load(tmp_path / "run")
    assert set(per_question(run).values()) == {4}
    assert 10 <= len(per_question(run)) <= 14
    assert run.train.height == asked(teacher)
    assert "--hours 0.25" in run.state()["command"]
    assert build(plain, teacher, run.folder, questions=40).train.height == 160
    assert asked(teacher) == 160


def test_after_the_hours_nobody_is_asked_not_even_by_the_preflight(
    plain: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "time", Hurried(3600))
    with pytest.raises(LimitReached):
        build(plain, teacher, tmp_path / "run", hours=1)
    assert teacher.stats["requests"] == 0


def test_a_run_that_is_complete_needs_no_time_and_no_money(plain: Recipe, provider: ScriptedTeacher, tmp_path: Path):
    build(plain, PRICED, tmp_path / "run")
    assert build(plain, PRICED, tmp_path / "run", hours=1e-9, budget=0.01).done


# prices


TABLE = {
    "gpt-x": entry("openai", 1e-6, 2e-6),
    "deepseek/chat": entry("deepseek", 3e-6, 4e-6),
    "half": entry("openai", 1e-6, None),
    "azure-x": entry("azure", 9e-6, 9e-6),
    "free": entry("openai", 0, 0),
}


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-x", Price(1e-6, 2e-6)),
        ("deepseek", "chat", Price(3e-6, 4e-6)),
        ("openai", "half", None),
        ("openai", "azure-x", None),
        ("openai", "gpt-y", None),
        ("openai", "free", FREE),
    ],
)
def test_a_price_is_the_providers_own_or_unknown(
    provider: str, model: str, price: Price | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(price_table, "_table", lambda: TABLE)
    assert price_table.listed_price(provider, model) == price


@pytest.mark.parametrize(
    ("url", "preset", "known"),
    [
        ("http://127.0.0.1:8000/v1", "vllm", FREE),
        ("http://192.168.1.2:8000/v1", "vllm", FREE),
        ("https://gpu.example.com/v1", "vllm", None),
        ("https://api.openai.com/v1", "vllm", Price(1e-6, 2e-6)),
        ("https://api.openai.com/v1", "openai", Price(1e-6, 2e-6)),
        ("http://127.0.0.1:8000/v1", "openai", Price(1e-6, 2e-6)),
    ],
)
def test_a_provider_is_recognised_by_its_address(
    url: str, preset: str, known: Price | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(price_table, "_table", lambda: TABLE)
    assert price_table.price_at(url, "gpt-x", PRESETS[preset]) == known


def test_the_table_that_comes_with_litellm_has_each_provider():
    priced = {entry.get("litellm_provider") for entry in price_table._table().values()}
    assert {preset.priced_as for preset in PRESETS.values() if not preset.local} <= priced
    assert all(preset.priced_as is None for preset in PRESETS.values() if preset.local)
    assert price_table.listed_price("openai", "gpt-4o-mini") == Price(1.5e-07, 6e-07)


def answers(*lines: tuple[str, Any]) -> pl.DataFrame:
    rows = [{"teacher": teacher, "usage": json.dumps(usage) if usage else None} for teacher, usage in lines]
    return pl.DataFrame(rows, schema={"teacher": pl.String, "usage": pl.String})


USAGE = {"prompt_tokens": 10, "completion_tokens": 100}


@pytest.mark.parametrize(
    ("stored", "cost"),
    [
        (answers(("paid", USAGE), ("paid", None)), 210.0),
        (answers(("paid", USAGE), ("free", USAGE), ("free", None)), 210.0),
        (answers(("paid", {"completion_tokens": 100})), 200.0),
        (answers(("free", None)), 0.0),
        (answers(("paid", None)), None),
        (answers(("paid", USAGE), ("unknown", USAGE)), None),
        (answers(("nobody", USAGE)), None),
    ],
)
def test_what_stored_answers_cost(stored: pl.DataFrame, cost: float | None):
    known = {"paid": Price(1, 2), "free": FREE, "unknown": None}
    assert dollars(stored, known) == cost


# the command line


def test_budget_and_hours_on_the_command_line(
    tunixhack: Command, source: Path, provider: ScriptedTeacher, tmp_path: Path
):
    out = tmp_path / "run"
    stopped = tunixhack(
        "build", "creative", "--source", source, "--questions", "12", "--samples", "2", "--teacher", PRICED,
        "--out", out, "--budget", "3", "--hours", "5",
    )  # fmt: skip
    assert stopped.code == 3
    assert stopped.sentence.startswith("the budget of $3.00 is used up")
    assert "--hours 5" in Run.load(out).state()["command"]
    assert "to go on: tunixhack build creative" in stopped.err
    refused = tunixhack("build", "creative", "--source", source, "--teacher", PRICED, "--out", out, "--budget", "0")
    assert refused.code == 2
