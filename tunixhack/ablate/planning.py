"""What an ablation will take, and the smallest difference that it could tell; nothing is asked and nothing trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted
from tunixhack.ablate.ablation import Content
from tunixhack.ablate.builds import questions_for, recipe_of, run_folder
from tunixhack.ablate.data import ArmRows
from tunixhack.ablate.preparing import Prepared
from tunixhack.ablate.questions import Questions, read_also
from tunixhack.ablate.students import rounds, trainings_of
from tunixhack.errors import UserError
from tunixhack.evaluate.evaluation import FILE, Evaluation
from tunixhack.evaluate.statistics.power import POWER, Plan, detectable
from tunixhack.evaluate.statistics.trainings import pooled_spread
from tunixhack.evaluate.task import find_tasks
from tunixhack.pipeline.estimate import estimate
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.teachers.reference import REFERENCE
from tunixhack.teachers.registry.address import public_name

SCORES_ASSUMED = (0.05, 0.5)
"""The baseline's shares of right replies that the smallest difference is told for."""
SPREAD_ASSUMED = 0.02
"""Standard deviation of a score between trainings that is assumed until it was seen."""
FEWEST_STEPS = 20
"""Optimizer steps of a training under which it hardly learns anything."""


@dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """What an ablation will take and could tell."""

    folder: Path
    trainings: int
    trained: int
    """Of these, the ones that are done."""
    training_hours: float | None
    """Of those that are missing; None before one was timed."""
    replies: int
    """Of students, bases and teachers, with those that confirm the choice; the stored ones are counted."""
    reply_hours: float | None
    """If all were asked anew; None before some were timed."""
    dollars: dict[str, float | None]
    """Of each run that is built and each teacher that is asked; None where the price is unknown."""
    spread: float
    """Standard deviation of a score between trainings."""
    spread_seen: bool
    """Whether it was seen in this folder; else it is assumed."""
    detectable: dict[str, float | None]
    """The smallest difference that 80 % of such comparisons tell, by the baseline's assumed share of right replies."""
    comparison: str
    """What is compared, in words."""
    clusters: int | None
    """Of the questions of all tasks; None where none belong together, or the questions are not chosen yet."""
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Say it for a terminal."""
        done = f" ({self.trained:,} are done)" if self.trained else ""
        lines = [f"{counted(self.trainings, 'training')}{done}: {_span(self.training_hours, 'a training')}"]
        lines.append(f"{counted(self.replies, 'reply', 'replies')}: {_span(self.reply_hours, 'some replies')}")
        for name, dollars in self.dollars.items():
            lines.append(f"  {name}: {'price unknown' if dollars is None else f'about ${dollars:,.2f}'}")
        told = ", ".join(f"{_points(size)} where the baseline is right in {at}" for at, size in self.detectable.items())
        how = "seen here" if self.spread_seen else "assumed"
        seeds = f"; a seed moves a score by {100 * self.spread:.1f} points, as {how}" if self.spread else ""
        if self.clusters:
            told += f" at best, if the questions of {self.clusters:,} clusters were as different as others"
        lines.append(f"{self.comparison}: {100 * POWER:.0f} % of such comparisons tell {told}{seeds}")
        return [*lines, *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self) | {"folder": str(self.folder), "notes": list(self.notes)}


def make_plan(
    prepared: Prepared, rows: dict[str, list[ArmRows]] | None = None, questions: Questions | None = None
) -> AblationPlan:
    """Plan an ablation.

    Args:
        prepared: what is known before the data are read.
        rows: the data of each model, where all arms have theirs already.
        questions: the test questions, likewise.
    """
    options, known = prepared.options, prepared.known
    trainings = [
        one
        for model, size, seed in rounds(options, prepared.models)
        for one in trainings_of(prepared.arms, model, size, seed, prepared.folder)
    ]
    missing = [one for one in trainings if not one.done]
    pace = _seconds_a_row(known)
    students, others = len(trainings), len(options.also) + (len(prepared.arms) == 1)
    asked = len(options.on) * options.order.questions
    fresh = 0 if len(prepared.arms) == 1 else 2 * options.trainings * len(options.on) * options.order.questions
    if questions is not None:
        asked = sum(one.rows.height for one in questions.choosing.values())
        fresh = 2 * options.trainings * sum(one.rows.height for one in questions.confirming.values()) * bool(fresh)
    models = len(prepared.models)
    replies = (asked * (students + others * models) + fresh * models) * options.order.samples
    seconds = _seconds_a_reply(prepared)
    spread = _spread(known)
    a_task = max(2, asked // max(1, len(options.on)))
    arms = max(2, len(prepared.arms))
    return AblationPlan(
        folder=prepared.folder,
        trainings=students,
        trained=students - len(missing),
        training_hours=None if pace is None else sum(one.rows for one in missing) * pace / 3600,
        replies=replies,
        reply_hours=None if seconds is None else replies * seconds / 3600,
        dollars=dict(_dollars(prepared)),
        spread=(SPREAD_ASSUMED if spread is None else spread) if options.trainings > 1 else 0.0,
        spread_seen=spread is not None,
        detectable={
            f"{100 * score:.0f} %": detectable(
                Plan(
                    questions=a_task,
                    samples=options.order.samples,
                    trainings=options.trainings,
                    arms=arms,
                    score=score,
                    spread=(SPREAD_ASSUMED if spread is None else spread) if options.trainings > 1 else 0.0,
                )
            )
            for score in SCORES_ASSUMED
        },
        comparison=(
            f"{counted(a_task, 'question')} × {counted(options.order.samples, 'reply', 'replies')}, "
            f"{counted(options.trainings, 'training')} of each of {counted(len(prepared.arms), 'arm')}"
        ),
        clusters=_clusters(questions),
        notes=tuple(_notes(prepared, rows, questions)),
    )


def _clusters(questions: Questions | None) -> int | None:
    tasks = [] if questions is None else list(questions.choosing.values())
    counts = [one.cluster_count() for one in tasks]
    if not any(counts):
        return None
    return sum(one.rows.height if count is None else count for one, count in zip(tasks, counts, strict=True))


def say_plan(plan: AblationPlan, report: Reporter) -> None:
    """Say a plan before its work begins."""
    for line in plan.lines():
        report.say(line)


def _seconds_a_row(known: Content | None) -> float | None:
    """Return the seconds that a row of a training took; None before one was timed from its beginning to its end."""
    timed = [one for one in (known or {"trainings": {}})["trainings"].values() if one.get("seconds")]
    rows = sum(one["learnt_rows"] for one in timed)
    return sum(one["seconds"] for one in timed) / rows if rows else None


def _seconds_a_reply(prepared: Prepared) -> float | None:
    found: list[float] = []
    for model in prepared.models:
        folder = model.evaluation(prepared.folder, "choose")
        if (folder / FILE).exists():
            found += Evaluation.load(folder).content.get("seconds_a_reply", {}).values()
    return fmean(found) if found else None


def _spread(known: Content | None) -> float | None:
    """Return the spread between trainings that was seen in the folder."""
    seen = [one["by_training"] for one in (known or {"scores": []})["scores"] if len(one["by_training"]) > 1]
    return pooled_spread(seen).deviation if seen else None


def _dollars(prepared: Prepared) -> Iterator[tuple[str, float | None]]:
    """Yield what is paid for, with a price list's dollars and a rough guess of lengths."""
    options = prepared.options
    for arm in prepared.arms:
        built = (run_folder(prepared.folder, arm) / STATE).exists() and Run(run_folder(prepared.folder, arm)).done
        if arm.recipe is not None and options.teacher is not None and not built:
            recipe = recipe_of(arm, options)
            name = f"building {arm.label} with {public_name(options.teacher)}"
            yield name, _price(recipe, options.teacher, questions_for(recipe, options.teacher, max(options.rows)))
    for other in read_also(options.also):
        if other.kind == "teacher":
            dollars = [
                _price(task.recipe, other.spec, options.order.questions * options.order.samples)
                for task in find_tasks(options.on, options.source)
            ]
            known = [one for one in dollars if one is not None]
            yield f"asking {other.label}", sum(known) if len(known) == len(dollars) else None


def _price(recipe: Recipe, teacher: str, questions: int) -> float | None:
    if teacher == REFERENCE:
        return 0.0
    try:
        return estimate(recipe, teacher, questions).dollars
    except UserError:  # a server by its address has no price
        return None


def _notes(prepared: Prepared, rows: dict[str, list[ArmRows]] | None, questions: Questions | None) -> Iterator[str]:
    chosen = prepared.settings
    for model, arms in (rows or {}).items():
        tokens = min(one.tokens(min(prepared.options.rows)) for one in arms)
        steps = tokens * chosen.epochs // (chosen.max_seq_len * chosen.batch_size)
        if steps < FEWEST_STEPS:
            yield (
                f"a training of {model} with {min(prepared.options.rows):,} rows has about "
                f"{counted(max(1, steps), 'step')}, which teach little: give more --epochs, a smaller --batch-size, "
                f"or a --max-seq-len nearer to the longest row's {max(one.longest for one in arms):,} tokens"
            )
        yield from (one.note for one in arms if one.note)
    yield from questions.notes if questions is not None else ()


def _span(hours: float | None, what: str) -> str:
    if hours is None:
        return f"time unknown before {what} {'were' if what.startswith('some') else 'was'} timed"
    return f"about {counted(max(1, round(60 * hours)), 'minute')}" if hours < 1 else f"about {hours:,.1f} hours"


def _points(size: float | None) -> str:
    return "no difference" if size is None else f"{100 * size:.1f} points"
