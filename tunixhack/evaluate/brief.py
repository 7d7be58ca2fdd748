"""The teacher's brief, given to a base: what a student has learnt beyond being told how to reply.

A student that is better than its base may have learnt the form of a reply, the matter, or both. A base that is told the
form, in the words in which the domain's teacher is told it, is behind the student by the matter alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tunixhack.recipe import Recipe
from tunixhack.teachers.prompts import Prompts
from tunixhack.train.data.chat import Message

FORM = "written"
"""The form that the brief asks for. A base has no thinking of its own, and a reference would give the answer away."""

Brief = Callable[[dict[str, Any]], Sequence[Message]]
"""From a question's columns to the messages in which it is put."""


def brief_of(recipe: Recipe) -> Brief:
    """Return how a domain's teacher is asked a question, with the trace that is asked for in tags."""
    return Prompts(llm=recipe.llm, model="base", trace=FORM, system=recipe.system).render
