"""The dataset card: a README.md that makes a run's folder a Hub dataset of its train.parquet, and of nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack.questions.sources import Source

MOST_LINES = 40


def card(state: Mapping[str, Any], train: pl.DataFrame, source: Source) -> str:
    """Write the card of a run.

    Args:
        state: what run.json keeps; the funnel and teachers are told from it.
        train: the kept answers.
        source: whose licence the dataset inherits.

    Returns:
        At most 40 lines of Markdown with the YAML front matter that the Hub reads.
    """
    recipe, order, resolved = state["recipe"], state["order"], state["resolved"]
    names = sorted(set(train["teacher"].drop_nulls().to_list()))
    models = {name: state["teachers"][name]["model"] for name in names if name in state["teachers"]}
    teachers = ", ".join(f"{name} ({models[name]})" if name in models else name for name in names) or "none"
    lines = [
        "---",
        f"license: {source.license or 'unknown'}",
        "task_categories: [text-generation]",
        "tags: [reasoning, synthetic, tunixhack]",
        "configs:",
        "- config_name: default",
        "  data_files: [{split: train, path: train.parquet}]",
        "---",
        f"# {state['domain']}: a reasoning dataset",
        "",
        f"{train.height:,} answers to {train['question_id'].n_unique():,} questions, each with its reasoning, made "
        f"with TunixHack {state['tunixhack']}.",
        "",
        f"- Questions: {_where(resolved)}; the licence is the source's"
        f"{'' if source.license else ', which is not known here: see its page'}",
        f"- Teacher: {teachers}; trace: {recipe['trace']}; samples a question: {recipe['samples']}; "
        f"seed {order['seed']}",
        f"- Length: {_max_length(state['funnel'])}",
        *_received(state["funnel"]),
        "- Answers are not checked for being right, unless a step below says so",
        "",
        "| step | in | out | dropped because |",
        "|---|---:|---:|---|",
    ]
    room = MOST_LINES - len(lines) - 2
    for line in state["funnel"][:room]:
        out = line["kept"] if line["made"] is None else line["made"]
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in list(line["reasons"].items())[:4])
        aside = f"{line['set_aside']:,} not needed" if line["set_aside"] else ""
        missing = f"{line['missing']:,} not received" if line["missing"] else ""
        why = " ".join("; ".join(part for part in (reasons, aside, missing) if part).split()).replace("|", r"\|")
        lines.append(f"| {line['step']} | {line['rows_in']:,} | {out:,} | {why} |")
    lines += ["", "Columns: `question`, `context`, `reasoning`, `answer`, and where each row comes from."]
    return "\n".join(lines) + "\n"


def publish_command(folder: Path) -> str:
    """Return the line that puts the dataset on the Hub: the card and the kept answers, nothing else."""
    return f"tunixhack push {shlex.quote(str(folder))} USER/NAME"


def _where(resolved: Mapping[str, Any]) -> str:
    version = resolved.get("commit") or resolved.get("sha256")
    # of a file the name alone, as in the rows: its folder is the user's own affair
    path = Path(resolved["path"]).name if resolved.get("sha256") else resolved["path"]
    return f"{path}{f' at {version[:12]}' if version else ''}"


def _received(funnel: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how many tokens all steps' teachers wrote and read, and what that cost; nothing where none was asked."""
    asking = [line for line in funnel if line["at_least"] or line["completion_tokens"] is not None]
    if not asking:
        return []
    least = "at least " if any(line["at_least"] for line in asking) else ""
    told = [
        f"{least}{sum(line[f'{kind}_tokens'] or 0 for line in asking):,} tokens of {name}"
        for kind, name in (("prompt", "prompts"), ("completion", "answers"))
    ]
    costs = [line["cost"] for line in asking]
    cost = "at a price that is not known" if None in costs else f"for {least if sum(costs) else ''}${sum(costs):,.2f}"
    return [f"- Received over all starts: {' and '.join(told)}, {cost}"]


def _max_length(funnel: Sequence[Mapping[str, Any]]) -> str:
    """Say which limit the answers were held to."""
    # the step was called budget before it was called max_length, and runs of that time are published, too
    note = next((line["note"] for line in funnel if line["step"] in ("max_length", "budget")), None)
    return f"{note}; over-long answers are dropped, never cut" if note else "as the teacher wrote it"
