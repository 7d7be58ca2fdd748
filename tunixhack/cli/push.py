"""The command line's verb for publishing; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.help import examples
from tunixhack.cli.train import Json

EXAMPLES = examples("tunixhack push runs/math USER/NAME --private")


def push(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, or its address.")],
    repo: Annotated[str, typer.Argument(help="The dataset on the Hub, as USER/NAME; made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make it so that only you see it.")] = False,
    revision: Annotated[str | None, typer.Option(help="The branch; main if left out.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Publish what an unfinished run has so far.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a run's card and kept answers on the Hub, and nothing else of it."""
    import dataclasses

    from tunixhack.publish.push import push

    pushed = push(folder, repo, private=private, revision=revision, yes=yes)
    print_result(pushed, dataclasses.asdict(pushed) if as_json else None)
