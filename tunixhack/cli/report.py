"""The command line's verb for a run's report; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunixhack._util.safe_text import print_result, print_text
from tunixhack.cli.help import examples
from tunixhack.cli.train import Json

EXAMPLES = examples("tunixhack report runs/math --open", "tunixhack report runs/math --out math.html")


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or not, or its address.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; RUN/report.html if left out; needed with an address.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run's report: one HTML file with its funnel, its lengths and all of its rows."""
    import sys
    import webbrowser

    from tunixhack.report.write import write_report
    from tunixhack.runs.find import run_to_read

    path = write_report(run_to_read(folder), out)
    print_result(f"written to {path}", {"report": str(path), "exit_code": 0} if as_json else None)
    if show and not webbrowser.open(path.resolve().as_uri()):
        print_text(f"no browser can be opened from here: open {path} in one", sys.stderr)
