"""The decision which questions each part of a mixture takes, before any teacher is asked."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, listed, verb
from tunixhack.errors import TunixHackError, UserError
from tunixhack.mixture.options import MixtureOptions, quotas, samples_of
from tunixhack.mixture.part_source import REASON, PartSource, SourceReader, TakenQuestions
from tunixhack.mixture.spec import MixtureSpec, Part
from tunixhack.pipeline.build_checks import check_folder, check_options
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.question_selection import QuestionSelection
from tunixhack.pipeline.quota import most_questions
from tunixhack.pipeline.recorded_steps import RecordedSteps
from tunixhack.pipeline.shards import all_shards, merged_states
from tunixhack.pipeline.step_checks import numbered, place_of_sample
from tunixhack.pipeline.step_contexts import StepContexts
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.pipeline.teacher_settings import settings_of
from tunixhack.recipe import Recipe
from tunixhack.runs.funnel import FunnelLine, count_reasons
from tunixhack.runs.run import Run
from tunixhack.sources.source import SHIPPED
from tunixhack.steps.against import NONE, named_in, read_against
from tunixhack.steps.base import Context, Step
from tunixhack.steps.request import Request
from tunixhack.teachers.reference import REFERENCE
from tunixhack.tokenizers import student_counter

PAPER = (
    "OpenThoughts' code datasets scored 39.9 with the best source, 41.3 with the best two, and 38.6, 37.0 and 36.4 "
    "with four, eight and sixteen (arXiv 2506.04178, table 3)"
)
MOST_SOURCES = 2
"""Sources of a domain beyond which more made datasets worse there."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The questions of one part."""

    name: str
    part: Part
    recipe: Recipe
    """What the part's run builds: its source has none of the earlier parts' questions."""
    options: BuildOptions
    wanted: int
    """The part's quota, in questions, or in kept rows where it has ``rows``."""
    available: int
    """The most questions that can be sent for samples."""
    short: str
    twins: Mapping[str, int] = field(default_factory=dict)
    """Questions that an earlier part has too, by its name."""
    funnel: Sequence[FunnelLine] = ()
    """Of a part that is left out, since no question is left for it: what became of its rows."""
    rejected: pl.DataFrame | None = field(default=None, repr=False, compare=False)
    """Of such a part, the rows that were rejected; None of others, whose runs have them."""
    where_without_rows: Sequence[str] = ()
    """The values in ``where`` that no row of the source has."""

    @property
    def questions(self) -> int:
        """How many questions are sent for samples, at most."""
        return self.available if self.part.rows is not None else min(self.wanted, self.available)

    def sentence(self) -> str:
        """Say what the part takes, and why it is not more."""
        told, most = counted(self.wanted, "question"), counted(self.available, "question")
        if self.part.rows is not None:
            told = f"{counted(self.wanted, 'kept row')} of at most {most}"
        elif self.wanted > self.available:
            told = f"{self.available:,} of {told}, which are all there are"
            told += ", repeated until the quota is there" if self.short == "repeat" else ""
        twins = sum(self.twins.values())
        others = f"; {counted(twins, 'other question')} {verb(twins, 'stands', 'stand')} in earlier parts"
        return f"{told}{others} ({listed(self.twins)})" if twins else told


def decide(mixture: MixtureSpec, options: MixtureOptions, out: Path, report: Reporter) -> list[Decision]:
    """Read all sources, and decide what each part takes.

    Args:
        mixture: the parts, in the order in which questions that two have belong to the first.
        options: the scale, and what each part's build is told.
        out: the mixture's folder.
        report: where sentences go.

    Raises:
        UserError: a quota cannot be filled and the part does not say ``short``, or a part cannot be built at all.
            Nothing has been asked by then.
    """
    _warn_of_many_sources(mixture, report)
    decider, decided = _Decider(mixture, options.each), []
    for (name, part), wanted in zip(mixture.named(), quotas(mixture, options), strict=True):
        report.say(f"part {name}: reading its questions …")
        try:
            decision = decider.decide(part, name, wanted, Run(out / name))
        except TunixHackError as error:
            raise type(error)(f"part {name} of mixture {mixture.name}: {error}") from error
        for sentence in decision.where_without_rows:
            report.warn(f"part {name}: {sentence}")
        report.say(f"part {name}: {decision.sentence()}")
        decided.append(decision)
    return decided


class _Decider:
    """Decides one part after the other."""

    def __init__(self, mixture: MixtureSpec, each: BuildOptions) -> None:
        self._mixture, self._each = mixture, each
        self._taken, self._earlier, self._reader = TakenQuestions(), list[str](), SourceReader()

    def decide(self, part: Part, name: str, wanted: int, run: Run) -> Decision:
        """Decide what a part takes of what the parts before it leave."""
        each = dataclasses.replace(self._each, teacher=part.teacher or self._each.teacher, part=name)
        source = PartSource.of(part.recipe.source, part.where, self._taken, self._earlier)
        recipe = part_recipe(self._mixture, part, dataclasses.replace(source, reader=self._reader))
        check_options(recipe, each)
        check_folder(run, recipe)
        found = _candidates(recipe, each, run)
        available = most_questions(found.rows.height, found.selecting)
        samples = 1 if each.teacher == REFERENCE else recipe.samples
        short = part.short or self._mixture.short
        if short == "error":
            _raise_if_short(part, wanted, available, found, samples)
        if part.rows is None:
            each = dataclasses.replace(each, questions=min(wanted, available) or None)
        else:
            goal = min(wanted, available * samples)
            each = dataclasses.replace(each, accepted=goal or None, ceiling=available or None)
        check_options(recipe, each)  # again: now with its number
        self._taken.add(name, found.rows)
        self._earlier.append(name)
        return Decision(
            name=name,
            part=part,
            recipe=recipe,
            options=each,
            wanted=wanted,
            available=available,
            short=short,
            twins=found.twins,
            funnel=() if available else found.funnel,
            rejected=None if available else pl.concat(found.rejected, how="diagonal_relaxed"),
            where_without_rows=found.where_without_rows,
        )


def part_recipe(mixture: MixtureSpec, part: Part, source: PartSource | None = None) -> Recipe:
    """Return the recipe that a part's run builds.

    Args:
        mixture: that it is part of.
        part: of the mixture.
        source: of its questions, without those of earlier parts; all rows that the part wants when None.
    """
    source = source or PartSource.of(part.recipe.source, part.where)
    recipe = part.recipe.replace(source=source, samples=samples_of(mixture, part))
    if mixture.against is not None or (recipe.against is None and source.path != SHIPPED):
        recipe = recipe.replace(against=benchmarks_of(mixture) or NONE)
    return recipe


def benchmarks_of(mixture: MixtureSpec) -> tuple[str, ...]:
    """Return the benchmarks that every part is compared with: those of all parts, since one student learns from all."""
    of_parts = (named_in(part.recipe.steps) for part in mixture.parts)
    every = tuple(dict.fromkeys(one for step in of_parts if step is not None for one in step.against))
    return every if mixture.against is None else read_against(mixture.against, every)


@dataclass(frozen=True)
class _Found:
    rows: pl.DataFrame
    """What the steps that ask nobody keep."""
    selecting: Sequence[Step]
    twins: Mapping[str, int]
    where_without_rows: Sequence[str]
    funnel: Sequence[FunnelLine]
    rejected: Sequence[pl.DataFrame]


def _candidates(recipe: Recipe, options: BuildOptions, run: Run) -> _Found:
    """Return a part's questions behind the steps that ask nobody, as its build will find them again."""
    loaded = recipe.source.load(recipe.domain)
    evidence = loaded.rejected.filter(pl.col("reason") == REASON)["evidence"]
    twins = Counter(str(json.loads(one)["part"]) for one in evidence)
    told, unrecorded = loaded.resolved["where_without_rows"], _Unrecorded(options)
    if loaded.rows.is_empty():
        rows_in = loaded.rejected.height + loaded.set_aside
        unrecorded.add_stage(FunnelLine("source", rows_in, set_aside=loaded.set_aside), loaded.rejected)
        return _Found(loaded.rows, (), twins, told, unrecorded.funnel, unrecorded.rejected)
    quiet = Reporter(quiet=True)
    # of a merge, what its shards know of their teachers is enough: nobody is reached
    shards = all_shards(options.merge) if options.merge is not None else []
    others = merged_states([Run(shard.folder / options.part) for shard in shards])
    pool = TeacherPool(settings_of(recipe, options), run, quiet, others)
    try:
        pool.check(recipe.steps)
        steps = numbered(recipe.steps)
        at = place_of_sample(steps)
        contexts = _ContextsWithoutTeacher(
            domain=recipe.domain,
            seed=options.base_seed,
            samples=recipe.samples,
            student=recipe.student,
            count_tokens=student_counter(recipe.student) if recipe.student else None,
            pool=pool,
            say=quiet.say,
        )
        recorded = RecordedSteps(unrecorded, contexts, forgive=_asks)
        selection = QuestionSelection(steps[:at], recorded, pool, quiet)
        selection.judge(loaded)
    finally:
        pool.close()
    return _Found(selection.rows, selection.selecting, twins, told, unrecorded.funnel, unrecorded.rejected)


def _raise_if_short(part: Part, wanted: int, available: int, found: _Found, samples: int) -> None:
    reachable = available * samples if part.rows is not None else available
    if reachable >= wanted:
        return
    what = "kept row" if part.rows is not None else "question"
    twins = sum(found.twins.values())
    without = f", without {counted(twins, 'question')} of earlier parts" if twins else ""
    raise UserError(
        f"its quota is {counted(wanted, what)}, and its source gives {reachable:,} at most{without}: lower the quota "
        'or --scale, add questions, or say short="keep" to take what there is, or short="repeat"'
    )


def _warn_of_many_sources(mixture: MixtureSpec, report: Reporter) -> None:
    sources: dict[str, set[str]] = {}
    for part in mixture.parts:
        sources.setdefault(part.recipe.domain, set()).add(part.recipe.source.path)
    for domain, paths in sources.items():
        if len(paths) > MOST_SOURCES:
            report.warn(f"domain {domain} has {len(paths)} sources: {PAPER}")


class _AsksTeacher(UserError):
    """A step asked a teacher while nothing may be asked yet."""


def _asks(step: Step, error: UserError) -> bool:
    return isinstance(error, _AsksTeacher)


class _ContextsWithoutTeacher(StepContexts):
    """Contexts in which asking ends the loop."""

    def __call__(self, step: str, rows: pl.DataFrame, *arguments: object, **named: object) -> Context:
        context = super().__call__(step, rows, *arguments, **named)  # type: ignore[arg-type]
        return dataclasses.replace(context, ask=_refuse)


def _refuse(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
    raise _AsksTeacher("asks a teacher")


class _Unrecorded:
    """What `Recorder` is to steps, for a loop of which nothing is written."""

    def __init__(self, options: BuildOptions) -> None:
        self.options, self.rejected, self.funnel = options, list[pl.DataFrame](), list[FunnelLine]()

    @contextmanager
    def stage(self, name: str, rows_in: int) -> Iterator[FunnelLine]:
        self.funnel.append(FunnelLine(name, rows_in))
        yield self.funnel[-1]

    def add_stage(self, stage: FunnelLine, rejected: pl.DataFrame | None = None) -> None:
        if rejected is not None:
            self.rejected.append(rejected)
            stage.rejected, stage.reasons = rejected.height, count_reasons(rejected)
        self.funnel.append(stage)

    def timed_stage(self, name: str, rows_in: int) -> AbstractContextManager[FunnelLine]:
        return nullcontext(FunnelLine(name, rows_in))

    def suggest(self, **changes: Any) -> None:
        pass
