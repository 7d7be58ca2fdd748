"""The command line's verb for schedulers; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

from typing import Annotated

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.help import Group, Verb, examples
from tunixhack.cli.train import Json

app = typer.Typer(cls=Group, help="Files by which a scheduler runs a build in shards.", no_args_is_help=True)


@app.command(
    cls=Verb,
    epilog=examples(
        "tunixhack launch slurm --shards 16 -- build creative --teacher @servers.txt#qwen3-14b --out runs/large"
    ),
)
def slurm(
    build: Annotated[list[str], typer.Argument(metavar="-- build …", help="The build of the whole, with --out.")],
    shards: Annotated[int, typer.Option(help="How many tasks the array has.")] = 16,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="Of sbatch, such as --option=--partition=cpu; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write batch scripts for Slurm: prepare, an array of shards, and a merge behind it."""
    from tunixhack.launch.slurm import SlurmJob

    job = SlurmJob(build=build, shards=shards, options=option or ())
    submit = job.write()
    print_result(
        f"written to {submit.parent}; look at them, and submit them with:\n  sh {submit}",
        {"submit": str(submit), "whole": str(job.whole)} if as_json else None,
    )
