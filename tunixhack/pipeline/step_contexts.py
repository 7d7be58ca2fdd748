"""The contexts that a build gives to its steps: the one place that makes a `Context`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.cache import cache_dir
from tunixhack.errors import UserError
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.steps.base import Ask, Context
from tunixhack.steps.request import Request
from tunixhack.teachers.engine.sender import OnAnswers

CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, kw_only=True)
class StepContexts:
    """A callable that makes a step's context, all that the step may know, from its name and its rows."""

    domain: str
    seed: int
    samples: int
    """Answers to each question."""
    student: str | None
    count_tokens: CountTokens | None
    pool: TeacherPool
    say: Callable[[str], None]
    criteria: Sequence[str] = ()
    """The recipe's, for a judge of answers."""
    cache: Path = field(default_factory=cache_dir)
    memos: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What steps keep between their calls, by their names."""
    unpaid: frozenset[str] = frozenset()
    """Steps that must not ask; see `tunixhack.pipeline.step_checks.unpaid`."""

    def __call__(
        self,
        step: str,
        rows: pl.DataFrame,
        quota: int | None = None,
        *,
        partial: bool = False,
        part: bool = False,
        read: bool = True,
        on_answers: OnAnswers | None = None,
    ) -> Context:
        """Make a step's context.

        Args:
            step: the name of the step that will be called.
            rows: that it will be given.
            quota: how many of them it has to keep, where it selects.
            partial: whether it can do with a part of the answers that it asks for; see `TeacherPool.asker`.
            part: whether these are the rows of one block of several.
            read: see `Engine.ask`; without, the step is only told what is stored.
            on_answers: called with new answers while they come.
        """
        pool = self.pool
        return Context(
            seed=self.seed,
            domain=self.domain,
            samples=self.samples,
            quota=quota,
            part=part,
            trace=pool.trace,
            render=pool.prompts.render,
            trace_of=pool.prompts.trace_of,
            wording_of=pool.prompts.wording_of if pool.settings.wordings else None,
            max_tokens=pool.max_tokens,
            count_tokens=self.count_tokens,
            student=self.student,
            ask=_refuser(step) if step in self.unpaid else pool.asker(step, rows, on_answers, partial, read),
            declined=pool.declined,
            why_missing=pool.why_missing,
            criteria=self.criteria,
            say=self.say,
            memo=self.memos.setdefault(step, {}),
            cache=self.cache / "steps" / step,
        )


def _refuser(name: str) -> Ask:
    def refuse(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        raise UserError(
            f"step {name} asks a teacher, and a Decontaminate stands behind it: put that before, so that nothing is "
            "paid for questions that it rejects"
        )

    return refuse
