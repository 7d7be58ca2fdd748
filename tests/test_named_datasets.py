"""The named datasets in recipes/: found by name, short, and built from sources with the columns of the Hub's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.builds import QUIET
from tunixhack import Mixture
from tunixhack.domain_files import find, find_dataset
from tunixhack.errors import UserError
from tunixhack.mixture.options import scaled
from tunixhack.recipes import named_datasets
from tunixhack.sources.source import Source
from tunixhack.steps.difficulty import Difficulty
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.testing import ScriptedTeacher

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(named_datasets())
LONGEST = 60
SEEDS = {
    "creative": 4_709,
    "brainstorm": 3_766,
    "summarize": 2_188,
    "math": 7_473,
    "classification": 2_136,
    "code": 374,
    "extraction": 1_506,
    "qa": 7_706,
    "science": 3_000,
}
"""Questions of each kind in the seed's mixture; a part is named by its kind."""
COLUMNS: dict[str, Any] = {
    "nvidia/OpenMathInstruct-2": lambda n: {
        "problem": f"What is {n} squared, and why is {n} not enough?",
        "generated_solution": "…",
        "expected_answer": str(n * n),
        "problem_source": "gsm8k" if n % 5 == 0 else "augmented_math",
    },
    "mlfoundations-dev/stackexchange_codegolf": lambda n: {
        "conversations": [{"from": "human", "value": f"Print {n} in few bytes."}, {"from": "gpt", "value": "…"}]
    },
    "nvidia/OpenCodeReasoning": lambda n: {
        "id": str(n), "input": f"Sum {n} numbers of standard input.", "output": "…", "difficulty": "EASY"
    },
    "mlfoundations-dev/a1_science_stackexchange_physics_10k": lambda n: {
        "conversations": [{"from": "human", "value": f"Why does a lamp of {n} watts warm?"}]
    },
}  # fmt: skip


def mixture(name: str) -> Mixture:
    found = find_dataset(name)
    assert isinstance(found, Mixture)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_named_dataset_is_a_short_file_with_a_command(name: str):
    lines = (ROOT / "recipes" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST
    assert any(line.strip().startswith(f"tunixhack build {name}") for line in lines)
    assert mixture(name).name == name


def test_the_seeds_mixture_has_its_quotas_and_keeps_what_there_is():
    think = mixture("think_32k")
    parts = dict(think.named())
    found: dict[str, int] = {}
    for name, part in parts.items():
        kind = name.removesuffix("_dolly")
        found[kind] = found.get(kind, 0) + (part.questions or 0)
    assert found == SEEDS
    assert sum(found.values()) == 32_858
    assert (think.short, think.samples) == ("keep", 1)
    assert parts["math"].teacher == "reference"
    asking = [step for part in parts.values() for step in part.recipe.steps if isinstance(step, LengthFilter)]
    assert not asking, "no question is filtered"


def test_the_small_cut_has_its_quotas():
    parts = {name: part.questions for name, part in mixture("think_10k").named()}
    assert [parts[name] for name in ("open_qa", "closed_qa", "general_qa")] == [500] * 3
    assert (parts["science"], parts["math"], parts["code"]) == (1_000, 1_000, 374)
    assert (parts["creative_dolly"], parts["creative"]) == (709, 1_891)
    assert (parts["brainstorm_dolly"], parts["brainstorm"], parts["summarize_dolly"]) == (1_000, 1_000, 1_188)
    assert (parts["extraction"], parts["classification"]) == (250, 250)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("openthoughts")])
def test_the_papers_recipe_is_held(name: str):
    for _, part in mixture(name).named():
        recipe = part.recipe
        assert (recipe.samples, recipe.trace, recipe.max_tokens) == (16, "native", 32_768)
        assert recipe.sampling == {"temperature": 1.0}
        kinds = [type(step).__name__ for step in recipe.steps]
        assert kinds[-3:] == ["Sample", "Parse", "MaxLength"], "no answer is filtered but for its length"
        chosen = next(step for step in recipe.steps if isinstance(step, LengthFilter | Difficulty))
        code = name == "openthoughts_code"
        assert isinstance(chosen, Difficulty if code else LengthFilter)
        assert ("ExactDedup" in kinds) is not code
        assert "Decontaminate" in kinds[: kinds.index(type(chosen).__name__)], "before anything is paid"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("openthoughts")])
def test_twenty_rows_in_the_sources_columns_are_built(name: str, tmp_path: Path):
    parts = []
    with ScriptedTeacher() as teacher:
        for _, part in mixture(name).named():
            recipe, file = part.recipe, tmp_path / f"{part.recipe.source.path.replace('/', '_')}.jsonl"
            file.write_text("".join(json.dumps(COLUMNS[recipe.source.path](n)) + "\n" for n in range(20)))
            own = [
                type(step)(keep=0.5, teacher=teacher.url) if isinstance(step, LengthFilter | Difficulty) else step
                for step in recipe.steps
            ]
            source = Source(str(file), columns=recipe.source.columns)
            parts.append(dataclasses.replace(part, recipe=recipe.replace(source=source, steps=tuple(own))))
        small = mixture(name).replace(parts=tuple(parts), samples=2, against="none")
        run = small.build(teacher.url, rows=8, out=tmp_path / "run", report=QUIET, yes=True)
    assert run.train["question_id"].n_unique() == 4
    assert run.train.filter(pl.col("question").str.len_chars() == 0).is_empty()


def test_a_mixture_is_no_recipe_where_one_is_needed():
    with pytest.raises(UserError, match="think_32k is a mixture of 12 parts"):
        find("think_32k")
    with pytest.raises(UserError, match="did you mean think_32k"):
        find_dataset("think_32")


def test_a_scaled_quota_is_at_least_one():
    assert [scaled(quota, 0.002) for quota in (7_473, 374, 100)] == [15, 1, 1]
