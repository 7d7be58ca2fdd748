"""A bake-off: the same questions to several teachers, or with several prompts, each built in a folder of its own.

Steps that select questions are left out, since they may go by what the teacher says, and each would get questions of
its own. Everything else is as in the build of a dataset, so that a later build reuses these answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunixhack._util.addresses import local_path
from tunixhack._util.files import make_folder, write_json
from tunixhack._util.progress import Reporter
from tunixhack.bakeoff import lengths
from tunixhack.bakeoff.comparison import Comparison
from tunixhack.bakeoff.entries import Entry
from tunixhack.bakeoff.figures import measure
from tunixhack.bakeoff.named import Domain, compare_command, folder_names, recipes_of, split
from tunixhack.bakeoff.student_ratio import StudentRatio
from tunixhack.errors import MissingExtra, NearlyAllDropped, TeacherFailed, TunixHackError, UserError
from tunixhack.pipeline.build import build
from tunixhack.pipeline.build_command import build_command
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.quota import most_kept
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.runs.state import STATE
from tunixhack.runs.tables import written_at
from tunixhack.steps.base import Step, selects, share_kept
from tunixhack.steps.sample import Sample
from tunixhack.teachers.registry.address import public_name

ROWS = 24_000
"""Answers of the dataset that prices and hours are estimated for."""

FILE = "compare.json"


def compare(
    teachers: str | Sequence[str],
    domain: Domain | Sequence[Domain] | Mapping[str, Domain],
    *,
    questions: int = 100,
    source: str | None = None,
    samples: int = 1,
    trace: str | None = None,
    student: str | None = None,
    max_tokens: int | None = None,
    against: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    ask_again: bool = False,
    report: Reporter | None = None,
) -> Comparison:
    """Ask several teachers the same questions, one teacher after the other, or go on where that was interrupted.

    Args:
        teachers: each as after ``--teacher``; a text is split at its commas.
        domain: one domain, or several of one name for a bake-off of prompts or settings: files whose recipes differ in
            what they ask or in ``sampling``, or recipes by what they shall be called.
        questions: that each is asked: the first of the source in the order of the seed.
        source: instead of the recipe's, as after ``--source``.
        samples: answers to each question.
        trace: native, written or guided; the recipe's when None.
        student: whose tokens lengths are counted in; characters when None. Where it has weights, not a tokenizer alone,
            and what training needs is installed, the rank-surprisal ratio of the kept answers is told as well.
        max_tokens: the limit of one answer as sent to the teacher.
        against: the benchmarks whose questions are left out, as ``--against`` of build takes them.
        out: the folder of the runs, one for each teacher and prompt; ``runs/compare-<domain>`` when None.
        seed: which questions are taken, and the base of every sample's seed.
        ask_again: ask anew where the prompt, teacher or sampling has changed since answers were paid for.
        report: where progress goes; standard error when None.

    Returns:
        What came of each. A teacher that fails is named in it with its sentence, and the others go on.

    Raises:
        UserError: the domains do not go together, or no teacher has a result, for reasons that the user can mend.
        TeacherFailed: no teacher has a result, and a teacher failed for too long.
    """
    report = report or Reporter()
    changes = {"source": source, "trace": trace, "student": student, "max_tokens": max_tokens, "against": against}
    changed = {name: value for name, value in changes.items() if value is not None}
    recipes = {name: recipe.replace(**changed) for name, recipe in recipes_of(domain).items()}
    _check(recipes)
    specs = split(teachers, "--teachers")
    first = next(iter(recipes.values()))
    folder = local_path(out or f"runs/compare-{first.domain}")
    if (folder / STATE).exists():
        raise UserError(f"{folder} is the folder of a run: choose another --out, in which each teacher gets a folder")
    sizes = {"questions": questions, "samples": samples, "seed": seed or None}
    command = compare_command(specs, domain, {**changed, **sizes, "out": folder})
    order = BuildOptions(teacher="", questions=questions, seed=seed, ask_again=ask_again, yes=True, command=command)
    ratio = StudentRatio(first.student, report.say)
    bake_off = _BakeOff(
        specs=specs, recipes=recipes, folder=folder, order=order, samples=samples, report=report, ratio=ratio
    )
    entries = bake_off.all()
    found = Comparison(
        folder=folder, samples=samples, recipe=first, rows=ROWS, entries=entries, ratio_problem=ratio.problem
    )
    if not found.measured:
        _raise_all(entries)
    found = replace(found, plot=_draw(found, report))
    write_json(folder / FILE, found.as_dict())
    return found


def _check(recipes: Mapping[str, Recipe]) -> None:
    """Check that all are asked the same questions."""
    (first, one), *others = recipes.items()
    for name, other in others:
        if other.domain != one.domain:
            raise UserError(
                f"the domain of {name} is {other.domain!r} and that of {first} {one.domain!r}: ids and choice of the "
                "questions follow it, so that others would be asked; give both recipes the same `domain`"
            )
        if other.source.describe() != one.source.describe():
            raise UserError(f"{first} and {name} take their questions from two sources: name one with --source")


def _draw(found: Comparison, report: Reporter) -> Path | None:
    path = found.folder / lengths.FILE
    bands = {entry.label: (figures.trace_lengths, figures.answer_lengths) for entry, figures in found.measured}
    try:
        drawn = lengths.draw(bands, path, found.unit)
    except MissingExtra as error:  # the answers are paid for, and the table has the same figures
        report.say(str(error))
        return None
    return path if drawn else None


@dataclass(frozen=True, kw_only=True)
class _BakeOff:
    """One bake-off at work."""

    specs: Sequence[str]
    recipes: Mapping[str, Recipe]
    folder: Path
    order: BuildOptions
    """The options of every build, except the teacher."""
    samples: int
    report: Reporter
    ratio: StudentRatio

    def all(self) -> tuple[Entry, ...]:
        pairs = [(spec, name) for spec in self.specs for name in self.recipes]
        names = folder_names(pairs, self.recipes)
        make_folder(self.folder)
        entries = []
        for number, (spec, name) in enumerate(pairs, 1):
            label = self._label(spec, name)
            self.report.say(f"{number} of {len(pairs)}: {label}")
            entries.append(self._one(spec, name, label, self.folder / names[spec, name]))
        return tuple(entries)

    def _one(self, spec: str, name: str, label: str, folder: Path) -> Entry:
        recipe, run = self.recipes[name], Run(folder)
        small = recipe.replace(
            samples=self.samples, steps=_unselecting(recipe.steps), decontaminate=recipe.decontaminate
        )
        before, problem, exit_code = _written(run), None, 0
        try:
            build(small, replace(self.order, teacher=spec), folder, self.report)
        except NearlyAllDropped as error:  # which is a result
            problem = str(error)
        except TunixHackError as error:
            problem, exit_code = str(error), error.exit_code
        has_tables = problem is None or _written(run) not in (None, before)
        if not has_tables:
            exit_code = exit_code or NearlyAllDropped.exit_code  # of the source, before anything was asked
        if problem is not None:
            self.report.warn(f"{label}: {problem}")
        rows = min(ROWS, _rows_there(run, recipe)) if has_tables else ROWS
        whole = BuildOptions(teacher=spec, rows=rows, seed=self.order.seed, reuse=(run,) if has_tables else ())
        figures = measure(run, recipe, spec, ROWS) if has_tables else None
        if figures is not None:
            figures = replace(figures, rank_surprisal=self.ratio.of(run.train))
        return Entry(
            label=label,
            teacher=public_name(spec),
            domain=str(recipe.file or recipe.domain),
            folder=folder,
            figures=figures,
            problem=problem,
            exit_code=exit_code,
            command=build_command(recipe, whole, Run(Path(f"runs/{recipe.domain}-{folder.name}"))),
        )

    def _label(self, spec: str, name: str) -> str:
        if len(self.recipes) == 1:
            return public_name(spec)
        return name if len(self.specs) == 1 else f"{public_name(spec)}, {name}"


def _unselecting(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Leave out the steps that select questions."""
    at = next((i for i, step in enumerate(steps) if isinstance(step, Sample)), 0)
    return (*(step for step in steps[:at] if not selects(step)), *steps[at:])


def _rows_there(run: Run, recipe: Recipe) -> int:
    """Return the most answers that the recipe can ask for on the run's source: one may have few questions."""
    candidates = next(line["rows_in"] for line in run.state()["funnel"] if line["step"] == "rank")
    at = next(i for i, step in enumerate(recipe.steps) if isinstance(step, Sample))
    for step in recipe.steps[:at]:
        candidates = most_kept(candidates, share_kept(step))
    return int(candidates) * recipe.samples


def _written(run: Run) -> int | None:
    """Return the time at which a run's tables were written; None before they are."""
    return written_at(run.folder, "train")


def _raise_all(entries: Sequence[Entry]) -> None:
    """Raise an error that says why no teacher has a result."""
    problems = list(dict.fromkeys(entry.problem or "" for entry in entries))
    sentence = problems[0] if len(problems) == 1 else "; ".join(f"{entry.label}: {entry.problem}" for entry in entries)
    codes = {entry.exit_code for entry in entries}
    kinds = (TeacherFailed, UserError, NearlyAllDropped)
    raise next((kind for kind in kinds if kind.exit_code in codes), UserError)(sentence)
