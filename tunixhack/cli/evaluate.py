"""The command line's verb for evaluations; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tunixhack._util.safe_text import print_json, print_result
from tunixhack.cli.help import examples
from tunixhack.cli.train import Cpu, Json, Terms

EXAMPLES = examples(
    "tunixhack evaluate students/math --on math",
    "tunixhack evaluate base,students/a,lmstudio/qwen3-14b --on math,science --samples 4 --temperature 0.7",
    "tunixhack evaluate local,local/mine.gguf --on gym --source gym:chain_sum@easy --questions 100 --plan",
    "tunixhack evaluate students/poems --on creative --judge lmstudio/qwen3-32b",
)


def evaluate(
    arms: Annotated[
        str,
        typer.Argument(
            help="Who is asked, with commas between, the first is the baseline: a training's folder, base, a base as "
            "after --model of train, either with +brief to be told what the teacher is told, a teacher as after "
            "--teacher of build."
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            help="Domains, domain files, files of questions with references, public benchmarks by name, or held-back, "
            "with commas between."
        ),
    ],
    source: Annotated[str | None, typer.Option(help="Other test questions for the domain, as for build.")] = None,
    questions: Annotated[int, typer.Option(help="Questions of each task.")] = 300,
    samples: Annotated[
        int | None, typer.Option(help="Replies to each question; 1 if left out, of a public benchmark its passes.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Sampling temperature of all arms; 0 (greedy) if left out, 0.7 for a benchmark with passes."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens of a reply; 768 of a student, a teacher's own limit.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The evaluation's folder; evals/TASK if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Which questions are asked, and the base of the replies' seeds.")] = 0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it takes and what it could tell, and ask nothing.")
    ] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Ask every N-th question, from the I-th on.")] = None,
    reuse: Annotated[
        str, typer.Option(help="Folders of other evaluations, with commas between, whose replies are taken over.")
    ] = "",
    budget: Annotated[
        float | None, typer.Option(help="Dollars that each teacher's replies to each task may cost.")
    ] = None,
    ask_again: Annotated[
        bool, typer.Option("--ask-again", help="Pay again for replies of teachers that a change made stale.")
    ] = False,
    judge: Annotated[
        str | None, typer.Option(help="A teacher that compares the arms' answers, two at a time; no references needed.")
    ] = None,
    inspect_logs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder for logs that inspect-ai's viewer reads.")
    ] = None,
    accept_terms: Terms = False,
    cpu: Cpu = False,
    as_json: Json = False,
) -> None:
    """Ask students, bases and teachers questions with known answers: who is right, and is one better than another?"""
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack import evaluate as room

    options: dict[str, Any] = {
        "source": source,
        "questions": questions,
        "samples": samples,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "out": out,
        "seed": seed,
        "shard": shard,
        "reuse": reuse,
        "budget": budget,
        "ask_again": ask_again,
        "accept_terms": accept_terms,
        "cpu": cpu,
        "judge": judge,
    }
    if plan:
        planned = room.plan(arms, on, **options)
        print_result("\n".join(planned.lines()), planned.as_dict() if as_json else None)
        return
    found = room.evaluate(arms, on, inspect_logs=inspect_logs, **options)
    if as_json:
        print_json(found.as_dict())
    else:
        from tunixhack.evaluate.table import print_evaluation

        print_evaluation(found)
    raise typer.Exit(found.exit_code)
