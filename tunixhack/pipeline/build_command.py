"""The command line that goes on with a build."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.runs.lenders import lenders
from tunixhack.runs.run import Run
from tunixhack.teachers.registry.address import public_name


def build_command(recipe: RecipeSpec, options: BuildOptions, run: Run) -> str:
    """Return the command line that goes on with a run."""
    if options.command is not None:
        return options.command
    given = {
        "--source": recipe.source.spelling(),
        "--columns": recipe.source.columns_spelling(),
        "--teacher": public_name(options.teacher),
        "--questions": options.questions,
        "--rows": options.rows,
        "--accepted": options.accepted,
        "--ceiling": options.ceiling,
        "--samples": recipe.samples,
        "--trace": recipe.trace,
        "--student": recipe.student,
        "--max-length": recipe.max_length,
        "--against": listed_benchmarks(recipe.against),
        "--max-tokens": recipe.max_tokens,
        "--temperature": recipe.sampling.get("temperature"),
        "--top-p": recipe.sampling.get("top_p"),
        "--system": recipe.system,
    }
    name = str(recipe.file or recipe.domain)
    return command_line(name, given, options, run.folder)


def listed_benchmarks(against: str | Sequence[str] | None) -> str | None:
    """Return benchmarks as ``--against`` names them."""
    return against if isinstance(against, str | None) else ",".join(against)


def command_line(name: str, given: Mapping[str, object], options: BuildOptions, folder: Path) -> str:
    """Return the command that builds what has a name, with the options of any build behind those that are given.

    Of a build in shards it is the command of the part that is built: ``prepare``, ``--shard``, or ``merge``.

    Args:
        name: a domain, a named dataset, or a file.
        given: options to their values; those that are None are left out.
        options: of the build.
        folder: of its run.
    """
    if options.merge is not None:
        named = (options.addresses.get(one, str(one)) for one in (options.merge, folder))
        return shlex.join(["tunixhack", "merge", next(named), "--out", next(named)])
    out = folder.parent if options.shard or options.prepare else folder
    every = {
        **given,
        "--concurrency": options.concurrency,
        "--same-model": options.same_model,
        "--seed": options.seed or None,
        "--budget": options.budget,
        "--hours": options.hours,
        "--reuse": ",".join(other.place for other in lenders(options.reuse)) or None,
        "--shard": options.shard,
        "--out": options.addresses.get(out, out),
    }
    words = [word for option, value in every.items() if value is not None for word in (option, str(value))]
    flags = {
        "--no-seed": options.seed is None,
        "--ask-again": options.ask_again,
        "--yes": options.yes,
        "--batch": options.batch,
    }
    verb = "prepare" if options.prepare else "build"
    return shlex.join(["tunixhack", verb, name, *words, *(flag for flag, wanted in flags.items() if wanted)])
