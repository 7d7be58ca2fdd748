"""A run as a notebook shows it: its status, its funnel as a picture and a table, and a few kept answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunixhack._util.notebook_html import heading, paragraph, table
from tunixhack.runs.funnel import HEADER, cells
from tunixhack.runs.funnel_picture import funnel_picture
from tunixhack.runs.sentences import run_sentences


def run_html(title: str, state: Mapping[str, Any], samples: Iterable[Mapping[str, Any]]) -> str:
    """Return the HTML of a run; all text in it is escaped.

    Args:
        title: the line above.
        state: what run.json keeps.
        samples: kept answers to show below the funnel.
    """
    shown = [heading(title), funnel_picture(state), table(HEADER, map(cells, state.get("funnel", [])))]
    shown += map(paragraph, run_sentences(state))
    for row in samples:
        shown.append(heading(f"question {row['question_id']}, sample {row['sample']}"))
        shown += [paragraph(f"{part}: {row.get(part) or ''}") for part in ("question", "reasoning", "answer")]
    return "".join(shown)
