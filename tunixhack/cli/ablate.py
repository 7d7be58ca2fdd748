"""The command line's verb for ablations; as in `tunixhack.cli.main`, no logic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tunixhack._util.safe_text import print_json, print_result
from tunixhack.cli.help import FOLDER, QUESTIONS, SPENDING, examples
from tunixhack.cli.train import Cpu, Json, Terms

TRAINING = "Training"
EXAMPLES = examples(
    "tunixhack ablate runs/longest runs/random --model gemma-3-270m --rows 316..3162 --on math --hours 8",
    "tunixhack ablate math no_filter.py --teacher lmstudio/qwen3-14b --model gemma-3-270m --rows 316,1000",
    "tunixhack ablate math --teacher reference --model gemma-3-270m --accept-terms --rows 316",
)


def ablate(
    arms: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT…",
            help="Runs' folders or addresses, files of rows, Hub datasets, domains or domain files, as LABEL=WHAT "
            "where a name is wanted; the first is the baseline. One alone is compared with the base.",
        ),
    ],
    model: Annotated[str, typer.Option(help="What students are made of, as for train; several with commas between.")],
    rows: Annotated[
        str, typer.Option(metavar="N[,…]|A..B", help="Rows that each student learns; a range goes by √10: 316..3162.")
    ],
    on: Annotated[
        str | None,
        typer.Option(
            help="Domains, or files of questions with references, with commas between; the recipes' domain if left "
            "out.",
            rich_help_panel=QUESTIONS,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Other test questions for the domain, as for build.", rich_help_panel=QUESTIONS)
    ] = None,
    train_source: Annotated[
        str | None,
        typer.Option(help="Other questions for the recipes that are built, as for build.", rich_help_panel=QUESTIONS),
    ] = None,
    questions: Annotated[
        int,
        typer.Option(
            help="Questions by which an arm is chosen; as many others confirm the choice.", rich_help_panel=QUESTIONS
        ),
    ] = 300,
    samples: Annotated[int, typer.Option(help="Replies to each question.", rich_help_panel=QUESTIONS)] = 1,
    temperature: Annotated[
        float, typer.Option(help="Sampling temperature of all replies; 0 is greedy.", rich_help_panel=QUESTIONS)
    ] = 0.0,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens of a reply.", rich_help_panel=QUESTIONS)] = None,
    also: Annotated[
        str,
        typer.Option(
            help="Who is asked beside, with commas between: base, bases, teachers, finished students.",
            rich_help_panel=QUESTIONS,
        ),
    ] = "",
    trainings: Annotated[int, typer.Option(help="Trainings of each arm and size.", rich_help_panel=TRAINING)] = 2,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="tokens", help="Cut every arm at the tokens that the shortest teaches.", rich_help_panel=TRAINING
        ),
    ] = None,
    drop_losers: Annotated[
        bool,
        typer.Option(
            "--drop-losers",
            help="Train no arm at a larger size that is worse than the best at a smaller one.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    method: Annotated[str, typer.Option(help="full, lora or qlora.", rich_help_panel=TRAINING)] = "lora",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the rows; 2 if left out.", rich_help_panel=TRAINING)
    ] = None,
    max_seq_len: Annotated[
        int | None,
        typer.Option(
            help="Tokens of a training row, 1024 if left out; longer rows are left out.", rich_help_panel=TRAINING
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Sequences of an optimizer step; 8 if left out.", rich_help_panel=TRAINING)
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option(help="Sequences in memory at once; all if left out.", rich_help_panel=TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; as for train.", rich_help_panel=TRAINING)
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(help="LoRA rank; 16 if left out.", rich_help_panel=TRAINING)] = None,
    lora_alpha: Annotated[
        float | None, typer.Option(help="LoRA alpha; 32 if left out.", rich_help_panel=TRAINING)
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="tags or think: how trace and answer are written.", rich_help_panel=TRAINING)
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="System prompt of rows that bring none.", rich_help_panel=TRAINING)
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="Who answers for the recipes that are built, as for build.", rich_help_panel=SPENDING),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(help="Dollars that each run, and each teacher asked beside, may cost.", rich_help_panel=SPENDING),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Begin no training after so many hours of this start.", rich_help_panel=SPENDING),
    ] = None,
    ask_again: Annotated[
        bool,
        typer.Option("--ask-again", help="Pay again for answers that a change made stale.", rich_help_panel=SPENDING),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Build even where most of the pilot's answers would be dropped.", rich_help_panel=SPENDING
        ),
    ] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Say what it takes and what it could tell, and do nothing.", rich_help_panel=SPENDING
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder; ablations/ARMS if left out.", rich_help_panel=FOLDER)
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep the full weights of arms that were not chosen.", rich_help_panel=FOLDER),
    ] = False,
    accept_terms: Terms = False,
    cpu: Cpu = False,
    as_json: Json = False,
) -> None:
    """Train students of several datasets that differ in nothing else: is one dataset better, and how sure is that?"""
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack import ablate as room

    changes: dict[str, Any] = {
        "epochs": epochs,
        "max_seq_len": max_seq_len,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "learning_rate": learning_rate,
        "lora_rank": lora_rank,
        "lora_alpha": lora_alpha,
        "format": format,
        "system": system,
    }
    options: dict[str, Any] = {
        "rows": rows,
        "on": on,
        "source": source,
        "train_source": train_source,
        "questions": questions,
        "samples": samples,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "also": also,
        "trainings": trainings,
        "match": match,
        "drop_losers": drop_losers,
        "method": method,
        "teacher": teacher,
        "budget": budget,
        "hours": hours,
        "ask_again": ask_again,
        "yes": yes,
        "out": out,
        "keep": keep,
        "accept_terms": accept_terms,
        "cpu": cpu,
        **{name: value for name, value in changes.items() if value is not None},
    }
    if plan:
        planned = room.plan(arms, model, **options)
        print_result("\n".join(planned.lines()), planned.as_dict() if as_json else None)
        return
    found = room.ablate(arms, model, **options)
    if as_json:
        print_json(found.as_dict())
    else:
        from tunixhack.ablate.table import print_ablation

        print_ablation(found)
    raise typer.Exit(found.exit_code)
