"""The test questions of an ablation: those by which an arm is chosen, and as many fresh ones that confirm the choice.

They are chosen once, for all arms and sizes: a question that any arm's data has is asked of nobody, whether or not its
row is among those that are trained on, so that larger sizes ask the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack.ablate.options import Options
from tunixhack.evaluate.arms import BASE, Arm, read_arms
from tunixhack.evaluate.contamination import LearntTexts
from tunixhack.evaluate.statistics.verdicts import FEWEST_QUESTIONS
from tunixhack.evaluate.task import Task, TaskQuestions, find_tasks
from tunixhack.train.optional_imports import import_optional


@dataclass(frozen=True, kw_only=True)
class Questions:
    """The test questions of each task."""

    choosing: dict[str, TaskQuestions]
    confirming: dict[str, TaskQuestions]
    """Fresh ones, of other clusters than those that choose; a task that has fewer than 20 of them is not in it."""
    notes: tuple[str, ...]


def choose_questions(texts: Iterable[Sequence[str]], options: Options, report: Reporter) -> Questions:
    """Choose the test questions.

    Args:
        texts: the questions of each arm's data.
        options: with the tasks and the number of questions.
        report: is told of what takes long.

    Raises:
        UserError: a task is not there, or has no question that can be asked.
    """
    learnt, notes = LearntTexts(), []
    for one in texts:
        learnt.add(one)
    for arm in finished_students(options):
        texts_of = _learnt(arm, options, report)
        if texts_of is None:
            notes.append(f"the training data of {arm.label} are not there any more: test questions may be among them")
        learnt.add(texts_of or [])
    count = options.order.questions
    choosing, confirming = {}, {}
    for task in find_tasks(options.on, options.source):
        found = _enough(task, count, learnt, options.order.seed)
        first, rest = found.rows.head(count), _fresh(found, count).head(count)
        choosing[task.name] = replace(found, rows=first)
        if first.height < count:
            notes.append(f"{task.name} has {first.height:,} questions to ask, and {count:,} were wanted: all are asked")
        if rest.height >= FEWEST_QUESTIONS:
            confirming[task.name] = replace(found, rows=rest, left_out={})
        else:
            notes.append(
                f"{task.name} has no {FEWEST_QUESTIONS} questions beyond those that choose an arm: the choice is not "
                "confirmed, and the best of several looks better than it is"
            )
    return Questions(choosing=choosing, confirming=confirming, notes=tuple(notes))


def _enough(task: Task, count: int, learnt: LearntTexts, seed: int) -> TaskQuestions:
    """Return so many questions and as many fresh ones; fewer where the task has no more."""
    wanted = 2 * count
    while True:
        found = task.questions(wanted, learnt, seed)
        if _fresh(found, count).height >= count or found.rows.height < wanted:
            return found
        wanted *= 2


def _fresh(found: TaskQuestions, count: int) -> pl.DataFrame:
    """Return the questions behind the first that share no cluster with one of them: a known text is nothing fresh."""
    chosen = {found.clusters.get(name) for name in found.rows["question_id"].head(count)} - {None}
    rest = found.rows.slice(count)
    return rest.filter([found.clusters.get(name) not in chosen for name in rest["question_id"]]) if chosen else rest


def finished_students(options: Options) -> list[Arm]:
    """Return the students among what is evaluated beside."""
    return [arm for arm in read_also(options.also) if arm.kind == "student"]


def read_also(also: Sequence[str]) -> list[Arm]:
    """Read what is evaluated beside the arms, ``base`` left out.

    Raises:
        UserError: one is nothing that can be asked.
    """
    named = [one for one in also if one != BASE]
    return [arm for arm in read_arms(named) if arm.spec != BASE] if named else []


def _learnt(arm: Arm, options: Options, report: Reporter) -> list[str] | None:
    students = import_optional("tunixhack.evaluate.students", f"asking {arm.label}")
    found = students.StudentArm.find(arm, accept_terms=options.order.accept_terms, report=report)
    texts: list[str] | None = found.learnt()
    return texts
