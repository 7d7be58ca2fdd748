"""What an evaluation, and its plan, find out before anything is asked: arms, tasks and questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.evaluate.arms import Arm, read_arms
from tunixhack.evaluate.brief import FORM, brief_of
from tunixhack.evaluate.contamination import LearntTexts
from tunixhack.evaluate.figures import ArmFacts
from tunixhack.evaluate.held_back import tasks_of
from tunixhack.evaluate.losses import STORED
from tunixhack.evaluate.order import Order
from tunixhack.evaluate.task import Task, TaskQuestions
from tunixhack.evaluate.teachers import trace_of
from tunixhack.train import record
from tunixhack.train.machine.doctor import require_device
from tunixhack.train.optional_imports import import_optional

if TYPE_CHECKING:
    from tunixhack.evaluate.students import Asked, StudentArm


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The arms, tasks and questions of an evaluation."""

    arms: Sequence[Arm]
    students: Mapping[str, StudentArm]
    """Students and bases by their label."""
    tasks: Sequence[Task]
    questions: Mapping[str, TaskQuestions]
    """The questions of each task by its name."""
    order: Order
    notes: list[str] = field(default_factory=list)

    @classmethod
    def find(
        cls,
        arms: str | Sequence[str | Path],
        on: str | Sequence[str],
        source: str | None,
        order: Order,
        report: Reporter,
        questions: Mapping[str, TaskQuestions] | None = None,
    ) -> Setup:
        """Find everything on the disk, and choose the questions; nothing is asked and no weights are loaded.

        Args:
            arms: see `tunixhack.evaluate.runner.evaluate`.
            on: likewise.
            source: likewise.
            order: the options.
            report: where progress goes.
            questions: of each task by its name, where they were chosen before, such as for arms that come one by one.
                Arms of equal weights are no mistake then: they share their replies.

        Raises:
            UserError: an arm, task or question is not there; the sentence says which and what to do.
        """
        listed = read_arms(arms)
        tasks = tasks_of(on, source, listed, judged=order.judge is not None)
        if order.judge is not None and len(listed) < 2:
            raise UserError("a judge compares the answers of two arms, and one is named: name another before it")
        for task in tasks:
            order.for_task(task.name, task.passes)  # which refuses what makes no sense, before anything is read
        students = {arm.label: _student(arm, order, report) for arm in listed if arm.kind != "teacher"}
        if questions is not None:
            return cls(arms=listed, students=students, tasks=tasks, questions=questions, order=order)
        _check_different(students)
        learnt, notes = LearntTexts(), [task.note for task in tasks if task.note]
        for label, student in students.items():
            texts = student.learnt()
            if texts is None:
                notes.append(
                    f"the training data of {label} are not there any more: whether it was trained on test questions is "
                    "not known"
                )
                continue
            learnt.add(texts)
        chosen = {}
        for task in tasks:
            found = task.questions(order.questions, learnt, order.seed)
            there = found.rows.height + found.unscored.height
            if there < order.questions:
                notes.append(
                    f"{task.name} has {there:,} questions to ask, and {order.questions:,} were wanted: all "
                    "of them are asked"
                )
            if found.note is not None and students:
                notes.append(found.note)
            chosen[task.name] = found if order.shard is None else found.shard(*order.shard)
            if chosen[task.name].rows.is_empty() and chosen[task.name].unscored.is_empty():
                raise UserError(f"this shard of {task.name} has no questions: ask for more, or for fewer shards")
        return cls(arms=listed, students=students, tasks=tasks, questions=chosen, order=order, notes=notes)

    def order_of(self, task: Task) -> Order:
        """Return the options by which a task is asked."""
        return self.order.for_task(task.name, task.passes)

    def form(self, arm: Arm, task: Task) -> str:
        """Return the form that an arm was trained or is asked to reply in."""
        if arm.kind == "teacher":
            return trace_of(task.recipe)
        return FORM if arm.brief else self.students[arm.label].settings.format

    def wanted(self, arm: Arm, task: Task) -> list[Asked]:
        """List the replies that are wanted of a student or base."""
        brief = brief_of(task.recipe) if arm.brief else None
        return self.students[arm.label].wanted(self.questions[task.name].rows, self.order, brief)

    def losses(self, arm: Arm, task: Task, known: pl.DataFrame, place: Path, report: Reporter) -> pl.DataFrame:
        """Return a student's or base's losses on the source's own solutions, in the columns `STORED`.

        Args:
            arm: the student or base.
            task: whose questions are taken.
            known: losses that were computed before, by whom it may be.
            place: the arm's folder, where new ones are stored.
            report: where progress goes.
        """
        chosen, brief = self.questions[task.name], brief_of(task.recipe) if arm.brief else None
        if not chosen.solutions:
            return pl.DataFrame(schema=STORED)
        found = import_optional("tunixhack.evaluate.reference_loss", f"the loss of {arm.label}")
        rows = pl.concat([chosen.rows, chosen.unscored])
        losses: pl.DataFrame = found.solution_losses(
            self.students[arm.label], rows, chosen.solutions, brief, known=known, place=place, report=report
        )
        return losses

    def solution_forms(self) -> dict[str, str | None]:
        """Return how each arm writes a solution, by its label; None of teachers."""
        return {
            arm.label: self.students[arm.label].solution_form if arm.label in self.students else None
            for arm in self.arms
        }

    def facts(self) -> list[ArmFacts]:
        """Return what the figures have to know of the arms."""
        return [ArmFacts(label=arm.label, kind=arm.kind, learnt_tokens=_learnt_tokens(arm)) for arm in self.arms]

    def describe_arms(self) -> list[dict[str, Any]]:
        """Return what evaluation.json keeps of the arms."""
        told = []
        for arm in self.arms:
            one: dict[str, Any] = {"label": arm.label, "kind": arm.kind, "folder": arm.folder}
            if arm.label in self.students:
                student = self.students[arm.label]
                one |= {
                    "identity": student.identity,
                    "base": Path(student.base.name).name,
                    "step": None if student.trained is None else student.trained.step,
                    "format": FORM if arm.brief else student.settings.format,
                }
            told.append(one)
        return told


def _student(arm: Arm, order: Order, report: Reporter) -> StudentArm:
    found = import_optional("tunixhack.evaluate.students", f"asking {arm.label}")
    require_device(order.cpu)
    student: StudentArm = found.StudentArm.find(arm, accept_terms=order.accept_terms, report=report)
    return student


def _check_different(students: Mapping[str, StudentArm]) -> None:
    """See that no two arms are the same weights, asked the same way.

    Raises:
        UserError: two are.
    """
    seen: dict[str, str] = {}
    for label, student in students.items():
        other = seen.setdefault(student.identity, label)
        if other != label:
            raise UserError(f"{other} and {label} are the same weights, asked the same way: name one of them")


def _learnt_tokens(arm: Arm) -> float | None:
    if arm.kind != "student":
        return None
    kept = record.read(Path(arm.spec).expanduser())
    learnt = sum(domain.learnt for domain in kept.data.domains)
    return learnt * kept.epochs if kept.epochs else None
