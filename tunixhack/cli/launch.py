"""The command line's verb for schedulers; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

from typing import Annotated

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.help import Group, Verb, examples
from tunixhack.cli.train import Json

app = typer.Typer(cls=Group, help="Run a build in shards by a scheduler.", no_args_is_help=True)


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


@app.command(
    cls=Verb,
    epilog=examples(
        "tunixhack launch ray --shards 16 -- build creative --teacher @servers.txt#qwen3-14b --out runs/large",
        "tunixhack launch ray --shards 16 --servers 4 --serve 'vllm serve Qwen/Qwen3-14B --port {port}' -- "
        "build creative --teacher @runs/servers.txt#Qwen/Qwen3-14B --out runs/large",
    ),
)
def ray(
    build: Annotated[list[str], typer.Argument(metavar="-- build …", help="The build of the whole, with --out.")],
    shards: Annotated[int, typer.Option(help="How many shards.")] = 16,
    address: Annotated[
        str, typer.Option(help="Of the cluster: auto, HOST:6379 or ray://HOST:10001; auto is this machine's.")
    ] = "auto",
    cpus: Annotated[float, typer.Option(help="CPUs that Ray counts for each shard.")] = 1.0,
    retries: Annotated[int, typer.Option(help="How often a shard starts again whose machine died.")] = 3,
    servers: Annotated[int | None, typer.Option(help="Servers that the cluster runs, with --serve.")] = None,
    serve: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Starts a server; {port} and {host} are filled in.")
    ] = None,
    server_needs: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AMOUNT", help="What Ray has to find free for a server; GPU=1 if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Prepare, build the shards and merge them on a Ray cluster, where what dies goes on elsewhere."""
    from tunixhack._util.progress import Reporter
    from tunixhack.errors import UserError
    from tunixhack.launch.ray import RayBuild
    from tunixhack.launch.ray_servers import ServersWanted, read_needs
    from tunixhack.launch.sharded_build import ShardedBuild

    if (servers is None) != (serve is None):
        raise UserError("--servers says how many, and --serve how each is started: give both, or neither")
    needs = read_needs(server_needs or ["GPU=1"])
    whole = RayBuild(
        build=ShardedBuild(words=build, shards=shards, launcher="ray"),
        cpus=cpus,
        retries=retries,
        servers=ServersWanted(count=servers, command=serve, needs=needs) if servers is not None and serve else None,
        say=Reporter().say,
    ).run(address)
    print_result(f"merged into {whole}", {"whole": str(whole)} if as_json else None)
