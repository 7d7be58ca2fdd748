"""The command line: one function per verb, no logic. Sentences go to standard error, results to standard output."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tunixhack import cli_train
from tunixhack.cli_train import Json
from tunixhack.errors import TunixHackError, UserError

app = typer.Typer(
    help="Questions in, a reasoning dataset out, and a student that learns from it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
teachers_app = typer.Typer(help="The teachers by name: which answer now, and how well.", invoke_without_command=True)
app.add_typer(teachers_app, name="teachers")
VERBS = "build, show, push, teachers, fetch-local, train, generate, export or doctor"
INTERRUPTED = 130
"""The shell's exit code for a program that Ctrl-C ended."""


@app.command()
def build(
    domain: Annotated[str, typer.Argument(help="A domain's name, or the path of a domain file.")],
    source: Annotated[str | None, typer.Option(help="shipped, a .jsonl/.csv/.parquet file, or a Hub dataset.")] = None,
    questions: Annotated[int | None, typer.Option(help="Questions that are sent for samples.")] = None,
    rows: Annotated[int | None, typer.Option(help="Answers to ask for, instead of --questions.")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Answers to each question; the recipe's number if left out.")
    ] = None,
    teacher: Annotated[
        str, typer.Option(help="local, local/FILE.gguf, http://…/v1#MODEL, reference, or one of `tunixhack teachers`.")
    ] = "local",
    trace: Annotated[str | None, typer.Option(help="native, written or guided.")] = None,
    student: Annotated[
        str | None, typer.Option(help="Tokenizer folder or Hub id in whose tokens lengths are counted.")
    ] = None,
    max_length: Annotated[
        str | None,
        typer.Option(
            metavar="N[tokens|chars]|none",
            help="The longest trace and answer that are kept: tokens with --student, else characters. By default "
            "3000chars (768tokens), and 32768chars (8192tokens) with --trace native.",
        ),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The limit of one answer as sent to the teacher.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/DOMAIN if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Which questions are taken, and the base of the samples' seeds.")] = 0,
    no_seed: Annotated[
        bool, typer.Option("--no-seed", help="Send no seed, and ask for several samples at once; questions as by 0.")
    ] = False,
    ask_again: Annotated[
        bool, typer.Option("--ask-again", help="Pay again for answers that a change made stale.")
    ] = False,
    budget: Annotated[
        float | None, typer.Option(help="Dollars that the run's answers may cost, over all starts.")
    ] = None,
    hours: Annotated[float | None, typer.Option(help="Begin no question after so many hours of this start.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Go on even where more than half of the pilot's answers would be dropped.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Ask in batches, answered within a day at half the price; openai/MODEL.")
    ] = False,
    reuse: Annotated[
        str | None, typer.Option(help="Other runs' folders, with commas between, whose answers are taken over.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build a reasoning dataset, or go on with an interrupted one."""
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack.recipes.find import find

    changes = {"source": source, "samples": samples, "trace": trace, "student": student}
    changes |= {"max_length": max_length, "max_tokens": max_tokens}
    recipe = find(domain).replace(**{name: value for name, value in changes.items() if value is not None})
    lenders = [folder for folder in (reuse or "").split(",") if folder]
    if no_seed and seed:
        raise UserError(f"--seed {seed} and --no-seed contradict each other: give one of them")
    order: dict[str, Any] = {"questions": questions, "rows": rows, "out": out, "reuse": lenders}
    order["seed"] = None if no_seed else seed
    run = recipe.build(teacher, ask_again=ask_again, budget=budget, hours=hours, yes=yes, batch=batch, **order)
    _show(run, samples=0, as_json=as_json)
    if not as_json:
        from tunixhack.publish.card import publish_command

        print(f"\nwritten to {run.folder}; to publish it:\n  {publish_command(run.folder)}")


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    samples: Annotated[int, typer.Option(help="How many kept answers to show.")] = 2,
    as_json: Json = False,
) -> None:
    """Show a run: its funnel, why rows were dropped, and a few samples."""
    from tunixhack.run import Run

    _show(Run.load(folder), samples, as_json)


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.")],
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
    print(json.dumps(dataclasses.asdict(pushed), ensure_ascii=False) if as_json else pushed)


@app.command("fetch-local")
def fetch_local() -> None:
    """Fetch the embedded teacher (SmolLM2-135M-Instruct, 92 MB) into the cache."""
    from tunixhack.teachers import local_model

    print(local_model.fetch_local())


@teachers_app.callback()
def teachers(context: typer.Context, as_json: Json = False) -> None:
    """List the teachers by name, which of them answer now, and what they have loaded."""
    if context.invoked_subcommand is not None:
        return
    from tunixhack.teachers import listing

    seen = listing.look_around()
    print(json.dumps(listing.as_dict(seen), ensure_ascii=False) if as_json else "\n".join(listing.as_lines(seen)))


@teachers_app.command("probe")
def probe_teacher(
    teacher: Annotated[str, typer.Argument(help="As after --teacher of build.")], as_json: Json = False
) -> None:
    """Ask a teacher for ten seconds, by one and by four at once: does it really work in parallel? Providers cost."""
    from tunixhack.teachers.probe import probe

    finding = probe(teacher, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    print(json.dumps(finding.as_dict(), ensure_ascii=False) if as_json else "\n".join(finding.as_lines()))


@teachers_app.command("compare")
def compare_teachers(
    teachers: Annotated[str, typer.Option(help="Each as after --teacher of build, with commas between.")],
    domain: Annotated[str, typer.Option(help="A domain; or files of one, with commas between, to compare prompts.")],
    questions: Annotated[int, typer.Option(help="Questions that each teacher is asked.")] = 100,
    source: Annotated[str | None, typer.Option(help="As for build.")] = None,
    samples: Annotated[int, typer.Option(help="Answers to each question.")] = 1,
    trace: Annotated[str | None, typer.Option(help="native, written or guided.")] = None,
    student: Annotated[str | None, typer.Option(help="Whose tokens lengths are counted in.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The limit of one answer as sent to the teacher.")] = None,
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
    sizes: dict[str, Any] = {"questions": questions, "samples": samples, "seed": seed}
    found = compare(teachers, domain, out=out, ask_again=ask_again, **how, **sizes)
    if as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        from tunixhack.bakeoff.table import print_comparison

        print_comparison(found)
    raise typer.Exit(found.exit_code)


for verb in (cli_train.train, cli_train.generate, cli_train.export, cli_train.doctor):
    app.command()(verb)


def _show(run: Any, samples: int, as_json: bool) -> None:
    from tunixhack.show import as_dict, print_run

    if as_json:
        print(json.dumps(as_dict(run), ensure_ascii=False))
    else:
        print_run(run, samples)


def main() -> NoReturn:
    """Run the command line and exit with the code of contract 12."""
    as_json = "--json" in sys.argv
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)  # typer returns the code of an Exit, and makes one of an interrupt
    except TunixHackError as error:
        _fail(str(error), error.exit_code, as_json)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # click's usage errors
            _fail(error.format_message() or f"name a command: {VERBS}", 2, as_json)
        raise
    if code == INTERRUPTED:
        _fail("stopped; the same command goes on from here", INTERRUPTED, as_json)
    sys.exit(code or 0)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _fail(sentence: str, code: int, as_json: bool) -> NoReturn:
    # a server's own words may be in it: one line, and nothing that a terminal obeys
    sentence = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(sentence.split()))
    print(f"tunixhack: {sentence}", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps({"error": sentence, "exit_code": code}, ensure_ascii=False), flush=True)
    sys.exit(code)
