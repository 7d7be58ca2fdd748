"""A judge of an evaluation: who it is, and what it is asked, stored in a folder like a teacher's run.

It goes on after a kill, keeps a budget over all starts, and is never asked twice for a reply that is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

import tunixhack
from tunixhack._util.files import make_folder
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.order import Order
from tunixhack.evaluate.task import Task
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.pipeline.teacher_settings import TeacherSettings
from tunixhack.runs.funnel import FunnelLine, count_tokens
from tunixhack.runs.run import Run
from tunixhack.runs.state import DONE, RUNNING, SCHEMA, STATE, STOPPED
from tunixhack.steps.request import Request
from tunixhack.teachers.prices import dollars
from tunixhack.teachers.reference import REFERENCE

STEP = "judge"
"""Under which a judge's replies are stored."""
PREFIX = "judged-by-"
"""How the name of a judge's folder begins."""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The judge of one task."""

    spec: str
    """As after ``--teacher``."""
    task: Task
    order: Order
    folder: Path
    """Of the evaluation."""
    command: str | None = None
    """The command that goes on."""

    @property
    def label(self) -> str:
        """Its name without credentials."""
        return Arm(spec=self.spec, kind="teacher").label

    @property
    def run(self) -> Run:
        """The folder of its replies."""
        return Run(self._place(self.folder))

    def check(self, report: Reporter) -> None:
        """Find out who the judge is, before anything is asked of anybody.

        Raises:
            UserError: it is unknown, not there, or its price is unknown where a budget is to be kept.
        """
        if self.spec == REFERENCE:
            raise UserError("reference is no model and cannot judge: name a teacher after --judge")
        pool = self._pool(report)
        try:
            _ = pool.main
        finally:
            pool.close()

    @contextmanager
    def connected(self, report: Reporter) -> Iterator[TeacherPool]:
        """Open its folder, with whatever earlier starts and other evaluations have received.

        Yields:
            The pool that asks it; how it ended is noted in its run.json.
        """
        run, pool = self.run, self._pool(report)
        make_folder(run.folder)
        lent = [self._place(one) for one in self.order.reuse]
        state = STOPPED
        try:
            for sentence in run.store.set_aside_damaged():
                report.warn(sentence)
            run.store.import_journal()
            pool.borrow([Run(one) for one in lent if (one / STATE).exists()])
            pool.count_spent()
            self._save(pool, RUNNING)
            yield pool
            state = DONE
        finally:
            self._save(pool, state)
            pool.close()

    def ask(self, pool: TeacherPool, rows: pl.DataFrame, requests: Sequence[Request]) -> pl.DataFrame:
        """Return its replies to requests, asking for those only that are not stored; those of a limit are missing."""
        return pool.asker(STEP, rows, None, partial=True)(requests)

    def _place(self, folder: Path) -> Path:
        return folder / self.task.name / (PREFIX + Arm(spec=self.spec, kind="teacher").folder)

    def _pool(self, report: Reporter) -> TeacherPool:
        settings = TeacherSettings(
            teacher=self.spec,
            llm=self.task.recipe.llm,
            domain=self.task.name,
            seed=self.order.seed,
            ask_again=self.order.ask_again,
            budget=self.order.budget,
        )
        return TeacherPool(settings, self.run, report)

    def _save(self, pool: TeacherPool, state: str) -> None:
        known, run = self.run.state(), self.run
        replies = run.store.answers().filter(step=STEP)
        line = FunnelLine(STEP, replies["question_id"].n_unique(), kept=replies.height, made=replies.height)
        if replies.height:
            tokens = count_tokens(replies)
            line.prompt_tokens, line.completion_tokens = tokens["prompt_tokens"], tokens["completion_tokens"]
            line.at_least, line.cost = tokens["at_least"], dollars(replies, pool.prices)
        run.save(
            {
                "schema": SCHEMA,
                "tunixhack": tunixhack.__version__,
                "domain": self.task.name,
                "source": self.task.source.describe(),
                "order": {"seed": self.order.seed},
                "teachers": known.get("teachers", {}) | pool.remembered(),
                "funnel": [asdict(line)] if replies.height else [],
                "command": self.command or "",
                "signature": None,
                "state": state,
                "why": None,
            }
        )
