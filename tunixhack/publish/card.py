"""The dataset card: a README.md that makes a run's folder a Hub dataset of its train.parquet, and of nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.safe_text import for_markdown
from tunixhack._util.wording import counted, listed
from tunixhack.publish.licences import header
from tunixhack.publish.public_names import published_model, published_name, published_names
from tunixhack.runs.sentences import (
    WHY,
    accepted_sentence,
    cost_sentence,
    reference_share_sentence,
    wording_sentence,
)
from tunixhack.sources.question_source import QuestionSource

MOST_LINES = 40
MOST_WORDINGS = 10


@dataclass(frozen=True, kw_only=True)
class KeptAnswers:
    """What a card tells of the kept answers."""

    answers: int
    questions: int
    teachers: frozenset[str]
    """Their names in the column ``teacher``."""
    files: str = "train.parquet"
    """The name of their file, or a pattern with a star for several."""

    @classmethod
    def of(cls, train: pl.DataFrame, files: str = "train.parquet") -> KeptAnswers:
        """Count the rows of a table."""
        return cls(
            answers=train.height,
            questions=train["question_id"].n_unique(),
            teachers=frozenset(train["teacher"].drop_nulls().unique()),
            files=files,
        )


def card(state: Mapping[str, Any], kept: KeptAnswers, source: QuestionSource) -> str:
    """Write the card of a run: what a model, a step or a source calls itself is text in it, and no markup.

    Args:
        state: what run.json keeps; the funnel and teachers are told from it.
        kept: the kept answers.
        source: whose licence the dataset inherits.

    Returns:
        At most 40 lines of Markdown with the YAML front matter that the Hub reads.
    """
    recipe, order, resolved = state["recipe"], state["order"], state["resolved"]
    lines = [
        *header(source.license, kept.files),
        f"# {for_markdown(state['domain'])}: a reasoning dataset",
        "",
        f"{counted(kept.answers, 'answer')} to {counted(kept.questions, 'question')}, each with its "
        f"reasoning, made "
        f"with TunixHack {for_markdown(state['tunixhack'])}.",
        "",
        f"- Questions: {for_markdown(_where(resolved))}; the licence is the source's"
        f"{f': {for_markdown(source.license)}' if source.license else ', which is not known here: see its page'}",
        f"- Teacher: {for_markdown(teachers(state, kept.teachers))}; trace: {recipe['trace']}; samples a question: "
        f"{recipe['samples']}; seed {order['seed']}",
        f"- Length: {for_markdown(_max_length(state['funnel'], recipe.get('student')))}",
        f"- Benchmarks: {for_markdown(_benchmarks(state['funnel']))}",
        *received(state["funnel"]),
        _right(state.get("right")),
        *_accepted(state.get("accepted")),
        *_judged(state["funnel"]),
        *_wordings(state.get("wordings")),
        "",
        "| step | in | out | dropped because |",
        "|---|---:|---:|---|",
    ]
    room = MOST_LINES - len(lines) - 2
    funnel = state["funnel"][:room]
    reasons = [listed(dict(list(line["reasons"].items())[:4]), line["step"]) for line in funnel]
    for line, most in zip(funnel, reasons, strict=True):
        aside = f"{line['set_aside']:,} not needed" if line["set_aside"] else ""
        missing = f"{line['missing']:,} not received" if line["missing"] else ""
        step, why = for_markdown(line["step"]), for_markdown("; ".join(filter(None, [most, aside, missing])))
        lines.append(f"| {step} | {line['rows_in']:,} | {line['kept']:,} | {why} |")
    lines += ["", "Columns: `question`, `context`, `reasoning`, `answer`, and where each row comes from."]
    return "\n".join(lines) + "\n"


def publish_command(place: str | Path) -> str:
    """Return the line that puts the dataset on the Hub: the card and the kept answers, nothing else."""
    return f"tunixhack push {shlex.quote(str(place))} USER/NAME"


def teachers(state: Mapping[str, Any], kept: Collection[str]) -> str:
    """Name those whose answers were kept, and their models; see `tunixhack.publish.public_names`."""
    named = published_names(state["teachers"])
    told = {named[name]: kept.get("model") for name, kept in state["teachers"].items()}
    models = {name: published_model(model) for name, model in told.items() if model}
    names = sorted({named.get(name) or published_name(name) for name in kept})
    return ", ".join(f"{name} ({models[name]})" if name in models else name for name in names) or "none"


def _where(resolved: Mapping[str, Any]) -> str:
    version = resolved.get("commit") or resolved.get("sha256")
    # of a file the name alone, as in the rows: its folder is the user's own affair
    path = Path(resolved["path"]).name if resolved.get("sha256") else resolved["path"]
    return f"{path}{f' at {version[:12]}' if version else ''}"


def received(funnel: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the card's line of tokens and cost; none where no teacher was asked."""
    told = cost_sentence(funnel)
    return [] if told is None else [f"- {told}"]


def _right(found: Mapping[str, Any] | None) -> str:
    """Say how many answers reach the source's own, and that none was dropped for it."""
    if found is None:
        return "- Answers are not checked for being right, unless a step below says so"
    dropped = "" if "verify" in found["read_by"] else f"; {WHY}"
    return f"- {reference_share_sentence(found).capitalize()}{dropped}"


def _accepted(told: Mapping[str, Any] | None) -> list[str]:
    """Say how many answers were wanted, where that is what was asked for."""
    return [] if told is None else [f"- {accepted_sentence(told)}"]


def _judged(funnel: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what is to be known of a judge's scores, where answers were graded: how far its gradings agree."""
    lines = [line for line in funnel if line.get("details") and "judge" in line["details"]]
    return [f"- Graded by a judge ({for_markdown(line['step'])}): {for_markdown(line['note'] or '')}" for line in lines]


def _wordings(lines: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Say how the wordings of the recipe fare, where it has several."""
    told = [for_markdown(wording_sentence(line)) for line in (lines or ())[:MOST_WORDINGS]]
    return [f"- Wordings, one drawn for each question: {'; '.join(told)}"] if told else []


def _benchmarks(funnel: Sequence[Mapping[str, Any]]) -> str:
    """Say which benchmarks the questions were compared with, at which commit or content, and how many were left out."""
    lines = [line for line in funnel if line.get("details") and "benchmarks" in line["details"]]
    told = [one for line in lines for one in line["details"]["benchmarks"]]
    if not told:
        return next((line["note"] for line in lines if line["note"]), "the questions were compared with none")
    parts = []
    for one in told:
        version = one.get("commit") or one.get("sha256")
        parts.append(f"{one['benchmark']}{f' at {version[:12]}' if version else ''}")
    of, removed = lines[0]["rows_in"], sum(line["rejected"] for line in lines)
    return f"compared with {', '.join(parts)}; {removed:,} of {counted(of, 'question')} removed"


def _max_length(funnel: Sequence[Mapping[str, Any]], student: str | None) -> str:
    """Say which limit the answers were held to; of a student that is a folder, its name alone."""
    # the step was called budget before it was called max_length, and runs of that time are published, too
    note = next((line["note"] for line in funnel if line["step"] in ("max_length", "budget")), None)
    if note and student:
        note = note.replace(student, published_model(student))
    return f"{note}; over-long answers are dropped, never cut" if note else "as the teacher wrote it"
