"""What holds for every domain of the package: it builds, its reference stays hidden, and it can be looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builds import asked, build
from tunixhack.domain_files import domains, find
from tunixhack.steps.parse import Parse
from tunixhack.steps.reference_leak import GivesAway
from tunixhack.teachers.llm import ReasoningLLM
from tunixhack.testing import ScriptedTeacher

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [name for name in domains() if find(name).source.shipped]
"""Those that read their questions, and have some in the package; gym makes its own."""


@pytest.mark.parametrize("domain", SHIPPED)
def test_it_builds_from_the_shipped_questions(domain: str, teacher: ScriptedTeacher, tmp_path: Path):
    recipe = find(domain).replace(source="shipped", samples=2)
    run = build(recipe, teacher, tmp_path / "run", questions=8)
    assert recipe.domain == domain
    assert run.train["question_id"].n_unique() == 8
    assert run.train.height + run.rejected.filter(run.rejected["sample"].is_not_null()).height == 8 * 2
    assert run.train.height > 8
    assert set(run.train["domain"]) == {domain}
    paid = asked(teacher)
    build(recipe, teacher, tmp_path / "run", questions=8)
    assert asked(teacher) == paid, "the same build again asks nothing"


@pytest.mark.parametrize("domain", SHIPPED)
@pytest.mark.parametrize("trace", ["native", "written", "guided"])
def test_the_student_never_sees_reference_or_support_and_the_teacher_only_when_guided(domain: str, trace: str):
    recipe = find(domain)
    rows = recipe.replace(source="shipped").source.load(domain).rows
    hidden = {"reference": "HIDDEN REFERENCE", "support": "HIDDEN SUPPORT"}
    llm = recipe.llm("any", trace=trace)
    for row in rows.iter_rows(named=True):
        messages = llm.render(row | hidden)
        told = json.dumps(messages)
        assert ("HIDDEN" in told) == (llm.trace_of(row | hidden) == "guided")
        assert "HIDDEN" not in messages[-1]["content"], "what the student is asked carries nothing hidden"
        assert llm.render(row | hidden) == messages
    if trace != "guided":
        assert {llm.trace_of(row) for row in rows.iter_rows(named=True)} == {trace}


@pytest.mark.parametrize("domain", [name for name in domains() if name != "creative"])
def test_a_domain_with_references_looks_for_leaks_once_answers_are_parsed(domain: str):
    steps = list(find(domain).steps)
    assert steps.index(GivesAway()) == steps.index(Parse()) + 1


@pytest.mark.parametrize("domain", domains())
def test_a_domain_names_its_source_and_licence_and_has_one_llm(domain: str):
    recipe = find(domain)
    module = __import__(f"tunixhack.recipes.{domain}", fromlist=["recipe"])
    assert recipe.source.path in module.__doc__
    assert module.build == recipe.build
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ReasoningLLM) and value.__module__ == module.__name__
    ]
    assert own == [recipe.llm]


@pytest.mark.parametrize("domain", domains())
def test_the_page_of_domains_has_it(domain: str):
    source = find(domain).source
    lines = (ROOT / "docs" / "domains.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{domain}` |")]
    part = f"{source.path}:{source.name}" if source.name else source.path
    assert f"`{part}`" in line
    assert source.license is None or source.license in line
    assert f"| {find(domain).trace} |" in line
