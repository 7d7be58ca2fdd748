"""The task ``held-back``: the validation questions that the students' own trainings held back.

They are of the very kind that was trained on, and no student has seen them. Their rows have the trace and answer that
the student would have learnt, hence a loss; and where a row carries a reference, replies are right or wrong as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tunixhack._util.ids import digest, rank
from tunixhack._util.wording import counted
from tunixhack.domain_files import find
from tunixhack.errors import UserError
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.contamination import LearntTexts, kept_tokens
from tunixhack.evaluate.losses import Solutions
from tunixhack.evaluate.scores import scorer_of
from tunixhack.evaluate.task import NO_REFERENCE, OWN_SYSTEM, UNREAD_REFERENCE, Task, TaskQuestions, find_tasks
from tunixhack.recipe import Recipe
from tunixhack.recipes import domains
from tunixhack.runs.schema import QUESTION, REJECTION
from tunixhack.sources.source import Loaded
from tunixhack.train import record
from tunixhack.train.data.datasets import rows_and_examples
from tunixhack.train.data.rows import TrainingExample
from tunixhack.train.data.tokenize import choose_validation_questions

NAME = "held-back"
OTHER_DOMAIN = "held_back"


@dataclass(frozen=True, kw_only=True)
class HeldBackRow:
    """The first row of a question that was held back."""

    example: TrainingExample
    reference: str | None


@dataclass(frozen=True, kw_only=True)
class HeldBackSource:
    """Stands for a source of questions, of which there is no other place."""

    path: str
    questions: str
    """A digest of their ids."""
    name: str | None = None
    license: str | None = None
    shipped: str | None = None

    def override(self, spec: str) -> HeldBackSource:
        """Refuse another source."""
        raise UserError(f"{NAME} has the questions that the trainings held back: leave --source out")

    def with_columns(self, columns: str | Mapping[str, str]) -> HeldBackSource:
        """Refuse other columns."""
        raise UserError(f"{NAME} has no columns to choose from")

    def columns_spelling(self) -> str | None:
        """Return None: there are no other columns."""
        return None

    def spelling(self) -> str:
        """Return the name of the task."""
        return self.path

    def describe(self) -> dict[str, Any]:
        """Say which questions these are."""
        return {"path": self.path, "questions": self.questions}

    def load(self, domain: str) -> Loaded:
        """Return no questions: `HeldBack` has them."""
        return Loaded(pl.DataFrame(schema=QUESTION), pl.DataFrame(schema=QUESTION | REJECTION), {})


@dataclass(frozen=True, kw_only=True)
class HeldBack(Task):
    """The questions that all students' trainings have held back."""

    rows: Mapping[str, HeldBackRow] = field(repr=False)
    """By the question's id."""
    solutions: Solutions = field(repr=False)
    """Empty where the students' datasets have other answers to these questions."""

    def questions(self, count: int, learnt: LearntTexts, seed: int) -> TaskQuestions:
        """Choose the questions, in the order of the seed; those without a known answer are for the loss alone.

        Raises:
            UserError: no question is left.
        """
        names = sorted(self.rows, key=lambda name: (rank(seed, name), name))
        left_out: dict[str, int] = {OWN_SYSTEM: 0}
        listed: list[dict[str, Any]] = []
        for name in names:
            row = self.rows[name]
            if row.example.system:
                left_out[OWN_SYSTEM] += 1
            elif len(listed) < count:
                known = {"question_id": name, "domain": self.recipe.domain, "source": self.source.path}
                listed.append({**known, "question": row.example.question, "reference": row.reference})
        rows = pl.DataFrame(listed, schema=QUESTION)
        why = list(self.reasons(rows, learnt)) if listed else []
        kept = [at for at, reason in enumerate(why) if reason is None]
        unscored = [at for at, reason in enumerate(why) if reason in (NO_REFERENCE, UNREAD_REFERENCE)]
        for reason in why:
            if reason not in (None, NO_REFERENCE, UNREAD_REFERENCE):
                left_out[reason] = left_out.get(reason, 0) + 1
        if not kept and not (unscored and self.solutions):
            why_not = (
                "none carries a reference that the scorer reads, and the students' datasets have no solutions in common"
                if unscored
                else "all are left out"
            )
            raise UserError(f"{NAME} has nothing to compare: of {counted(len(names), 'question')} {why_not}")
        return TaskQuestions(
            task=self,
            rows=rows[kept],
            left_out={reason: number for reason, number in left_out.items() if number},
            looked_at=len(names),
            loaded=self.source.load(self.recipe.domain),
            solutions=self.solutions,
            note=self._note(len(unscored), len(kept)),
            unscored=rows[unscored],
        )

    def _note(self, unscored: int, scored: int) -> str | None:
        if not self.solutions:
            return f"{NAME}: the students' datasets answer these questions differently, so that no loss is told"
        if unscored:
            those = f"{counted(unscored, 'question')} without a reference that the scorer reads"
            return f"{NAME}: of {those} only the loss is told; {scored:,} others are asked"
        return None


def tasks_of(on: str | Sequence[str], source: str | None, arms: Sequence[Arm], *, judged: bool = False) -> list[Task]:
    """Find the tasks of a list with commas, ``held-back`` among them.

    Raises:
        UserError: as `find_tasks`; or the students did not hold back the same questions.
    """
    listed = [one.strip() for one in (on.split(",") if isinstance(on, str) else on) if one.strip()]
    if NAME not in listed:
        return find_tasks(on, source, judged=judged)
    if judged:
        raise UserError(f"{NAME} is scored by its own references and losses: leave out --judge, or name a domain")
    if source is not None:
        raise UserError(f"--source is for a domain, and {NAME} has questions of its own: leave one of them out")
    if listed.count(NAME) > 1:
        raise UserError(f"--on names the task {NAME} twice: name it once")
    others = [one for one in listed if one != NAME]
    tasks = find_tasks(others, None) if others else []
    tasks.insert(listed.index(NAME), held_back_task(arms))
    return tasks


def held_back_task(arms: Sequence[Arm]) -> HeldBack:
    """Return the questions that the trainings of all students among some arms have held back.

    Raises:
        UserError: there is no student; or one held back nothing, or other questions; or its data are gone.
    """
    students = [arm for arm in arms if arm.kind == "student"]
    if not students:
        raise UserError(f"{NAME} is what trainings held back, and no student is named: name the folder of one")
    first, *others = ((arm.label, held_back_rows(Path(arm.spec).expanduser())) for arm in students)
    label, rows = first
    solutions = {name: (row.example.reasoning, row.example.answer) for name, row in rows.items()}
    for other, held in others:
        if held.keys() != rows.keys():
            common = len(held.keys() & rows.keys())
            raise UserError(
                f"{other} and {label} held back other questions ({common:,} of {len(rows):,} in common), so that "
                f"{NAME} is not one task: compare students of the same questions and seed"
            )
        if any((row.example.reasoning, row.example.answer) != solutions.get(name) for name, row in held.items()):
            solutions = {}
    recipe = _recipe({row.example.domain for row in rows.values()})
    source = HeldBackSource(path=NAME, questions=digest(sorted(rows))[:16])
    return HeldBack(name=NAME, recipe=recipe, source=source, scorer=scorer_of(recipe), rows=rows, solutions=solutions)


def held_back_rows(folder: Path) -> dict[str, HeldBackRow]:
    """Return the first row of each question that a training held back, by the question's id.

    Raises:
        UserError: it held back none, or its tokens or datasets are gone or changed.
    """
    kept = record.read(folder)
    tokens = kept_tokens(folder, kept)
    if tokens is None:
        raise UserError(f"{folder} has not kept its tokens, which say what it held back: let its training go on")
    learnt = np.zeros(1 + int(tokens.example.max(initial=-1)), dtype=np.bool_)
    learnt[tokens.example] = True
    wanted = {int(tokens.example[number]) for number in tokens.validation_rows()}
    if not wanted:
        raise UserError(f"{folder} held no questions back: train with --validation-questions, or name another task")
    found: dict[str, HeldBackRow] = {}
    ids: set[str] = set()
    pairs = (pair for one in kept.data.datasets for pair in rows_and_examples(one.name))
    for place, (row, example) in enumerate(pairs):
        if place < len(learnt) and learnt[place]:
            ids.add(example.question_id)
        if place in wanted and example.question_id not in found:
            reference = row.get("reference")
            text = reference if isinstance(reference, str) and reference.strip() else None
            found[example.question_id] = HeldBackRow(example=example, reference=text)
    if len(found) >= len(ids) or choose_validation_questions(ids, len(found), kept.settings.seed) != found.keys():
        raise UserError(f"the data of {folder} have changed since its training: what it held back is not known")
    return found


def _recipe(names: set[str]) -> Recipe:
    """Return the recipe of the one domain that all rows are of; else the general one."""
    if len(names) == 1 and (name := next(iter(names))) in domains():
        return find(name)
    from tunixhack.recipes import general

    return general.recipe.replace(domain=OTHER_DOMAIN, trace="written")
