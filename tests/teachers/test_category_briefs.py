"""A brief for each category, and traces that are guided in some of them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tunixhack.teachers.category_briefs import CategoryLLM

ROW: dict[str, Any] = {"question": "How many?", "context": "Two and two.", "reference": "4"}


class Sums(CategoryLLM):
    """Two categories, of which one is guided."""

    briefs: ClassVar = {"sums": "You add.", "stories": "You tell."}
    other = "sums"
    guided = ("stories",)


@pytest.mark.parametrize(
    ("category", "brief"), [("sums", "You add."), ("stories", "You tell."), ("riddles", "You add."), (None, "You add.")]
)
def test_the_category_decides_the_brief_and_the_context_follows_the_question(category: str | None, brief: str):
    system, user = Sums("any", trace="native").render(ROW | {"category": category})
    assert system["content"] == brief
    assert user["content"] == "How many?\n\nTwo and two."


@pytest.mark.parametrize(
    ("trace", "category", "of_row"),
    [
        ("guided", "stories", "guided"),
        ("guided", "sums", "written"),
        ("guided", None, "written"),
        ("native", "stories", "native"),
        ("written", "sums", "written"),
    ],
)
def test_a_guided_trace_is_written_outside_of_the_guided_categories(trace: str, category: str | None, of_row: str):
    assert Sums("any", trace=trace).trace_of(ROW | {"category": category}) == of_row
