"""The dataset card of a mixture: its parts, and the strictest of their licences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tunixhack._util.safe_text import for_markdown
from tunixhack._util.wording import counted
from tunixhack.publish.card import received, teachers
from tunixhack.publish.licences import header, strictest

MOST_PARTS = 20
"""Parts that the card lists, so that it stays readable."""


def mixture_card(state: Mapping[str, Any], train: pl.DataFrame, files: str = "train.parquet") -> str:
    """Write the card of a mixture: what a part or a source calls itself is text in it, and no markup.

    Args:
        state: what run.json keeps.
        train: the kept rows, with ``part``.
        files: the name of their file, or a pattern with a star for several.

    Returns:
        Markdown with the YAML front matter that the Hub reads.
    """
    parts, order = state["parts"], state["order"]
    licence, of = strictest({part["name"]: part["license"] for part in parts})
    named = set(train["teacher"].drop_nulls())
    rows = dict(train.group_by("part").len().iter_rows())
    lines = [
        *header(licence, files),
        f"# {for_markdown(state['domain'])}: a mixture of reasoning datasets",
        "",
        f"{counted(train.height, 'row')} of {counted(train['question_id'].n_unique(), 'question')} in "
        f"{counted(len(parts), 'part')}, made with TunixHack {for_markdown(state['tunixhack'])}.",
        "",
        f"- {for_markdown(_licence_sentence(licence, of, len(parts)))}",
        f"- Teacher: {for_markdown(teachers(state, named))}; seed {order['seed']}; scale {order['scale']:g}",
        *received(state["funnel"]),
        "",
        "| part | source | licence | quota | questions | rows |",
        "|---|---|---|---:|---:|---:|",
    ]
    for part in parts[:MOST_PARTS]:
        cells = [part["name"], _source(part["source"]), part["license"] or "not known"]
        quota = f"{part['wanted']:,} {part['quota']}"
        numbers = [quota, f"{part['questions']:,}", f"{rows.get(part['name'], 0):,}"]
        lines.append(f"| {' | '.join([*map(for_markdown, cells), *numbers])} |")
    if len(parts) > MOST_PARTS:
        lines.append(f"| … and {len(parts) - MOST_PARTS} more | | | | | |")
    lines += ["", "Columns: `question`, `context`, `reasoning`, `answer`, `part`, and where each row comes from."]
    return "\n".join(lines) + "\n"


def _licence_sentence(licence: str | None, of: list[str], parts: int) -> str:
    if licence is None:
        return f"The licence of {', '.join(of)} is not known, so that nothing can be said of the whole: see its page"
    where = "all of its parts" if len(of) == parts else ", ".join(of)
    return f"The strictest licence among the parts is {licence}, that of {where}, and it holds for the whole"


def _source(source: Mapping[str, Any]) -> str:
    place = ":".join(str(source[name]) for name in ("path", "name") if source.get(name))
    return f"{place.rsplit('/', 1)[-1] if place.startswith(('/', '.', '~')) else place}{_where(source)}"


def _where(source: Mapping[str, Any]) -> str:
    return f", {source['where']}" if source.get("where") else ""
