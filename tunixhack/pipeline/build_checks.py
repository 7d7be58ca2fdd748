"""The checks that a build has to pass before anything is loaded or asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tunixhack._util.wording import counted, verb
from tunixhack.errors import UserError
from tunixhack.pipeline.accepted_goal import most_accepted
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.pipeline.step_checks import check_steps, numbered
from tunixhack.runs.run import Run
from tunixhack.steps.against import NONE, named_in
from tunixhack.steps.benchmarks import Benchmark
from tunixhack.steps.decontaminate import Decontaminate
from tunixhack.steps.parse import TRACES
from tunixhack.teachers.reference import REFERENCE

MOST_SAMPLES = 10_000
"""More of one question is a slip of the finger."""


def check_options(recipe: RecipeSpec, options: BuildOptions) -> None:
    """Check the numbers of a build, and its recipe's steps, before anything is loaded.

    Raises:
        UserError: one of them makes no sense, or two contradict one another.
    """
    numbers: dict[str, Any] = {"samples": recipe.samples, "questions": options.questions, "rows": options.rows}
    numbers |= {"accepted": options.accepted, "ceiling": options.ceiling}
    numbers |= {"preview": options.preview, "concurrency": options.concurrency}
    for name, value in (numbers | {"max_tokens": recipe.max_tokens, "seed": options.seed}).items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise UserError(f"{name}={value!r} must be a whole number")
    if recipe.samples < 1:
        raise UserError(f"samples={recipe.samples}: ask for at least one answer a question")
    if recipe.samples > MOST_SAMPLES:
        raise UserError(f"samples={recipe.samples}: ask for at most {MOST_SAMPLES:,} answers a question")
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UserError(f"{name}={value}: ask for at least one")
    if options.questions is not None and options.rows is not None:
        raise UserError("--questions and --rows say the same thing twice: give one of them")
    for name in ("seed", "n"):
        if name in recipe.sampling:
            raise UserError(
                f"sampling has {name!r}, which is set for every request: the seeds come from the run's, and with "
                "seed=None (--no-seed) none is sent"
            )
    if recipe.trace not in TRACES:
        raise UserError(f"trace={recipe.trace!r} is unknown: it is one of {', '.join(TRACES)}")
    if recipe.max_tokens is not None and recipe.max_tokens < 1:
        raise UserError(f"max_tokens={recipe.max_tokens}: an answer needs at least one token")
    check_steps(numbered(recipe.steps), received=("wording",) if recipe.wordings else ())
    if options.accepted is not None and (options.shard or options.prepare or options.merge):
        raise UserError(
            "--accepted goes on until enough answers are kept, which no shard knows: give --questions, or build in one"
        )
    if options.shard and options.preview:
        raise UserError("--preview looks at the whole, and --shard builds a part: give one of them")
    _check_accepted(recipe, options)


def _check_accepted(recipe: RecipeSpec, options: BuildOptions) -> None:
    """See that ``accepted`` and ``ceiling`` stand together, and alone."""
    wanted, ceiling = options.accepted, options.ceiling
    for name, other in (("--questions", options.questions), ("--rows", options.rows)):
        if other is not None and (wanted or ceiling):
            raise UserError(
                f"--accepted goes on until enough answers are kept, and {name} asks for a fixed number: give one"
            )
    if wanted is None and ceiling is not None:
        raise UserError("--ceiling is the most questions that --accepted asks: give both, or --questions alone")
    if wanted is None:
        return
    if ceiling is None:
        raise UserError("--accepted needs --ceiling, the most questions that are asked, so that paying has an end")
    if options.batch:
        raise UserError("--accepted goes by what has come, and a batch comes within a day: leave out one of the two")
    most = most_accepted(recipe.steps, 1 if options.teacher == REFERENCE else recipe.samples)
    if wanted > ceiling * most:
        raise UserError(
            f"{counted(wanted, 'accepted answer')} {verb(wanted, 'needs', 'need')} at least "
            f"{counted(-(-wanted // most), 'question')} of {counted(most, 'answer')} each, and --ceiling is "
            f"{ceiling:,}: raise it, or ask for fewer answers"
        )


def check_folder(run: Run, recipe: RecipeSpec) -> None:
    """Hold contract 10: a folder belongs to one domain and source, and holds nothing but a run.

    Raises:
        UserError: it belongs to others.
    """
    check_owner(run, recipe.domain, recipe.source.describe())


def check_owner(run: Run, domain: str, source: Mapping[str, Any]) -> None:
    """See that a folder is new, or holds a run of this domain and source.

    Raises:
        UserError: it belongs to others.
    """
    state = run.state()
    if not state and run.folder.is_dir():
        others = _other_files(run)
        if others:
            raise UserError(
                run.without_state()
                or f"{run.folder} has files but no run.json, so it is not the folder of a run ({others[0]}, …): "
                "choose another --out, and nothing of yours is overwritten"
            )
    if not state:
        return
    for what, there, wanted in (("domain", state["domain"], domain), ("source", state["source"], source)):
        if there != wanted:
            raise UserError(
                f"{run.folder} holds a run of {what} {_short(there)}, not {_short(wanted)}: choose another --out"
            )


def _other_files(run: Run) -> list[str]:
    """Name what stands in the folder beside stored answers, batches, and what a killed start leaves."""
    own = {run.store.folder: run.store.own_file, run.store.batches.folder: run.store.batches.own_file}
    found = []
    for path in run.folder.iterdir():
        if path in own and path.is_dir():
            found += [f"{path.name}/{inside.name}" for inside in path.iterdir() if not own[path](inside)]
        elif not path.name.startswith((".", "lock")):
            found.append(path.name)
    return sorted(found)


def as_begun(recipe: RecipeSpec, run: Run, say: Callable[[str], None]) -> RecipeSpec:
    """Return the recipe as a folder goes on with it: without benchmarks where it was begun without.

    So its questions stay. ``against`` says otherwise.

    Args:
        recipe: whose own benchmarks may have come with a later version.
        run: the folder.
        say: is told where the recipe would have others.
    """
    own, begun = named_in(recipe.steps), run.state().get("recipe")
    steps = begun.get("steps") if begun else None
    if recipe.against is not None or own is None or not own.against or not isinstance(steps, list):
        return recipe
    if any(str(step).startswith(f"{Decontaminate.__name__}(") for step in steps):
        return recipe
    if any(Benchmark.named(one).known is None for one in own.against):  # a change of the user's own
        return recipe
    say(
        f"{run.folder} was begun without a comparison with benchmarks, and goes on so; --against default compares its "
        f"questions with {', '.join(own.against)}"
    )
    return dataclasses.replace(recipe, against=NONE)


def _short(value: Any) -> str:
    return " ".join(str(part) for part in value.values() if part) if isinstance(value, dict) else str(value)
