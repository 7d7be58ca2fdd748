"""One ablation at work: trainings in their order, an evaluation behind each whole round, and the figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, verb
from tunixhack.ablate.ablation import CURVE, Ablation, Choice, Content
from tunixhack.ablate.arms import TrainedArm
from tunixhack.ablate.builds import build
from tunixhack.ablate.curve_plot import draw_curve
from tunixhack.ablate.data import ArmRows, rows_by_arm
from tunixhack.ablate.header import describe_setup, gone_on, new_content
from tunixhack.ablate.models import Model
from tunixhack.ablate.options import Options
from tunixhack.ablate.planning import make_plan, say_plan
from tunixhack.ablate.preparing import Prepared
from tunixhack.ablate.questions import Questions
from tunixhack.ablate.results import Compared, Round, figures, worse_than_the_best
from tunixhack.ablate.students import Training, has_weights, remove_weights, rounds, train, trainings_of
from tunixhack.errors import LimitReached, UserError
from tunixhack.evaluate.arms import BASE
from tunixhack.evaluate.evaluation import FILE as EVALUATION
from tunixhack.evaluate.evaluation import Evaluation
from tunixhack.evaluate.runner import ask
from tunixhack.evaluate.setup import Setup
from tunixhack.evaluate.task import TaskQuestions
from tunixhack.teachers.registry.address import public_name

CHOOSE, CONFIRM = "choose", "confirm"
now = time.monotonic
"""The clock of ``hours``."""


@dataclass(kw_only=True)
class Work:
    """One ablation at work."""

    arms: Sequence[TrainedArm]
    options: Options
    folder: Path
    report: Reporter
    models: Sequence[Model]
    rows: dict[str, list[ArmRows]]
    """The rows of all arms, for each model: which fit depends on its tokens."""
    questions: Questions
    started: float
    content: Content
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    """The rounds of each model that are whole."""
    means: dict[str, pl.DataFrame] = field(default_factory=dict)
    """The evaluation of each model's students; see `tunixhack.evaluate.figures.by_question`."""
    codes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, arms: Sequence[TrainedArm], options: Options, folder: Path, report: Reporter) -> Self:
        """Find models and data, build what is to be built, and choose the questions; nothing is trained yet.

        Raises:
            UserError: something is not there, or does not go together; all of it before anything is trained.
        """
        started = now()
        prepared = Prepared.find(arms, options, folder, report)
        waiting = any(arm.recipe is not None for arm in arms)
        if waiting:
            say_plan(make_plan(prepared), report)
        left = None if options.hours is None else options.hours - (now() - started) / 3600
        built = build(arms, max(options.rows), options, folder, report, left)
        rows = prepared.rows(built)
        questions = prepared.questions(rows, report)
        if not waiting:
            say_plan(make_plan(prepared, rows, questions), report)
        setup = describe_setup(prepared.settings, options, prepared.models, rows, questions)
        content = new_content(setup, options, folder, arms)
        if prepared.known is not None:
            content = gone_on(folder, prepared.known, content)
        Ablation(folder, content).save()
        return cls(
            arms=built, options=options, folder=folder, report=report, models=prepared.models, rows=rows,
            questions=questions, started=started, content=content,
        )  # fmt: skip

    def all(self) -> Ablation:
        """Train what is missing, evaluate it, and return the figures."""
        limit = None
        try:
            for model, size, seed in rounds(self.options, self.models):
                trained = self._round(model, size, seed)
                if trained or (self.options.drop_losers and seed == self.options.trainings - 1):
                    self._evaluate(model)
        except LimitReached as error:
            limit = error
        for model in self.models:
            self._evaluate(model, again=False)
        return self._finished(limit)

    def _round(self, model: Model, size: int, seed: int) -> bool:
        """Train a round's missing students; returns whether there was one.

        Raises:
            LimitReached: the hours are used up.
        """
        of_model = {one.arm.label: one for one in self.rows[model.label]}
        wanted = rows_by_arm(self.rows[model.label], size, self.options.match)
        trainings = trainings_of(self._active(model, size), model, size, seed, self.folder)
        anew = False
        for one in trainings:
            if one.done:
                continue
            self._check_hours(one)
            self.report.say(f"training {one}")
            data = of_model[one.arm].first(wanted[one.arm])
            seconds = train(one, data, self.options, self.report)
            known = self.content["trainings"].get(self._name(one), {})
            self.content["trainings"][self._name(one)] = {
                "model": model.label,
                "arm": one.arm,
                "rows": size,
                "learnt_rows": wanted[one.arm],
                "seed": seed,
                "seconds": seconds if seconds is not None else known.get("seconds"),
            }
            Ablation(self.folder, self.content).save()
            anew = True
        found = Round(
            rows=size,
            seed=seed,
            students={one.arm: one.folder for one in trainings},
            learnt={one.arm: of_model[one.arm].learnt_tokens(wanted[one.arm]) for one in trainings},
        )
        self.rounds.setdefault(model.label, []).append(found)
        return anew

    def _name(self, one: Training) -> str:
        return one.folder.relative_to(self.folder).as_posix()

    def _check_hours(self, one: Training) -> None:
        hours = self.options.hours
        if hours is not None and now() - self.started >= 3600 * hours:
            raise LimitReached(f"the {hours:g} hours of this start are used up before {one} was trained")

    def _active(self, model: Model, size: int) -> list[TrainedArm]:
        """Return the arms that are trained at a size: without those that lost at smaller ones."""
        lost: set[str] = set()
        if self.options.drop_losers and model.label in self.means:
            for smaller in (one for one in self.options.rows if one < size):
                compared = self._compared(model)
                if smaller in compared.sizes():
                    lost.update(worse_than_the_best(compared, self.means[model.label], smaller))
        return [arm for arm in self.arms if arm.label not in lost]

    @property
    def _baseline(self) -> str:
        return self.arms[0].label if len(self.arms) > 1 else BASE

    @property
    def _also(self) -> list[str]:
        """Return who is evaluated beside; a lone arm's students are compared with their base."""
        named = list(self.options.also)
        return [BASE, *named] if len(self.arms) == 1 and BASE not in named else named

    def _compared(self, model: Model) -> Compared:
        return Compared(
            model=model.label,
            rounds=self.rounds.get(model.label, []),
            also=[public_name(one) for one in self._also],
            baseline=self._baseline,
            samples=self.options.order.samples,
            trainings=self.options.trainings,
        )

    def _evaluate(self, model: Model, *, again: bool = True) -> None:
        """Evaluate all students of whole rounds, and write the figures."""
        whole = self.rounds.get(model.label, [])
        labels = {one.label(arm) for one in whole for arm in one.students}
        known = self.means.get(model.label)
        if not whole or (not again and known is not None and labels <= set(known["arm"].to_list())):
            return
        students = [path for one in whole for path in one.students.values()]
        found = self._asked(model, students, self._also, CHOOSE, self.questions.choosing)
        self.means[model.label], self.codes[model.label] = found.questions, found.exit_code
        self.problems += [one for one in found.notes if one not in self.problems]
        self._write()

    def _asked(
        self,
        model: Model,
        students: Sequence[Path],
        others: Sequence[str],
        name: str,
        questions: dict[str, TaskQuestions],
    ) -> Evaluation:
        """Evaluate students, bases and teachers.

        Raises:
            UserError: the weights of a student were removed, and its replies to these questions are not all stored.
        """
        folder, options = model.evaluation(self.folder, name), self.options
        removed = [path for path in students if not has_weights(path)]
        if removed:
            return _stored(folder, [*others, *map(str, students)], questions, removed[0])
        first = self.models[0].evaluation(self.folder, name)
        # a teacher that was asked beside the first model is not asked again
        order = replace(options.order, reuse=(first,)) if first != folder and first.exists() else options.order
        specs = [*others, *map(str, students)]
        setup = Setup.find(specs, list(options.on), options.source, order, self.report, questions)
        return ask(setup, folder, self.content["command"], self.report)

    def _confirm(self, choice: Choice, model: Model) -> None:
        """Ask the chosen arm and the baseline fresh questions."""
        compared = self._compared(model)
        if choice["arm"] == compared.baseline or len(self.arms) == 1 or not self.questions.confirming:
            return
        pair = (compared.baseline, choice["arm"])
        deciding = [one for one in compared.rounds if one.rows == choice["rows"]]
        chosen = [replace(one, students={arm: one.students[arm] for arm in pair}) for one in deciding]
        students = [path for one in chosen for path in one.students.values()]
        found = self._asked(model, students, (), CONFIRM, self.questions.confirming)
        alone = replace(compared, rounds=chosen, also=())
        figured = figures(alone, found.questions)
        self.content["confirmed_scores"] += figured.scores
        self.content["confirmed"] += figured.differences

    def _write(self, notes: Sequence[str] = (), code: int = 0) -> Ablation:
        content = self.content
        all_figures = [
            figures(self._compared(model), self.means[model.label])
            for model in self.models
            if model.label in self.means
        ]
        content["scores"] = [line for one in all_figures for line in one.scores]
        content["differences"] = [line for one in all_figures for line in one.differences]
        content["slopes"] = [line for one in all_figures for line in one.slopes]
        content["choices"] = [one.choice for one in all_figures if one.choice is not None]
        content["confirmed_scores"], content["confirmed"] = [], []
        short = [one.note for of_model in self.rows.values() for one in of_model if one.note]
        data = [note for one in self.rows[self.models[0].label] for note in one.dataset.notes]
        told = [*notes, *self._dropped(), *self.questions.notes, *short, *data, *self.problems]
        content["notes"] = list(dict.fromkeys(told))
        content["exit_code"] = code
        found = Ablation(self.folder, content)
        found.save()
        return found

    def _dropped(self) -> Iterator[str]:
        """Yield a sentence for each arm that was not trained at a size, since it had lost at a smaller one."""
        for label, whole in self.rounds.items():
            for size in sorted({one.rows for one in whole}):
                trained = next(one.students for one in whole if one.rows == size)
                for arm in self.arms:
                    if arm.label not in trained:
                        yield f"{label}: {arm.label} was worse than the best at fewer than {size:,} rows: not trained"

    def _finished(self, limit: LimitReached | None) -> Ablation:
        done = sum(len(one.students) for whole in self.rounds.values() for one in whole)
        notes = []
        code = next(filter(None, self.codes.values()), 0)
        if limit is not None:
            told = f"{counted(done, 'student')} of whole comparisons {verb(done, 'is', 'are')} evaluated"
            notes.append(f"{limit}; {told}, and the same command goes on")
            code = limit.exit_code
        found = self._write(notes, code)
        if limit is None:
            for choice in list(found.content["choices"]):
                self._confirm(choice, next(one for one in self.models if one.label == choice["model"]))
        found.save()
        if found.content["slopes"]:
            draw_curve(found.content["scores"], self.folder / CURVE)
        if limit is None and self.options.method == "full" and not self.options.keep:
            self._remove_weights(found.chosen)
        return found

    def _remove_weights(self, chosen: Mapping[str, str]) -> None:
        """Remove the full weights of arms that were not chosen: each is as large as the model itself."""
        for label, whole in self.rounds.items():
            for one in whole:
                for arm, path in one.students.items():
                    if arm != chosen.get(label):
                        remove_weights(path)


def _stored(folder: Path, specs: Sequence[str], questions: Mapping[str, TaskQuestions], removed: Path) -> Evaluation:
    """Return the evaluation that was written before weights were removed.

    Raises:
        UserError: it has not all that is asked for.
    """
    found = Evaluation.load(folder) if (folder / EVALUATION).exists() else None
    known = set() if found is None else {(one["label"]) for one in found.content["arms"]}
    asked = {} if found is None else {name: one["asked"] for name, one in found.content["tasks"].items()}
    wanted = {name: one.rows.height for name, one in questions.items()}
    if found is None or not {public_name(one) for one in specs} <= known or asked != wanted:
        raise UserError(
            f"{removed} has no weights any more, as the arms that were not chosen without --keep, so that it cannot be "
            "asked anything new: go on with the questions and arms that it was evaluated with, or use another --out"
        )
    return found
