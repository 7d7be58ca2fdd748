"""Building the runs of the arms that are recipes; what two of them ask alike is paid for once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunixhack._util.progress import Reporter
from tunixhack.ablate.arms import TrainedArm
from tunixhack.ablate.options import Options
from tunixhack.errors import MissingExtra, UserError
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.teachers.reference import REFERENCE
from tunixhack.teachers.registry.address import public_name

MOST = 4
"""Questions that are asked at most, over those that would do if every answer were kept: paying has an end."""


def recipe_of(arm: TrainedArm, options: Options) -> Recipe:
    """Return the recipe of an arm, with the questions that the options name.

    Raises:
        UserError: the arm is no recipe.
    """
    if arm.recipe is None:
        raise UserError(f"{arm.label} is no recipe, and its rows are there")
    return arm.recipe if options.train_source is None else arm.recipe.replace(source=options.train_source)


def questions_for(recipe: Recipe, teacher: str, answers: int) -> int:
    """Return how many questions give so many answers if every one is kept; a reference is one answer."""
    return -(-answers // (1 if teacher == REFERENCE else recipe.samples))


def run_folder(folder: Path, arm: TrainedArm) -> Path:
    """Return the folder of an arm's run."""
    return folder / "runs" / arm.folder


def build(
    arms: Sequence[TrainedArm], answers: int, options: Options, folder: Path, report: Reporter, hours: float | None
) -> list[TrainedArm]:
    """Build the runs of the arms that are recipes, or go on with them; the others stay as they are.

    Args:
        arms: all of them.
        answers: that each run is to have.
        options: with the teacher.
        folder: of the ablation.
        report: where progress goes.
        hours: that are left; None for no end.

    Raises:
        TunixHackError: a build did not come to its end.
    """
    lenders = [run_folder(folder, arm) for arm in arms if arm.recipe is not None]
    found = []
    for arm in arms:
        if arm.recipe is None:
            found.append(arm)
            continue
        assert options.teacher is not None
        place = run_folder(folder, arm)
        report.say(f"building {arm.label} with {public_name(options.teacher)}, until {answers:,} answers are kept")
        recipe = recipe_of(arm, options)
        try:
            run = recipe.build(
                options.teacher,
                accepted=answers,
                ceiling=MOST * questions_for(recipe, options.teacher, answers),
                out=place,
                reuse=[one for one in lenders if one != place and (one / STATE).exists()],
                budget=options.order.budget,
                ask_again=options.order.ask_again,
                hours=hours,
                yes=options.yes,
                report=report,
            )
        except MissingExtra:
            raise
        except UserError as error:
            raise UserError(f"{arm.label}: {error}") from error
        found.append(replace(arm, place=Run(run.folder), recipe=None))
    return found
