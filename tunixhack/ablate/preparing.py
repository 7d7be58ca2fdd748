"""What an ablation finds out before anything is trained: models, settings, data, questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tunixhack._util.progress import Reporter
from tunixhack.ablate.ablation import FILE, Ablation, Content
from tunixhack.ablate.arms import TrainedArm
from tunixhack.ablate.data import ArmRows, check_enough, read_rows
from tunixhack.ablate.header import check_folder, check_labels
from tunixhack.ablate.models import Model, find_models, read_settings
from tunixhack.ablate.options import Options
from tunixhack.ablate.questions import Questions, choose_questions, read_also
from tunixhack.errors import UserError
from tunixhack.evaluate.task import find_tasks
from tunixhack.train.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An ablation before its data are read."""

    arms: Sequence[TrainedArm]
    options: Options
    folder: Path
    models: Sequence[Model]
    settings: Settings
    """Of all trainings, but for the seed."""
    known: Content | None
    """What an earlier start has written into the folder."""

    @classmethod
    def find(cls, arms: Sequence[TrainedArm], options: Options, folder: Path, report: Reporter) -> Self:
        """Find models and tasks, and see that all options go together; nothing is built or read.

        Raises:
            UserError: something is not there, or does not go together.
        """
        check_folder(folder)
        known = Ablation.load(folder).content if (folder / FILE).exists() else None
        check_labels(arms, [one.label for one in read_also(options.also)])
        recipe = next((arm for arm in arms if arm.recipe is not None), None)
        if recipe is not None and options.teacher is None:
            raise UserError(f"{recipe.label} is a recipe, which is built first: say who answers with --teacher")
        find_tasks(options.on, options.source)
        models = find_models(options, known, report)
        return cls(
            arms=arms,
            options=options,
            folder=folder,
            models=models,
            settings=read_settings(options, models),
            known=known,
        )

    def rows(self, arms: Sequence[TrainedArm]) -> dict[str, list[ArmRows]]:
        """Read the rows of arms for each model; which rows fit depends on its tokens.

        Raises:
            UserError: an arm cannot be read, or has fewer rows than its largest training is to have.
        """
        largest, length = max(self.options.rows), self.settings.max_seq_len
        found = {}
        for model in self.models:
            renderer = model.base.renderer(self.settings.format, self.settings.system)
            found[model.label] = [read_rows(arm, renderer, length, largest) for arm in arms]
        for of_model in found.values():
            check_enough(of_model, largest, length)
        return found

    def questions(self, rows: dict[str, list[ArmRows]], report: Reporter) -> Questions:
        """Choose the test questions, which are in no arm's data."""
        return choose_questions([one.questions for one in rows[self.models[0].label]], self.options, report)
