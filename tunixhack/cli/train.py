"""The command line's verbs for students; as in `tunixhack.cli.main`, one function per verb and no logic."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunixhack._util.safe_text import print_json, print_result, print_text
from tunixhack._util.wording import counted
from tunixhack.cli.help import Verb
from tunixhack.errors import UserError
from tunixhack.train.old_names import renamed_options

if TYPE_CHECKING:
    from tunixhack.runs.run import Run

Json = Annotated[bool, typer.Option("--json", help="Print a JSON object as the last line.")]
Terms = Annotated[bool, typer.Option("--accept-terms", help="I have read and accept the terms of the model.")]
Cpu = Annotated[bool, typer.Option("--cpu", help="Insist on the CPU, whatever accelerator is here.")]
Student = Annotated[Path, typer.Argument(help="The folder of a training.")]


class TrainVerb(Verb):
    """The command ``train``, which takes the options of version 0.1 as well; its help has those of today."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line."""
        return super().parse_args(ctx, renamed_options(args))


def train(
    datasets: Annotated[
        list[str],
        typer.Argument(help="Runs' folders or addresses, files, or Hub datasets; PLACE=WEIGHT to draw one more often."),
    ],
    model: Annotated[
        str, typer.Option(help="A folder, a Hub id, kaggle:OWNER/MODEL/FRAMEWORK/VARIATION, gemma-3-270m or FILE.gguf.")
    ],
    method: Annotated[
        str, typer.Option(help="full (all weights), lora, or qlora (lora on weights in 4 bits).")
    ] = "lora",
    out: Annotated[Path | None, typer.Option(help="The training's folder; students/DATASET if left out.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data; 2 if left out.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps, where all epochs would have more.")] = None,
    hours: Annotated[float | None, typer.Option(help="The ceiling for everything, loading and samples too.")] = None,
    started: Annotated[
        float | None, typer.Option(help="When the session began, as `date +%s` prints it; now if left out.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="OpenThoughts' hyperparameters by dataset size: micro, small, 1k, medium, large.")
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(help="splash, cudnn, cudnn-masked, chunked or dense; the best of the device if left out."),
    ] = None,
    check_attention: Annotated[
        bool, typer.Option("--check-attention", help="Compare the first batch's loss with dense attention's.")
    ] = False,
    max_seq_len: Annotated[
        int | None, typer.Option(help="Sequence length in tokens, into which rows are packed; 1024 if left out.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Batch size: sequences of an optimizer step; 8 if left out.")
    ] = None,
    micro_batch_size: Annotated[
        int | None,
        typer.Option(help="Sequences in memory at once, with gradient accumulation over the batch; all if left out."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; 2e-4 for lora and qlora, 2e-5 for full.")
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(help="LoRA rank; 16 if left out.")] = None,
    lora_alpha: Annotated[
        float | None, typer.Option(help="LoRA alpha: adapters are scaled by alpha / rank; 32 if left out.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="tags or think: how trace and answer are written.")] = None,
    system: Annotated[str | None, typer.Option(help="System prompt of rows that bring none.")] = None,
    validation_questions: Annotated[
        int | None, typer.Option(help="Questions that are not trained on, at most 1/8 of all; 64 if left out.")
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Validation questions whose replies are generated before and after.")
    ] = 10,
    max_new_tokens: Annotated[int, typer.Option(help="Most tokens of such a reply.")] = 768,
    seed: Annotated[int | None, typer.Option(help="Of the data's order and of the adapters; 0 if left out.")] = None,
    scratch: Annotated[Path | None, typer.Option(help="A folder on a larger disk, for the checkpoints.")] = None,
    resume_from: Annotated[
        Path | None, typer.Option(help="A training's folder, which is only read, to go on from in a new --out.")
    ] = None,
    wandb: Annotated[str | None, typer.Option(help="A project of Weights & Biases to log to as well.")] = None,
    accept_terms: Terms = False,
    cpu: Cpu = False,
    as_json: Json = False,
) -> None:
    """Train a student on datasets, or go on with an interrupted training."""
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack.train.optional_imports import import_optional

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
        "validation_questions": validation_questions,
        "seed": seed,
    }
    student = import_optional("tunixhack.train.supervised", "training").sft(
        datasets, model, method, out=out, steps=steps, hours=hours, started=started, scale=scale, samples=samples,
        max_new_tokens=max_new_tokens, attention=attention, check_attention=check_attention,
        scratch=scratch, resume_from=resume_from, wandb=wandb, accept_terms=accept_terms, cpu=cpu,
        **{name: value for name, value in changes.items() if value is not None},
    )  # fmt: skip
    if as_json:
        from tunixhack.train.record import read

        print_json({"folder": str(student.folder), **read(student.folder).as_dict()})
    else:
        folder = shlex.quote(str(student.folder))
        print_text(f"\nwritten to {student.folder}; to ask it, and to export it:")
        print_text(f'  tunixhack generate {folder} "QUESTION"\n  tunixhack export {folder} DIR')


def generate(
    student: Student,
    question: Annotated[str | None, typer.Argument(help="One question.")] = None,
    questions: Annotated[Path | None, typer.Option(help="A .jsonl, .csv or .parquet file of questions.")] = None,
    out: Annotated[Path | None, typer.Option(help="A .jsonl file for the replies, instead of printing them.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Most tokens of a reply.")] = 768,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.0,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling: the least tokens of this probability.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from so many of the likeliest tokens.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 42,
    accept_terms: Terms = False,
    cpu: Cpu = False,
    as_json: Json = False,
) -> None:
    """Ask a trained student: one question, or a file of them."""
    if (question is None) == (questions is None):
        raise UserError("give a question, or --questions FILE, and not both")
    from tunixhack._util.addresses import local_path
    from tunixhack.train.inference.batch_generate import generate_replies, read_questions, write_replies

    out = None if out is None else local_path(out)  # before a student is loaded
    texts = [question] if question is not None else read_questions(questions or Path())
    loaded = _load(student, accept_terms, cpu)
    options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "top_k": top_k}
    replies = list(generate_replies(loaded, texts, seed=seed, **options))
    if out is not None:
        write_replies(out, replies)
        if as_json:
            print_json({"replies": len(replies), "out": str(out)})
        else:
            print_text(f"{counted(len(replies), 'reply', 'replies')} in {out}")
    elif question is not None and not as_json:
        print_text(replies[0]["reply"])
    else:
        for reply in replies:
            print_json(reply)


def export(
    source: Annotated[Path, typer.Argument(help="The folder of a run or its address, or the folder of a training.")],
    target: Annotated[Path, typer.Argument(help="For a run a .jsonl or .parquet file, for a student a new folder.")],
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            "--formats",
            help="For a run one of messages, sharegpt, think, openthoughts, hackathon (messages if left out); for a "
            "student some of safetensors,orbax,gguf (all if left out).",
        ),
    ] = None,
    accept_terms: Terms = False,
    cpu: Cpu = False,
    as_json: Json = False,
) -> None:
    """Write a dataset in a training format, or a trained student in others' formats, each checked against it."""
    from tunixhack._util.addresses import local_path
    from tunixhack.runs.find import find_run

    target = local_path(target)
    if (run := find_run(source)) is not None:
        _export_dataset(run, target, formats or "messages", as_json)
        return
    names = [name.strip() for name in (formats or "safetensors,orbax,gguf").split(",")]
    exported = _load(source, accept_terms, cpu).export(target, names, say=_say)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(exported))


def _export_dataset(run: Run, target: Path, format: str, as_json: bool) -> None:
    exported = run.export(format, target)
    rows, rejected = len(exported.rows), exported.rejected.height
    left_out = f"; {rejected:,} are left out, whose text holds the format's own tags" if rejected else ""
    content = {"file": str(target), "format": format, "rows": rows, "rejected": rejected}
    print_result(f"{rows:,} rows in {target}, as {format}{left_out}", content if as_json else None)


def doctor(as_json: Json = False) -> None:
    """Say which devices jax sees and which versions clash, and the command that mends each."""
    from tunixhack.train.machine.doctor import examine

    report = examine()
    print_result("\n".join(report.as_lines()), report.as_dict() if as_json else None)
    raise typer.Exit(0 if report.well else 2)


def _say(sentence: str) -> None:
    print_text(sentence, sys.stderr)


def _load(student: Path, accept_terms: bool, cpu: bool) -> Any:
    print("loading …", file=sys.stderr, flush=True)
    from tunixhack.train.machine.doctor import require_device
    from tunixhack.train.optional_imports import import_optional

    import_optional("tunixhack.train.inference.generate", "a student")
    require_device(cpu)
    return import_optional("tunixhack.train.handle", "a student").StudentHandle.load(student, accept_terms=accept_terms)
