"""The model card: a README.md beside a student that says what it is, what came of it, and how sure that is.

What is not known yet, None in the record, is left out of the card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from tunixhack._util.safe_text import for_markdown
from tunixhack._util.wording import counted
from tunixhack.train.data.token_set import Domain
from tunixhack.train.inference.format_compliance import ReplyStatistics
from tunixhack.train.models.origin import HUB_ID, checked, licence
from tunixhack.train.record import BaseModel, DataSummary, TrainingRecord
from tunixhack.train.report.performance import in_words
from tunixhack.train.report.samples import ComparedReplies, printable
from tunixhack.train.settings import Settings

MOST_LINES = 60
MOST_SAMPLES = 10
MOST_DOMAINS = 8
MOST_NOTES = 3
SHOWN = 240
"""Characters of a text in a table."""

_METHODS = {"full": "every weight trained", "lora": "LoRA", "qlora": "LoRA on weights of 4 bits (nf4)"}


def card(record: TrainingRecord, samples: Sequence[ComparedReplies] = (), *, curve: bool = False) -> str:
    """Write the card of a student.

    Args:
        record: of its training.
        samples: at most ten are shown, shortened.
        curve: whether a ``loss.png`` is beside the card.

    Returns:
        At most 60 lines of Markdown with the YAML front matter that the Hub reads of a model. The licence is the
        base's, and left out where that is not known.

    Raises:
        UserError: what the record has of the replies to validation questions is damaged.
    """
    base, data, name = record.base, record.data, title(record.base)
    lines = [
        *_front_matter(base, data),
        f"# {for_markdown(name)}, taught to show its work",
        "",
        *(f"- **Note**: {for_markdown(_line(note))}" for note in record.notes[:MOST_NOTES]),
        f"- Base: {for_markdown(name)}{_parameters(base)}; its licence and terms are this student's, too",
        f"- Method: {_how(record.settings, record)}",
        f"- Replies: {_format(record.settings.format)}",
        *_training(record),
        *_losses(record, curve),
        "",
        *_replies(record.validation),
        *_domains(data.domains),
        *_samples(samples),
    ]
    return "\n".join(lines[:MOST_LINES]) + "\n"


def title(base: BaseModel) -> str:
    """Return the name of a base on one line; of a folder or file the name alone, the path to it is the user's affair.

    >>> title(BaseModel(name="/home/me/models/gemma", fingerprint=""))
    'gemma'
    >>> title(BaseModel(name="google/gemma-3-1b-it", hub="google/gemma-3-1b-it", fingerprint=""))
    'google/gemma-3-1b-it'
    """
    name, hub = base.name, base.hub
    if "/" in name and (hub or ":" not in name):
        name = str(hub or PurePath(name).name)
    return _line(name)


def _front_matter(base: BaseModel, data: DataSummary) -> list[str]:
    model = base.hub if base.hub is not None and HUB_ID.fullmatch(base.hub) else None
    ids = [one.hub for one in data.datasets if one.hub is not None and HUB_ID.fullmatch(one.hub)]
    return [
        "---",
        *([f"base_model: {json.dumps(model)}"] if model else []),
        *([f"datasets: {json.dumps(sorted(set(ids)))}"] if ids else []),
        *_licence(base, model),
        "pipeline_tag: text-generation",
        "tags: [reasoning, tunix, tunixhack]",
        "---",
    ]


def _licence(base: BaseModel, model: str | None) -> list[str]:
    """Tell the base's licence, which is the student's, in the Hub's words; nothing where it is not known."""
    known = checked(base.license or {}) or licence(model)
    if not known:
        return []
    lines = [f"license: {json.dumps(known['id'])}"]
    return [*lines, *(f"license_{name}: {json.dumps(known[name])}" for name in ("name", "link") if known.get(name))]


def _parameters(base: BaseModel) -> str:
    return f", {base.parameters:,} parameters" if base.parameters else ""


def _how(settings: Settings, record: TrainingRecord) -> str:
    rank = f" (rank {settings.lora_rank}, alpha {settings.lora_alpha:g})" if settings.method != "full" else ""
    epochs = _epochs(settings.epochs, record)
    return (
        f"{_METHODS[settings.method]}{rank}, {epochs}, batches of {settings.batch_size} × "
        f"{settings.max_seq_len} tokens, learning rate {settings.learning_rate:g}, seed {settings.seed}"
    )


def _epochs(wanted: int, record: TrainingRecord) -> str:
    """Tell how much of the data was gone through: ``steps`` or ``hours`` may have made it less than was asked for."""
    done, steps, every = record.epochs, record.steps, record.plan and record.plan.all_epochs
    if done is None or steps is None or every is None:
        return f"{wanted} epochs asked for"
    if steps == every:
        return f"{wanted} epochs"
    return f"{done:.2f} of {wanted} epochs ({steps:,} of {every:,} steps)"


def _format(format: str | None) -> str:
    if format == "think":
        return "`<think>` reasoning `</think>`, an empty line, and the answer"
    return "`<reasoning>` … `</reasoning>`, a new line, `<answer>` … `</answer>`"


def _training(record: TrainingRecord) -> list[str]:
    said = [
        counted(record.steps, "step") if record.steps else "",
        counted(record.tokens, "token") if record.tokens else "",
        f"on {_line(record.devices)}" if record.devices else "",
    ]
    times = [f"{_line(stage)} {_duration(spent)}" for stage, spent in record.seconds.items() if spent]
    versions = [f"{name} {version}" for name, version in record.versions.items()]
    return [
        *([f"- Training: {for_markdown(', '.join(filter(None, said)))}"] if any(said) else []),
        *([f"- Speed: {speed}"] if record.performance is not None and (speed := in_words(record.performance)) else []),
        *([f"- Time: {for_markdown(', '.join(times))}"] if times else []),
        *([f"- Made with {for_markdown(_line(', '.join(versions)))}"] if versions else []),
    ]


def _losses(record: TrainingRecord, curve: bool) -> list[str]:
    losses = record.losses
    pairs = (("training", "first", "last"), ("validation", "validation_first", "validation_last"))
    said = [
        f"{what} {_number(losses.get(first), '.3f')} to {_number(losses.get(last), '.3f')}"
        for what, first, last in pairs
        if losses.get(first) is not None or losses.get(last) is not None
    ]
    return [
        *([f"- Loss (nats per token): {'; '.join(said)}"] if said else []),
        *(["", "![The loss by step](loss.png)"] if curve else []),
    ]


def _replies(measured: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    found = [ReplyStatistics.from_dict(one) if (one := measured.get(when)) else None for when in ("before", "after")]
    known = [one for one in found if one is not None]
    if not known:
        return []
    limit = max(one.max_new_tokens for one in known)

    def row(what: str, shown: Any) -> str:
        return f"| {what} | " + " | ".join("not measured" if one is None else str(shown(one)) for one in found) + " |"

    return [
        f"Validation questions, at most {limit:,} new tokens; in brackets the count and the Wilson interval of 95 %. "
        "Whether an answer is right is not judged.",
        "",
        "| share of replies | before | after |",
        "|---|---|---|",
        row("exactly one trace and one answer", lambda one: one.compliant),
        row("cut off by the limit", lambda one: one.unfinished),
        row("ending in a loop", lambda one: one.looping),
        row("repeated 4-grams, mean", lambda one: _number(one.repetition, ".2f")),
        row("tokens, mean", lambda one: _number(one.mean_tokens, ".0f")),
        "",
    ]


def _domains(domains: Sequence[Domain]) -> list[str]:
    if not domains:
        return []
    rows = []
    for one in domains[:MOST_DOMAINS]:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in list(one.dropped.items())[:3])
        rows.append(
            f"| {_cell(one.name)} | {one.rows:,} | {one.validation_rows:,} | {one.learnt:,} | {_cell(dropped)} |"
        )
    left = len(domains) - MOST_DOMAINS
    more = [f"{counted(left, 'domain')} more {'is' if left == 1 else 'are'} not shown.", ""] if left > 0 else []
    return [
        "| domain | rows | validation rows | tokens learnt | dropped |",
        "|---|---:|---:|---:|---|",
        *rows,
        "",
        *more,
    ]


def _samples(samples: Sequence[ComparedReplies]) -> list[str]:
    rows = [
        f"| {_cell(sample.question)} | {_cell(sample.before.text if sample.before else '')} | "
        f"{_cell(sample.after.text if sample.after else '')} |"
        for sample in samples[:MOST_SAMPLES]
    ]
    return ["| validation question | before | after |", "|---|---|---|", *rows] if rows else []


def _cell(text: str) -> str:
    line = _line(text)
    return for_markdown(line if len(line) <= SHOWN else f"{line[:SHOWN]}…")


def _line(text: str) -> str:
    """Put a text on one line; where it had several, a sign tells."""
    return " ".join(" ⏎ ".join(printable(text).strip().splitlines()).split())


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
