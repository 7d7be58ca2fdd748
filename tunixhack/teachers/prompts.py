"""The prompts of a run's teacher: written by the domain's own class, or the questions as they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunixhack.steps.calls import call_own
from tunixhack.teachers.wordings import Wording, wording_of

if TYPE_CHECKING:
    from tunixhack.teachers.llm import ReasoningLLM


@dataclass(kw_only=True)
class Prompts:
    """The messages of each question, and the kind of trace that they ask for.

    Args:
        llm: the domain's class.
        model: the model that is asked; None where the source's own solutions answer.
        trace: of the recipe.
        system: the system message in place of the domain's; None for the domain's.
        wordings: of which one is drawn for each question.
    """

    llm: type[ReasoningLLM]
    model: str | None
    trace: str
    system: str | None
    wordings: tuple[Wording, ...] = ()

    @cached_property
    def _llm(self) -> ReasoningLLM:
        # a domain's class may have a constructor of its own, so it is given what was asked for only
        system = {} if self.system is None else {"system": self.system}
        made = self.llm(self.model or "none", trace=self.trace, **system)
        if self.wordings:
            made.wordings = self.wordings
        return made

    def render(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Return the messages that are sent for a question.

        Raises:
            UserError: the domain's own code fails; the sentence names the question.
        """
        if self.model is None:
            return [{"role": "user", "content": row["question"]}]
        return call_own(f"{type(self._llm).__name__}.prompt(row)", row, self._llm.render, row)

    def trace_of(self, row: dict[str, Any]) -> str:
        """Return the kind of trace that a question is asked for; a solution of the source is its author's own."""
        if self.model is None:
            return "native"
        return call_own(f"{type(self._llm).__name__}.trace_of(row)", row, self._llm.trace_of, row)

    def wording_of(self, row: dict[str, Any]) -> str | None:
        """Return the name of the wording that a question is put in; None where it has none."""
        drawn = None if self.model is None else wording_of(row, self.wordings)
        return None if drawn is None else drawn.name
