"""The command line that goes on with a build."""

from __future__ import annotations

import shlex

from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.runs.run import Run, lenders
from tunixhack.teachers.registry.address import public_name


def build_command(recipe: RecipeSpec, options: BuildOptions, run: Run) -> str:
    """Return the command line that goes on with a run."""
    if options.command is not None:
        return options.command
    parts = ["tunixhack", "build", str(recipe.file or recipe.domain), "--source", recipe.source.spelling()]
    temperature, top_p = (recipe.sampling.get(name) for name in ("temperature", "top_p"))
    for option, value in (
        ("--columns", recipe.source.columns_spelling()),
        ("--teacher", public_name(options.teacher)),
        ("--questions", options.questions),
        ("--rows", options.rows),
        ("--accepted", options.accepted),
        ("--ceiling", options.ceiling),
        ("--samples", recipe.samples),
        ("--trace", recipe.trace),
        ("--student", recipe.student),
        ("--max-length", recipe.max_length),
        ("--against", recipe.against if isinstance(recipe.against, str | None) else ",".join(recipe.against)),
        ("--max-tokens", recipe.max_tokens),
        ("--temperature", temperature),
        ("--top-p", top_p),
        ("--system", recipe.system),
        ("--concurrency", options.concurrency),
        ("--seed", options.seed or None),
        ("--budget", options.budget),
        ("--hours", options.hours),
        ("--reuse", ",".join(str(other.folder) for other in lenders(options.reuse)) or None),
        ("--out", run.folder),
    ):
        if value is not None:
            parts += [option, str(value)]
    flags = {"--ask-again": options.ask_again, "--yes": options.yes, "--batch": options.batch}
    for option, wanted in {"--no-seed": options.seed is None, **flags}.items():
        if wanted:
            parts.append(option)
    return shlex.join(parts)
