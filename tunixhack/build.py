"""One build, from the source to the files of a run: what happens in which order (contract 8)."""

from __future__ import annotations

import platform
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack import __version__
from tunixhack.answers.sample import Sample
from tunixhack.answers.student_tokens import student_counter
from tunixhack.columns import CORE, QUESTION, REJECTION, conform
from tunixhack.errors import NearlyAllDropped, TeacherFailed, TunixHackError, UserError
from tunixhack.files import write_parquet, write_text
from tunixhack.funnel import Stage, count_reasons, count_tokens, nearly_all_dropped
from tunixhack.ids import rank
from tunixhack.lock import locked
from tunixhack.progress import Reporter
from tunixhack.publish.card import card
from tunixhack.questions.sources import Loaded, collapse_equal_ids
from tunixhack.recipe import Recipe
from tunixhack.run import DONE, RUNNING, STOPPED, Run, folders
from tunixhack.steps import Context, Step, Verdict, candidates_needed, judge, share_kept, step_name
from tunixhack.teachers.asking import Teachers
from tunixhack.teachers.reference import REFERENCE
from tunixhack.teachers.traces import TRACES

INTERNAL = ["choice"]
"""Columns that steps pass on and no file shows: the raw choice stands in the store."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of one build, beside the recipe."""

    teacher: str
    questions: int | None = None
    rows: int | None = None
    seed: int = 0
    reuse: Sequence[str | Path | Run] = ()
    ask_again: bool = False


def build(recipe: Recipe, order: Order, out: Path, report: Reporter | None = None) -> Run:
    """Build a recipe's dataset in a folder; see `Recipe.build`."""
    report = report or Reporter()
    run = Run(out)
    _check(recipe, order)
    _check_folder(run, recipe)
    reused = folders(order.reuse)
    count_tokens_of = student_counter(recipe.student) if recipe.student else None
    teachers = Teachers(recipe, order, run, report)
    try:
        teachers.main  # noqa: B018  # an unknown or absent teacher is told of before anything else is done
        loaded = recipe.source.load(recipe.domain)
        out.mkdir(parents=True, exist_ok=True)
        with locked(out):
            run.store.import_journal()
            for other in reused:
                run.store.add(other.store.answers())
            work = _Build(recipe, order, run, report, teachers, count_tokens_of)
            return work.carry_out(loaded)
    finally:
        teachers.close()


def _check(recipe: Recipe, order: Order) -> None:
    if recipe.samples < 1:
        raise UserError(f"samples={recipe.samples}: ask for at least one answer a question")
    for name, value in (("questions", order.questions), ("rows", order.rows)):
        if value is not None and value < 1:
            raise UserError(f"{name}={value}: ask for at least one")
    if order.questions is not None and order.rows is not None:
        raise UserError("--questions and --rows say the same thing twice: give one of them")
    if recipe.trace not in TRACES:
        raise UserError(f"trace={recipe.trace!r} is unknown: it is one of {', '.join(TRACES)}")
    if recipe.max_tokens is not None and recipe.max_tokens < 1:
        raise UserError(f"--max-tokens {recipe.max_tokens}: an answer needs at least one token")
    if sum(isinstance(step, Sample) for step in recipe.steps) != 1:
        raise UserError(f"the recipe {recipe.domain} needs exactly one Sample() among its steps")


def _check_folder(run: Run, recipe: Recipe) -> None:
    """Hold contract 10: a folder belongs to one domain and source."""
    state = run.state()
    for what, here in (("domain", recipe.domain), ("source", recipe.source.describe())):
        if state.get(what, here) != here:
            raise UserError(
                f"{run.folder} holds a run of {what} {_short(state[what])}, not {_short(here)}: choose another --out"
            )


def _short(value: Any) -> str:
    return " ".join(str(part) for part in value.values() if part) if isinstance(value, dict) else str(value)


@dataclass
class _Build:
    """The state of one build while it works."""

    recipe: Recipe
    order: Order
    run: Run
    report: Reporter
    teachers: Teachers
    count_tokens: Any
    funnel: list[Stage] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    missing: int = 0
    alarm: str | None = None

    def carry_out(self, loaded: Loaded) -> Run:
        self._begin(loaded)
        try:
            rows, candidates = self._source(loaded)
            at = next(i for i, step in enumerate(self.recipe.steps) if isinstance(step, Sample))
            rows = self._questions(rows, self.recipe.steps[:at])
            answers = self._sample(rows, at)
            kept = self._answers(answers, self.recipe.steps[at + 1 :])
        except KeyboardInterrupt:
            self._end(STOPPED, "interrupted")
            raise
        except TunixHackError as error:
            self._end(STOPPED, str(error))
            raise
        self._write(kept, candidates, set(rows["question_id"].to_list()))
        if self.missing:
            why = f"{self.missing:,} answers are missing{self.teachers.why_missing()}; the same command asks for them"
            self._end(STOPPED, why)
            raise TeacherFailed(why)
        self._end(DONE, self.alarm)
        if self.alarm:
            raise NearlyAllDropped(f"{self.alarm}; everything is written to {self.run.folder}")
        return self.run

    # questions

    def _source(self, loaded: Loaded) -> tuple[pl.DataFrame, pl.DataFrame]:
        total = loaded.rows.height + loaded.rejected.height
        self._note(Stage("source", total, kept=loaded.rows.height), loaded.rejected)
        rows, same = collapse_equal_ids(loaded.rows)
        self._note(Stage("equal_ids", loaded.rows.height, kept=rows.height), same)
        if rows.is_empty():
            raise UserError(f"the source has no usable question: all {total:,} rows are rejected")
        ranked = rows.with_columns(
            pl.Series("rank", [rank(self.order.seed, question) for question in rows["question_id"]])
        ).sort("rank")
        return ranked.drop("rank"), rows

    def _questions(self, rows: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
        """Judge questions; from the first selecting step on, only as many as are needed."""
        selecting = [i for i, step in enumerate(steps) if share_kept(step) < 1]
        choose_at = selecting[0] if selecting else len(steps)
        quotas: dict[int, int] = {}
        for i, step in enumerate(steps):
            if i == choose_at:
                rows, quotas = self._choose(rows, steps, selecting)
            rows = self._judge(step, rows, quota=quotas.get(i))
        if not selecting:
            rows, _ = self._choose(rows, steps, selecting)
        return rows

    def _choose(
        self, rows: pl.DataFrame, steps: Sequence[Step], selecting: Sequence[int]
    ) -> tuple[pl.DataFrame, dict[int, int]]:
        """Set aside the candidates behind those that are needed, in rank order, before anything is paid."""
        asked = self._quota()
        if asked is None:
            asked = rows.height
            for i in selecting:
                asked = _most(asked, share_kept(steps[i]))
        quotas, needed = {}, asked
        for i in reversed(selecting):
            quotas[i] = needed
            needed = candidates_needed(needed, share_kept(steps[i]))
        if needed > rows.height or not needed:
            most = rows.height
            for i in selecting:
                most = _most(most, share_kept(steps[i]))
            why = "".join(f", of which {step_name(steps[i])} keeps {share_kept(steps[i]):g}" for i in selecting)
            raise UserError(
                f"{asked:,} questions need {needed:,} candidates{why}, but the source has {rows.height:,} after the "
                f"steps before: ask for at most {most:,}, or add questions"
            )
        self._note(Stage("rank", rows.height, kept=needed, set_aside=rows.height - needed))
        return rows.head(needed), quotas

    def _quota(self) -> int | None:
        if self.order.rows is not None:
            return -(-self.order.rows // self._samples)
        return self.order.questions

    # answers

    @property
    def _samples(self) -> int:
        return 1 if self.order.teacher == REFERENCE else self.recipe.samples

    def _sample(self, rows: pl.DataFrame, at: int) -> pl.DataFrame:
        step = self.recipe.steps[at]
        watch = _Alarm(self, rows, self.recipe.steps[at + 1 :])
        with self._timed("sample") as stage:
            stage.rows_in = rows.height
            answers = step(rows, self._context("sample", rows, watch=watch))
            if not isinstance(answers, pl.DataFrame):
                raise UserError("the sampling step must return rows")
            stage.made = answers.height
            stage.missing = self.missing = rows.height * self._samples - answers.height
        return answers

    def _answers(self, rows: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
        for step in steps:
            rows = self._judge(step, rows, paid=True)
        return rows

    def _judge(self, step: Step, rows: pl.DataFrame, quota: int | None = None, paid: bool = False) -> pl.DataFrame:
        """Run one step and keep its books."""
        name = step_name(step)
        with self._timed(name) as stage:
            stage.rows_in = rows.height
            result = step(rows, self._context(name, rows, quota=quota))
            if isinstance(result, pl.DataFrame):
                stage.made = result.height
                return result
            if not isinstance(result, Verdict):
                raise UserError(f"step {name} must return a Verdict or rows, not {type(result).__name__}")
            judged = judge(step, rows, result)
            stage.kept, stage.rejected = judged.kept.height, judged.rejected.height
            stage.reasons = count_reasons(judged.rejected)
            stage.check()
            self.rejected.append(judged.rejected)
        if nearly_all_dropped(rows.height, stage.rejected, share_kept(step)):
            why = f"step {name} dropped {stage.rejected:,} of {rows.height:,} rows ({_listed(stage.reasons)})"
            if not paid:
                raise NearlyAllDropped(f"{why}: look at the source and the step before paying for answers")
            self.alarm = self.alarm or why
        return judged.kept

    def _context(
        self, step: str, rows: pl.DataFrame, quota: int | None = None, watch: _Alarm | None = None
    ) -> Context:
        return Context(
            seed=self.order.seed,
            samples=self._samples,
            quota=quota,
            trace=self.teachers.trace,
            render=self.teachers.render,
            max_tokens=self.teachers.max_tokens,
            count_tokens=self.count_tokens,
            student=self.recipe.student,
            ask=self.teachers.asker(step, rows, watch),
        )

    # books

    @contextmanager
    def _timed(self, name: str) -> Iterator[Stage]:
        """Time a step, over every start, and add the tokens that the store has of it."""
        stage, start = Stage(name, 0), time.monotonic()
        try:
            yield stage
        finally:
            seconds = self._state["starts"][-1]["seconds"]
            seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - start, 3)
            stage.seconds = round(sum(s["seconds"].get(name, 0.0) for s in self._state["starts"]), 3)
            answers = self.run.store.answers() if name in self.teachers.asked else None
            if answers is not None and answers.filter(pl.col("step") == name).height:
                tokens = count_tokens(answers.filter(pl.col("step") == name))
                stage.prompt_tokens, stage.completion_tokens = tokens["prompt_tokens"], tokens["completion_tokens"]
                stage.at_least = tokens["at_least"] or self.teachers.counts_one_choice(name)
            self.funnel.append(stage)
            self._save()

    def _note(self, stage: Stage, rejected: pl.DataFrame | None = None) -> None:
        if rejected is not None:
            stage.rejected, stage.reasons = rejected.height, count_reasons(rejected)
            self.rejected.append(rejected)
        stage.check()
        self.funnel.append(stage)

    def _begin(self, loaded: Loaded) -> None:
        state = self.run.state()
        starts = state.get("starts", [])
        for start in starts:
            if start["state"] == RUNNING:
                start["state"] = "killed"
        self._state: dict[str, Any] = {
            "tunixhack": __version__,
            "domain": self.recipe.domain,
            "source": self.recipe.source.describe(),
            "resolved": loaded.resolved,
            "recipe": {
                "samples": self.recipe.samples,
                "trace": self.teachers.trace,
                "max_tokens": self.recipe.max_tokens,
                "sampling": dict(self.recipe.sampling),
                "student": self.recipe.student,
                "steps": [repr(step) if not hasattr(step, "__name__") else step_name(step) for step in self.recipe.steps],
            },
            "order": {"questions": self.order.questions, "rows": self.order.rows, "seed": self.order.seed},
            "teachers": state.get("teachers", {}) | self.teachers.remembered(),
            "versions": _versions(),
            "command": command(self.recipe, self.order, self.run.folder),
            "state": RUNNING,
            "why": None,
            "starts": [*starts, {"started": _now(), "ended": None, "state": RUNNING, "seconds": {}}],
            "funnel": state.get("funnel", []),
        }
        self.run.save(self._state)

    def _save(self) -> None:
        done = {stage.step for stage in self.funnel}
        earlier = [line for line in self._state["funnel"] if line["step"] not in done]
        shown = [stage.as_dict() for stage in self.funnel]
        self.run.save(self._state | {"funnel": shown + (earlier if self._state["state"] == RUNNING else [])})

    def _end(self, state: str, why: str | None) -> None:
        self._state |= {"state": state, "why": why}
        self._state["starts"][-1] |= {"state": state, "ended": _now()}
        self._save()

    def _write(self, kept: pl.DataFrame, candidates: pl.DataFrame, selected: set[str]) -> None:
        """Write the three tables and the card; sorted, so that equal runs are equal files (contract 9)."""
        train = conform(kept.drop(INTERNAL, strict=False), CORE).sort("question_id", "sample")
        rejected = pl.concat([conform(rows, CORE | REJECTION) for rows in self.rejected], how="diagonal_relaxed")
        rejected = rejected.drop(INTERNAL, strict=False).sort("question_id", "sample", "step", "source_row")
        questions = conform(candidates, QUESTION).with_columns(
            pl.col("question_id").is_in(list(selected)).alias("selected")
        )
        write_parquet(self.run.folder / "questions.parquet", questions.sort("question_id"))
        write_parquet(self.run.folder / "rejected.parquet", rejected)
        write_parquet(self.run.folder / "train.parquet", train)
        state = self._state | {"funnel": [stage.as_dict() for stage in self.funnel]}
        write_text(self.run.folder / "README.md", card(state, train, self.recipe.source))


class _Alarm:
    """Looks at answers while they come: the first 50, then 100, 200, … (contract 11)."""

    def __init__(self, build: _Build, questions: pl.DataFrame, steps: Sequence[Step]) -> None:
        self.build, self.questions, self.steps = build, questions, steps
        self.received: list[dict[str, Any]] = []
        self.look_at = 50
        self.raised = False

    def __call__(self, new: list[dict[str, Any]]) -> None:
        self.received.extend(new)
        if self.raised or len(self.received) < self.look_at:
            return
        self.look_at *= 2
        answers = pl.DataFrame(self.received).drop("step", "usage", "count", "when")
        rows = self.questions.with_columns(pl.lit(self.build.teachers.trace).alias("trace"))
        rows = rows.join(answers, on="question_id", how="inner")
        for step in self.steps:
            verdict = step(rows, self.build._context(step_name(step), rows))
            if not isinstance(verdict, Verdict):
                return
            judged = judge(step, rows, verdict)
            if nearly_all_dropped(rows.height, judged.rejected.height, share_kept(step)):
                self.raised = True
                self.build.report.warn(
                    f"step {step_name(step)} drops {judged.rejected.height:,} of the first {rows.height:,} answers "
                    f"({_listed(count_reasons(judged.rejected))}): stop with Ctrl-C if that is not what you want to pay for"
                )
                return
            rows = judged.kept


def command(recipe: Recipe, order: Order, out: Path) -> str:
    """Return the command line that goes on with a run."""
    parts = ["tunixhack", "build", recipe.domain, "--source", recipe.source.spelling(), "--teacher", order.teacher]
    for option, value in (
        ("--questions", order.questions),
        ("--rows", order.rows),
        ("--samples", recipe.samples),
        ("--trace", recipe.trace),
        ("--student", recipe.student),
        ("--max-tokens", recipe.max_tokens),
        ("--seed", order.seed or None),
        ("--out", out),
    ):
        if value is not None:
            parts += [option, str(value)]
    return shlex.join(parts)


def _most(available: int, keep: float) -> int:
    """Return the largest quota whose candidates are available."""
    quota = int(available * keep) + 1
    while quota and candidates_needed(quota, keep) > available:
        quota -= 1
    return quota


def _listed(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    names = ("tunixhack", "bespokelabs-curator", "datasets", "polars", "xllamacpp")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
