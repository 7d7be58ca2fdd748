"""The command line's verbs for teachers; as in `tunixhack.cli.main`, one function per verb and no logic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tunixhack._util.safe_text import print_json, print_result, print_text
from tunixhack.cli.help import Group, Verb
from tunixhack.cli.train import Json

app = typer.Typer(cls=Group, help="The teachers by name: which answer now, and how well.", invoke_without_command=True)


def fetch_local() -> None:
    """Fetch the embedded teacher (SmolLM2-135M-Instruct, 92 MB) into the cache."""
    from tunixhack.teachers.local import model_file

    print_text(model_file.fetch_local())


@app.callback()
def teachers(context: typer.Context, as_json: Json = False) -> None:
    """List the teachers by name, which of them answer now, and what they have loaded."""
    if context.invoked_subcommand is not None:
        return
    from tunixhack.teachers.registry import listing

    seen = listing.list_teachers()
    print_result("\n".join(listing.as_lines(seen)), listing.as_dict(seen) if as_json else None)


@app.command("parallelism", cls=Verb)
@app.command("probe", cls=Verb, hidden=True)  # its name in 0.1.0
def teacher_parallelism(
    teacher: Annotated[str, typer.Argument(help="As after --teacher of build.")], as_json: Json = False
) -> None:
    """Ask a teacher for ten seconds, by one and by four at once: does it really work in parallel? Providers cost."""
    from tunixhack.teachers.registry.parallelism import measure_parallelism

    report = measure_parallelism(teacher, lambda sentence: print_text(sentence, sys.stderr))
    print_result("\n".join(report.as_lines()), report.as_dict() if as_json else None)


@app.command("compare", cls=Verb)
def compare_teachers(
    teachers: Annotated[str, typer.Option(help="Each as after --teacher of build, with commas between.")],
    domain: Annotated[str, typer.Option(help="A domain; or files of one, with commas between, to compare prompts.")],
    questions: Annotated[int, typer.Option(help="Questions that each teacher is asked.")] = 100,
    source: Annotated[str | None, typer.Option(help="As for build.")] = None,
    samples: Annotated[int, typer.Option(help="Answers to each question.")] = 1,
    trace: Annotated[str | None, typer.Option(help="native, written or guided.")] = None,
    student: Annotated[
        str | None, typer.Option(help="Whose tokens lengths are counted in; with weights, its ratio, too.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The limit of one answer as sent to the teacher.")] = None,
    against: Annotated[str | None, typer.Option(help="As for build.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="For a folder of each teacher; runs/compare-DOMAIN if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which questions are taken, and the base of the samples' seeds.")] = 0,
    ask_again: Annotated[
        bool, typer.Option("--ask-again", help="Pay again for answers that a change made stale.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask several teachers, or with several prompts, the same questions: speed, length, share right, price."""
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack.bakeoff.compare import compare

    how: dict[str, Any] = {"source": source, "trace": trace, "student": student, "max_tokens": max_tokens}
    how["against"] = against
    sizes: dict[str, Any] = {"questions": questions, "samples": samples, "seed": seed}
    found = compare(teachers, domain, out=out, ask_again=ask_again, **how, **sizes)
    if as_json:
        print_json(found.as_dict())
    else:
        from tunixhack.bakeoff.table import print_comparison

        print_comparison(found)
    raise typer.Exit(found.exit_code)
