"""Wordings are drawn by the question, evenly and for good, and change what a teacher is told and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack import Wording
from tunixhack.errors import UserError
from tunixhack.recipes import math
from tunixhack.teachers.prompts import Prompts
from tunixhack.teachers.trace_prompts import WRITTEN
from tunixhack.teachers.wordings import check_wordings, wording_of

NAMES = ("plain", "patient", "brief", "strict")
IDS = [f"{at:016x}" for at in range(800)]
FORMAT = "Think in <reasoning> and </reasoning>, and reply in <answer> and </answer>."


def drawn(question: str, *names: str) -> str:
    found = wording_of({"question_id": question}, [Wording(name=name) for name in names])
    assert found is not None
    return found.name


def rendered(*wordings: Wording, trace: str = "written", system: str | None = None) -> list[dict[str, str]]:
    prompts = Prompts(llm=math.MathProblems, model="any", trace=trace, system=system, wordings=wordings)
    return prompts.render({"question_id": "00ff", "question": "2 + 2?"})


def test_every_wording_gets_about_its_share_of_the_questions():
    counts = Counter(drawn(question, *NAMES) for question in IDS)
    assert set(counts) == set(NAMES)
    assert all(150 < count < 250 for count in counts.values())


@given(st.permutations(NAMES), st.sampled_from(IDS))
def test_the_order_does_not_matter_and_another_wording_moves_only_its_own_questions(names: list[str], question: str):
    assert drawn(question, *names) == drawn(question, *NAMES)
    more = drawn(question, *names, "new")
    assert more in (drawn(question, *names), "new")


def test_a_row_without_an_id_goes_by_what_it_asks():
    wordings = [Wording(name=name) for name in NAMES]
    assert wording_of({"question": "2 + 2?"}, wordings) is wording_of({"question": "2 + 2?"}, wordings)
    assert wording_of({"question": "2 + 2?"}, ()) is None


def test_instruction_question_and_format_are_put_in_the_wording():
    system, user = rendered(Wording(name="a", system="Be kind.", before="Solve:", after="Thanks.", format=FORMAT))
    assert system == {"role": "system", "content": f"Be kind.\n\n{FORMAT}"}
    assert user == {"role": "user", "content": "Solve:\n\n2 + 2?\n\nThanks."}
    assert rendered(Wording(name="plain")) == rendered()
    assert rendered()[0]["content"].endswith(WRITTEN)
    assert FORMAT not in str(rendered(Wording(name="a", format=FORMAT), trace="native"))


def test_a_class_with_a_constructor_of_its_own_is_put_in_wordings_too():
    class Own(math.MathProblems):
        def __init__(self, model_name: str, *, trace: str) -> None:
            super().__init__(model_name, trace=trace)

    prompts = Prompts(llm=Own, model="any", trace="native", system=None, wordings=(Wording(name="a", after="Thanks."),))
    assert prompts.render({"question": "2 + 2?"})[-1]["content"] == "2 + 2?\n\nThanks."


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "Two words"}, {"name": 3}, {"name": "a", "format": "Think in <reasoning>."}]
)
def test_a_name_or_a_format_that_is_none_is_refused(wrong: dict[str, Any]):
    with pytest.raises(UserError):
        Wording(**wrong)


def test_wordings_that_contradict_one_another_are_refused():
    with pytest.raises(UserError, match="two wordings are called a"):
        math.recipe.replace(wordings=(Wording(name="a"), Wording(name="a")))
    with pytest.raises(UserError, match="leave out one"):
        math.recipe.replace(wordings=(Wording(name="a", system="Be kind."),), system="Be stern.")
    with pytest.raises(UserError, match="takes several"):
        check_wordings(["a"], None)  # type: ignore[list-item]
