"""The command line's verb for preference pairs; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunixhack._util.safe_text import print_result
from tunixhack.cli.help import examples
from tunixhack.cli.train import Json

EXAMPLES = examples(
    "tunixhack pairs runs/math --by verify --out pairs.jsonl",
    "tunixhack pairs runs/creative --by judge --score rubric_judge_score --margin 0.2 --out pairs.parquet",
)


def pairs(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, or its address.")],
    out: Annotated[Path, typer.Option(help="The .jsonl or .parquet file to write; it is replaced as a whole.")],
    by: Annotated[str, typer.Option(help="What makes an answer better: verify, vote, judge or length.")] = "verify",
    per_question: Annotated[int, typer.Option(help="The most pairs of one question.")] = 1,
    score: Annotated[str | None, typer.Option(help="The column of scores; with --by judge.")] = None,
    margin: Annotated[float, typer.Option(help="The least difference within a pair; not with --by verify.")] = 0.0,
    format: Annotated[str, typer.Option(help="How trace and answer are one text.")] = "hackathon",
    as_json: Json = False,
) -> None:
    """Write preference pairs of a run's answers, for DPO: prompt, chosen and rejected."""
    from tunixhack.runs.export_file import write_rows, writer_of
    from tunixhack.runs.find import run_to_read
    from tunixhack.runs.preference_pairs import pairs_of

    writer_of(out)  # a wrong ending is told before anything is read
    options = {"per_question": per_question, "score": score, "margin": margin, "format": format}
    found = pairs_of(run_to_read(folder), by, options)
    write_rows(found.rows, out)
    said = "\n".join([*found.sentences(), f"written to {out}"])
    print_result(said, {**found.as_dict(), "out": str(out)} if as_json else None)
