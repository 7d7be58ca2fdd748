"""Which benchmarks questions are compared with: what `--against` takes, and the step that a recipe gets for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builds import small_recipe
from tunixhack import Context, Decontaminate, ExactDedup, LengthFilter, Parse, Sample
from tunixhack.domain_files import domains, find
from tunixhack.errors import UserError
from tunixhack.pipeline.step_checks import check_steps, numbered
from tunixhack.recipe import Recipe
from tunixhack.steps.against import named_in, read_against
from tunixhack.steps.base import Verdict, step_name
from tunixhack.steps.benchmarks import KNOWN, Benchmark

OWN = ("gsm8k", "aime24", "user/exam:main")


@pytest.mark.parametrize(
    ("spelling", "found"),
    [
        ("default", OWN),
        ("default,-aime24", ("gsm8k", "user/exam:main")),
        ("default, -user/exam:main:test , humaneval", ("gsm8k", "aime24", "humaneval")),
        ("default,-user/exam:main", ("gsm8k", "aime24")),
        ("humaneval@v1", ("humaneval@v1",)),
        ("default,gsm8k", OWN),
        ("tests.jsonl:problem,a/b:c:d:e@f", ("tests.jsonl:problem", "a/b:c:d:e@f")),
        (("default", "-gsm8k"), OWN[1:]),
        ("none", ()),
    ],
)
def test_benchmarks_are_spelt(spelling: str, found: tuple[str, ...]):
    assert read_against(spelling, OWN) == found


@pytest.mark.parametrize(
    ("spelling", "says"),
    [
        ("", "is not understood"),
        ("none,gsm8k", "none alone"),
        ("default,-aime25", r"-aime25 takes out what is not there; before it: gsm8k, aime24, user/exam:main:test"),
        ("-gsm8k", "begin with default"),
        ("gsm8", "did you mean gsm8k"),
    ],
)
def test_what_is_not_understood_is_a_sentence(spelling: str, says: str):
    with pytest.raises(UserError, match=says):
        read_against(spelling, OWN)


@pytest.mark.parametrize("domain", domains())
def test_closed_domains_compare_with_known_benchmarks_and_open_ended_ones_with_none(domain: str):
    step = named_in(find(domain).steps)
    assert (step is not None) == (domain in ("math", "code", "science", "general"))
    if step is not None:
        assert all(Benchmark.named(one).known == one for one in step.against)
        assert all(Benchmark.named(one).size for one in step.against)


def test_a_known_benchmark_is_of_one_commit_unless_another_is_named():
    assert Benchmark.named("gsm8k").revision == KNOWN["gsm8k"].revision
    assert Benchmark.named("gsm8k@main") == Benchmark("openai/gsm8k", "main", "test", "question", "main", "gsm8k")


def names(recipe: Recipe) -> list[str]:
    return [step_name(step) for step in recipe.steps]


def test_another_list_takes_the_place_of_the_recipes_own_and_gives_it_back(source: Path):
    own = Decontaminate(against=("gsm8k", "aime24"), similarity=90)
    recipe = small_recipe(source, steps=(own, LengthFilter(keep=0.5), Sample(), Parse()))
    less = recipe.replace(against="default,-aime24").replace(samples=2)
    assert less.steps[0] == Decontaminate(against=("gsm8k",), similarity=90)
    assert less.replace(against="default").steps == recipe.steps
    none = less.replace(against="none")
    assert names(none) == ["length_filter", "sample", "parse"]
    assert none.replace(against=None).steps == recipe.steps
    other = none.replace(steps=(Decontaminate(against=("humaneval",)), Sample(), Parse()), against="default")
    assert named_in(other.steps) == Decontaminate(against=("humaneval",))


def test_a_recipe_without_the_step_gets_it_before_the_first_that_asks(source: Path):
    recipe = small_recipe(source, steps=(ExactDedup(), LengthFilter(keep=0.5), Sample(), Parse()))
    assert names(recipe.replace(against="gsm8k")) == [
        "exact_dedup",
        "decontaminate",
        "length_filter",
        "sample",
        "parse",
    ]
    assert names(recipe.replace(against="default")) == names(recipe)


def test_shipped_questions_are_compared_with_none_unless_it_is_asked_for():
    shipped = find("math").replace(source="shipped")
    step = named_in(shipped.steps)
    assert step is not None
    assert (step.against, step.why_none) == ((), "these questions were written for the package")
    assert named_in(shipped.replace(against="default").steps) == named_in(find("math").steps)
    assert named_in(shipped.replace(source="openai/gsm8k").steps) == named_in(find("math").steps)


def test_decontamination_behind_a_step_that_asks_is_refused():
    step = Decontaminate(against=("gsm8k",))
    with pytest.raises(UserError, match=r"step decontaminate stands behind step length_filter, which asks a teacher"):
        check_steps(numbered((LengthFilter(keep=0.5), step, Sample(), Parse())))
    check_steps(numbered((step, LengthFilter(keep=0.5), Sample(), Parse())))


def test_a_step_that_compares_with_none_keeps_everything_and_says_why():
    import polars as pl

    verdict: Verdict = Decontaminate((), why_none="they are ours")(pl.DataFrame({"question": ["Why?"]}), Context())
    assert verdict.keep.to_list() == [True]
    assert (verdict.note, verdict.details) == ("compared with no benchmark: they are ours", {"benchmarks": []})
