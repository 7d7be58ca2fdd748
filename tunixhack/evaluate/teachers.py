"""Teachers as arms: a build of the task's questions in a folder of its own, asked as for a dataset."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack.evaluate.arms import Arm
from tunixhack.evaluate.order import Order
from tunixhack.evaluate.task import ChosenQuestions, TaskQuestions
from tunixhack.pipeline.build import build
from tunixhack.pipeline.options import BuildOptions
from tunixhack.recipe import Recipe
from tunixhack.runs.answer_store import KEY
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.steps.sample import Sample


def teacher_recipe(chosen: TaskQuestions, order: Order) -> Recipe:
    """Return the recipe by which a teacher is asked: every reply is kept, since all of them are scored."""
    recipe = chosen.task.recipe
    changes = {} if order.max_tokens is None else {"max_tokens": order.max_tokens}
    return recipe.replace(
        source=ChosenQuestions(whole=chosen.task.source, chosen=chosen),
        steps=(Sample(),),
        against=None,
        max_length=None,
        samples=order.samples,
        trace=trace_of(recipe),
        sampling={**recipe.sampling, "temperature": order.temperature},
        **changes,
    )


def trace_of(recipe: Recipe) -> str:
    """Return the trace that a teacher is asked for: without the reference or support, which would give it away."""
    return "written" if recipe.trace == "guided" else recipe.trace


def ask_teacher(
    arm: Arm, chosen: TaskQuestions, order: Order, folder: Path, report: Reporter, command: str | None
) -> None:
    """Ask a teacher what its folder lacks.

    Raises:
        TunixHackError: the build did not come to its end; what there is stands in the folder.
    """
    recipe = teacher_recipe(chosen, order)
    lent = [one / chosen.task.name / arm.folder for one in order.reuse]
    options = BuildOptions(
        teacher=arm.spec,
        questions=chosen.rows.height,
        seed=order.seed,
        reuse=tuple(Run(one) for one in lent if (one / STATE).exists()),
        ask_again=order.ask_again,
        budget=order.budget,
        yes=True,
        command=command,
    )
    build(recipe, options, folder, report)


def teacher_replies(chosen: TaskQuestions, order: Order, folder: Path) -> pl.DataFrame:
    """Return the replies that a teacher's folder has to the chosen questions, with their choices."""
    run = Run(folder)
    asked = pl.concat(run.train_parts(KEY)).filter(pl.col("sample") < order.samples)
    answers = run.store.answers(lambda rows: rows.join(asked, on=KEY, how="semi", maintain_order="left"))
    return answers.filter(pl.col("question_id").is_in(chosen.rows["question_id"].implode())).unique(
        ["question_id", "sample"], keep="first", maintain_order=True
    )
