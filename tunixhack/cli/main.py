"""The command line: one function per verb, no logic. Sentences go to standard error, results to standard output."""

from __future__ import annotations

import functools
import itertools
import signal
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from tunixhack import __version__
from tunixhack._util.credentials import without_credentials
from tunixhack._util.imports import without_collection
from tunixhack._util.safe_text import for_terminal, print_json, print_text
from tunixhack.cli import ablate as cli_ablate
from tunixhack.cli import evaluate as cli_evaluate
from tunixhack.cli import files as cli_files
from tunixhack.cli import launch as cli_launch
from tunixhack.cli import lint as cli_lint
from tunixhack.cli import pairs as cli_pairs
from tunixhack.cli import price as cli_price
from tunixhack.cli import push as cli_push
from tunixhack.cli import report as cli_report
from tunixhack.cli import teachers as cli_teachers
from tunixhack.cli import train as cli_train
from tunixhack.cli.help import ANSWERS, FOLDER, QUESTIONS, SPENDING, TEACHER, Group, Verb, examples
from tunixhack.cli.train import Json
from tunixhack.errors import TunixHackError, UserError

app = typer.Typer(
    cls=Group,
    help="Questions in, a reasoning dataset out, and a student that learns from it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
VERBS = (
    "build, prepare, merge, launch, show, report, price, push, pairs, teachers, fetch-local, train, generate, "
    "evaluate, ablate, export, decontaminate, dedup, convert, lint or doctor"
)
PREVIEW = 4
"""Questions of a preview, where it is not said how many."""
INTERRUPTED = 130
"""The shell's exit code for a program that Ctrl-C ended."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tunixhack {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and nothing else.")
    ] = False,
) -> None:
    """Take what stands before a verb."""


@app.command(
    cls=Verb,
    epilog=examples(
        "tunixhack build creative --source shipped --teacher local --questions 8 --samples 4",
        "tunixhack build math --teacher lmstudio/qwen3-14b --trace native --preview",
        "tunixhack build math --source mine.jsonl --columns question=problem,reference=result --teacher reference",
        domains=True,
    ),
)
def build(
    domain: Annotated[
        str, typer.Argument(help="A domain's name, a named dataset's, or the path of a file with a recipe or mixture.")
    ],
    source: Annotated[
        str | None,
        typer.Option(help="shipped, a .jsonl/.csv/.parquet file, or a Hub dataset.", rich_help_panel=QUESTIONS),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="OURS=YOURS,…",
            help="The source's columns by your names: question=problem,reference=result.",
            rich_help_panel=QUESTIONS,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="default[,-NAME][,MORE]|none",
            help="Benchmarks whose questions are left out: the domain's, without NAME, with a file or "
            "ORG/NAME:config:split:column.",
            rich_help_panel=QUESTIONS,
        ),
    ] = None,
    questions: Annotated[
        int | None, typer.Option(help="Questions that are sent for samples.", rich_help_panel=QUESTIONS)
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Answers to ask for, instead of --questions.", rich_help_panel=QUESTIONS)
    ] = None,
    accepted: Annotated[
        int | None,
        typer.Option(help="Go on until so many answers are kept, instead of --questions.", rich_help_panel=QUESTIONS),
    ] = None,
    ceiling: Annotated[
        int | None, typer.Option(help="The most questions to ask for --accepted.", rich_help_panel=QUESTIONS)
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Of a mixture: each part's quota is multiplied by it.", rich_help_panel=QUESTIONS),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Which questions are taken, and the base of the samples' seeds.", rich_help_panel=QUESTIONS),
    ] = 0,
    teacher: Annotated[
        str,
        typer.Option(
            help="local, local/FILE.gguf, http://…/v1#MODEL, reference, or one of `tunixhack teachers`.",
            rich_help_panel=TEACHER,
        ),
    ] = "local",
    samples: Annotated[
        int | None,
        typer.Option(help="Answers to each question; the recipe's number if left out.", rich_help_panel=TEACHER),
    ] = None,
    trace: Annotated[str | None, typer.Option(help="native, written or guided.", rich_help_panel=TEACHER)] = None,
    system: Annotated[
        str | None,
        typer.Option(help="A system prompt for the teacher instead of the domain's.", rich_help_panel=TEACHER),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of the teacher's sampling; its own if left out.", rich_help_panel=TEACHER)
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Of the teacher's sampling; its own if left out.", rich_help_panel=TEACHER)
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="The limit of one answer as sent to the teacher.", rich_help_panel=TEACHER)
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="The most requests in flight at once.", rich_help_panel=TEACHER)
    ] = None,
    same_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name for what several servers serve, where they do not tell that it is the same.",
            rich_help_panel=TEACHER,
        ),
    ] = None,
    no_seed: Annotated[
        bool,
        typer.Option(
            "--no-seed",
            help="Send no seed, and ask for several samples at once; questions as by 0.",
            rich_help_panel=TEACHER,
        ),
    ] = False,
    max_length: Annotated[
        str | None,
        typer.Option(
            metavar="N[tokens|chars]|none",
            help="The longest trace and answer that are kept: tokens with --student, else characters. By default "
            "3000chars (768tokens), and 32768chars (8192tokens) with --trace native.",
            rich_help_panel=ANSWERS,
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(help="Tokenizer folder or Hub id in whose tokens lengths are counted.", rich_help_panel=ANSWERS),
    ] = None,
    preview: Annotated[
        int | None,
        typer.Option(
            metavar="[N]",
            help=f"Ask N questions ({PREVIEW} if left out) once each, print the answers and what the whole would "
            "cost, and stop; the answers count.",
            rich_help_panel=SPENDING,
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(help="Dollars that the run's answers may cost, over all starts.", rich_help_panel=SPENDING),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Begin no question after so many hours of this start.", rich_help_panel=SPENDING),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="Ask in batches, answered within a day at half the price; openai/MODEL.",
            rich_help_panel=SPENDING,
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Go on even where more than half of the pilot's answers would be dropped.",
            rich_help_panel=SPENDING,
        ),
    ] = False,
    ask_again: Annotated[
        bool,
        typer.Option("--ask-again", help="Pay again for answers that a change made stale.", rich_help_panel=SPENDING),
    ] = False,
    reuse: Annotated[
        str | None,
        typer.Option(
            help="Other runs' folders or addresses, with commas between, whose answers are taken over.",
            rich_help_panel=SPENDING,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="The run's folder, or its s3://… address; runs/DOMAIN if left out.", rich_help_panel=FOLDER),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Ask for one of N parts of the questions, in a folder of its own in --out; see merge.",
            rich_help_panel=FOLDER,
        ),
    ] = None,
    prepare: Annotated[bool, typer.Option("--prepare", hidden=True)] = False,
    merge: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: Json = False,
) -> None:
    """Build a reasoning dataset, or go on with an interrupted one."""
    print("loading …", file=sys.stderr, flush=True)
    if no_seed and seed:
        raise UserError(f"--seed {seed} and --no-seed contradict each other: give one of them")
    with without_collection("tunixhack.pipeline.build"):
        from tunixhack.cli.build import changed
        from tunixhack.domain_files import find_dataset

        found = find_dataset(domain)
    changes: dict[str, Any] = {"source": source, "columns": columns, "samples": samples, "trace": trace}
    changes |= {"against": against, "system": system, "student": student, "max_length": max_length}
    changes |= {"max_tokens": max_tokens}
    numbers: dict[str, Any] = {"accepted": accepted, "ceiling": ceiling, "scale": scale}
    dataset, order = changed(found, changes, {"temperature": temperature, "top_p": top_p}, numbers)
    lenders = [folder for folder in (reuse or "").split(",") if folder]
    order |= {"questions": questions, "rows": rows, "out": out, "reuse": lenders}
    order |= {"seed": None if no_seed else seed, "preview": preview, "concurrency": concurrency}
    order |= {"same_model": same_model}
    order |= {"shard": shard, "prepare": prepare, "merge": merge}
    run = dataset.build(teacher, ask_again=ask_again, budget=budget, hours=hours, yes=yes, batch=batch, **order)
    # a preview asks so many questions of each part of a mixture
    _show(run, samples=(preview or 0) * max(1, len(run.parts())), as_json=as_json)
    if not as_json and run.done and not (shard or prepare):
        from tunixhack.publish.card import publish_command

        print_text(f"\nwritten to {run.place}; to publish it:\n  {publish_command(run.place)}")


@app.command(cls=Verb, epilog=examples("tunixhack prepare creative --teacher lmstudio/qwen3-14b --questions 500"))
@functools.wraps(build, assigned=("__annotations__",))
def prepare(*arguments: Any, **options: Any) -> None:
    """Decide about the questions of a build in shards, and pay for what that takes; the options are those of build."""
    build(*arguments, **{**options, "prepare": True})


@app.command(cls=Verb, epilog=examples("tunixhack merge runs/think_32k --out runs/whole"))
def merge(
    folder: Annotated[str, typer.Argument(help="The folder of the shards, which have all ended, or its address.")],
    out: Annotated[str, typer.Option(help="The folder of the whole run, or its address.")],
    as_json: Json = False,
) -> None:
    """Make one run of the shards of a build, as if it had been built in one; nothing is asked."""
    from tunixhack.cli.shards import merging

    typer.main.get_command(app).main(merging(folder, out, as_json), standalone_mode=False)


@app.command(
    cls=Verb,
    epilog=examples("tunixhack show runs/math", "tunixhack show runs/math --rejected --reason over_length --samples 5"),
)
def show(
    folder: Annotated[str, typer.Argument(help="The folder of a run, finished or not, or its address.")],
    samples: Annotated[int, typer.Option(help="How many answers to show.")] = 2,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Show rows that were dropped, with the evidence and the raw reply.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Only rows that were dropped for this reason; with --rejected.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a run: its funnel, why rows were dropped, and a few samples; of a build in shards, how far each is."""
    from tunixhack.runs.find import run_to_read
    from tunixhack.runs.shard_folders import print_progress
    from tunixhack.storage.look import progress_of

    if (shards := progress_of(folder)) is not None:
        print_json({"folder": folder, "shards": shards}) if as_json else print_progress(folder, shards)
        return
    run = run_to_read(folder)
    if not rejected and reason is None:
        _show(run, samples, as_json)
        return
    from tunixhack.runs.rejected_rows import print_rejected, rejected_rows

    found = rejected_rows(run, reason, samples)
    if as_json:
        print_json({"folder": str(run.folder), "rejected": found.rows, "of": found.of})
    else:
        print_rejected(found)


app.command(cls=Verb, epilog=cli_push.EXAMPLES)(cli_push.push)
app.command(cls=Verb, epilog=cli_report.EXAMPLES)(cli_report.report)
app.command(cls=Verb, epilog=cli_pairs.EXAMPLES)(cli_pairs.pairs)
app.command(cls=Verb, epilog=cli_price.EXAMPLES)(cli_price.price)
app.command("fetch-local", cls=Verb)(cli_teachers.fetch_local)
app.add_typer(cli_teachers.app, name="teachers")
app.add_typer(cli_launch.app, name="launch")
app.command(cls=cli_train.TrainVerb)(cli_train.train)
app.command(cls=Verb, epilog=cli_evaluate.EXAMPLES)(cli_evaluate.evaluate)
app.command(cls=Verb, epilog=cli_ablate.EXAMPLES)(cli_ablate.ablate)
for verb in (cli_train.generate, cli_train.export, cli_train.doctor):
    app.command(cls=Verb)(verb)
for of_files in (cli_files.decontaminate, cli_files.dedup, cli_files.convert):
    app.command(cls=Verb)(of_files)


app.command(
    cls=Verb,
    epilog=examples(
        "tunixhack lint mine.jsonl", "tunixhack lint mine.jsonl --fix clean.jsonl --student Qwen/Qwen3-0.6B"
    ),
)(cli_lint.lint)


def _show(run: Any, samples: int, as_json: bool) -> None:
    from tunixhack.runs.show import as_dict, print_run

    if as_json:
        print_json(as_dict(run))
    else:
        print_run(run, samples)


def main() -> NoReturn:
    """Run the command line and exit with the code of contract 12."""
    as_json = "--json" in sys.argv
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        arguments = _with_number(sys.argv[1:])
        code = app(arguments, standalone_mode=False)  # typer returns an Exit's code, and makes one of an interrupt
    except TunixHackError as error:
        _fail(str(error), error.exit_code, as_json)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001  # told in full below, with Python's own exit code for it
        if hasattr(error, "format_message"):  # click's usage errors
            _fail(error.format_message() or f"name a command: {VERBS}", 2, as_json)
        print_text(without_credentials(traceback.format_exc().rstrip()), sys.stderr)
        code = TunixHackError.exit_code
    if code == INTERRUPTED:
        _fail("stopped; the same command goes on from here", INTERRUPTED, as_json)
    sys.exit(code or 0)


def _with_number(arguments: list[str]) -> list[str]:
    """Give ``--preview`` its number where it stands alone, which typer has no way to say.

    >>> _with_number(["build", "math", "--preview", "--yes"])
    ['build', 'math', '--preview', '4', '--yes']
    """
    given: list[str] = []
    for word, after in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        given += [word, str(PREVIEW)] if word == "--preview" and not after.lstrip("-").isdigit() else [word]
    return given


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _fail(sentence: str, code: int, as_json: bool) -> NoReturn:
    # a server's own words may be in it, or what was typed in the wrong place
    sentence = " ".join(for_terminal(without_credentials(sentence)).split())
    print_text(f"tunixhack: {sentence}", sys.stderr)
    if as_json:
        print_json({"error": sentence, "exit_code": code})
    sys.exit(code)
