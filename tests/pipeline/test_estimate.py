"""What a build would cost before a key is there: a table of prices times assumptions that are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import build, small_recipe, write_questions
from tests.commands import Command
from tests.judges import judging
from tunixhack.errors import UserError
from tunixhack.pipeline.estimate import ANSWER_TOKENS, estimate, questions_and_probes
from tunixhack.recipe import Recipe
from tunixhack.recipes import math
from tunixhack.runs import answer_store
from tunixhack.steps.difficulty import Difficulty
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.parse import Parse
from tunixhack.steps.sample import Sample
from tunixhack.steps.synthesize import Synthesize
from tunixhack.teachers.registry.price_table import listed_price
from tunixhack.testing import ScriptedTeacher

MINI = "openai/gpt-4.1-mini"


def test_what_a_whole_dataset_asks_for():
    assert questions_and_probes(math.recipe, 24_000) == (1500, 3000)
    assert questions_and_probes(math.recipe.replace(samples=7), 24_000) == (3429, 6858)
    assert questions_and_probes(math.recipe.replace(steps=(Sample(), Parse())), 24_000) == (1500, 0)
    elsewhere = (LengthFilter(keep=0.5, teacher="local"), LengthFilter(keep=0.25), Sample())
    assert questions_and_probes(math.recipe.replace(steps=elsewhere), 16) == (1, 4), "the first asks somebody else"


def test_it_needs_no_key_and_says_what_it_assumed(tunixhack: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    told = tunixhack("price", "math", "--teacher", MINI, "--questions", "5000")
    assert told.code == 0
    first, assumed, tokens, price, dollars = told.out.splitlines()
    assert first == f"math with {MINI}: 5,000 questions, 80,000 answers and 10,000 probes of the length filter"
    assert f"and {ANSWER_TOKENS['written']} an answer" in assumed
    assert "rough guess for written traces" in assumed
    assert "one answer a request" in tokens
    assert "litellm" in price
    assert dollars.startswith("about $")


def test_the_dollars_are_the_tables_prices_times_the_tokens():
    found = estimate(math.recipe, MINI, 100, prompt_tokens=200, answer_tokens=1000)
    listed = listed_price("openai", "gpt-4.1-mini")
    assert listed is not None
    requests = 100 * 16 + 200
    assert found.dollars == pytest.approx(requests * (200 * listed.prompt + 1000 * listed.completion))
    halved = estimate(math.recipe, MINI, 100, batch=True, prompt_tokens=200, answer_tokens=1000)
    assert halved.dollars == pytest.approx(found.dollars / 2)
    assert "as --prompt-tokens and --answer-tokens say" in found.lines()[1]


def test_a_preview_tells_better_than_a_guess(recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path):
    run = build(recipe, teacher, tmp_path / "run", preview=3)
    found = estimate(recipe, MINI, 100, like=run.folder)
    answers = run.store.answers().filter(step="sample")
    assert found.answer_tokens == round(answers["completion_tokens"].mean())
    assert f"the mean of the 3 answers in {run.folder}" in found.lines()[1]


def test_the_texts_of_answers_are_not_read_for_what_others_will_cost(
    recipe: Recipe, teacher: ScriptedTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = build(recipe, teacher, tmp_path / "run", preview=2)
    read = answer_store.read_parquet

    def noted(path: Path, remedy: str, columns: Any = None) -> pl.DataFrame:
        assert columns is not None
        assert "choice" not in columns
        return read(path, remedy, columns)

    monkeypatch.setattr(answer_store, "read_parquet", noted)
    assert "the mean of the 2 answers" in estimate(recipe, MINI, 100, like=run.folder).lines()[1]


def test_a_server_of_ones_own_costs_nothing_and_an_unlisted_model_is_unknown():
    assert estimate(math.recipe, "ollama/any", 10).dollars == 0
    unknown = estimate(math.recipe, "openai/no-such-model", 10)
    assert unknown.dollars is None
    assert unknown.lines()[-1].startswith("price: unknown")


@pytest.mark.parametrize(
    ("teacher", "batch", "sentence"),
    [
        ("openia/gpt-4.1-mini", False, "did you mean openai/MODEL"),
        ("deepseek/deepseek-chat", True, "DeepSeek is not asked in batches"),
    ],
)
def test_what_has_no_price_is_a_sentence(teacher: str, batch: bool, sentence: str):
    with pytest.raises(UserError, match=sentence):
        estimate(math.recipe, teacher, 10, batch=batch)


def test_a_run_without_answers_tells_nothing(source: Path, teacher: ScriptedTeacher, tmp_path: Path):
    reference = math.recipe.replace(source="shipped").build("reference", questions=2, out=tmp_path / "run")
    with pytest.raises(UserError, match="has no answers whose tokens the server told"):
        estimate(small_recipe(source), MINI, 10, like=reference.folder)


# steps that ask for something else than answers


def judged(*steps: Any) -> Recipe:
    return math.recipe.replace(source="shipped", steps=(*steps, Sample(), Parse()))


def test_a_judge_has_a_line_of_its_own_at_its_own_teachers_price():
    recipe = judged(Difficulty(keep=0.25, grades=3, teacher=MINI))
    found = estimate(recipe, "ollama/any", 100)
    (step,) = found.steps
    assert (step.step, step.teacher, step.requests) == ("difficulty", MINI, 1200)
    listed = listed_price("openai", "gpt-4.1-mini")
    assert listed is not None
    assert step.dollars == pytest.approx(1200 * (step.prompt_tokens * listed.prompt + 12 * listed.completion))
    assert found.dollars == step.dollars, "the run's own teacher costs nothing"
    (line,) = [line for line in found.lines() if line.startswith("difficulty: 1,200 requests to ")]
    assert line.endswith(f"about ${step.dollars:,.2f}")
    assert found.lines()[-1].endswith(" in all")
    assert estimate(recipe, "ollama/any", 100, batch=False).as_dict()["steps"][0]["dollars"] == step.dollars


def test_of_a_band_the_share_of_its_grades_is_assumed_and_said():
    recipe = judged(LengthFilter(keep=0.5), Difficulty(band=(4, 8)))
    found = estimate(recipe, MINI, 100)
    assert found.steps[0].requests == 200
    assert "50 % of them within the band" in found.steps[0].line()
    assert found.probes == 400
    assert questions_and_probes(recipe, 1600) == (100, 400)


def test_new_questions_have_a_line_of_their_own():
    found = estimate(judged(Synthesize(wanted=50)), MINI, 100)
    (step,) = found.steps
    assert step.requests == 50
    assert "every reply is a new question; 100 replies at most" in step.line()
    assert found.dollars is not None
    assert step.dollars is not None
    assert found.dollars > step.dollars > 0


def test_a_judge_of_unknown_price_leaves_the_whole_unknown():
    lines = estimate(judged(Difficulty(teacher="http://127.0.0.1:1/v1#any")), MINI, 100).lines()
    assert any(line.startswith("difficulty: ") and line.endswith("price unknown") for line in lines)
    assert lines[-1].startswith("in all: unknown, ")


def test_a_run_tells_what_its_judge_takes(tmp_path: Path):
    with ScriptedTeacher(answer=judging()) as teacher:
        source = write_questions(tmp_path / "many.jsonl", 40)
        recipe = small_recipe(source, steps=(Difficulty(), Sample(), Parse()))
        run = build(recipe, teacher, tmp_path / "run", preview=3)
    (step,) = estimate(recipe, MINI, 100, like=run.folder).steps
    stored = run.store.answers().filter(step="difficulty")
    assert step.prompt_tokens == round(stored["prompt_tokens"].mean())
    assert f"the mean of the {stored.height} answers in" in step.line()


def test_on_the_command_line_it_is_one_line_more(tunixhack: Command, tmp_path: Path):
    domain = tmp_path / "hard.py"
    domain.write_text(
        "from tunixhack import Difficulty, Sample\n"
        "from tunixhack.recipes import math\n"
        'recipe = math.recipe.replace(source="shipped", steps=(Difficulty(keep=0.5), Sample()))\n'
    )
    told = tunixhack("price", domain, "--teacher", MINI, "--questions", "100")
    assert told.code == 0, told.err
    assert [line for line in told.out.splitlines() if line.startswith(f"difficulty: 200 requests to {MINI}, ")]
