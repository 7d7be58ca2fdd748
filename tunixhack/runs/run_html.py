"""A run as a notebook shows it: its status, its funnel and a few kept answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunixhack._util.notebook_html import heading, paragraph, table
from tunixhack.runs.funnel import HEADER, cells

DEMONSTRATION = (
    "A demonstration: the embedded teacher has 135M parameters, so the form is right and the content is not. "
    "Train on nothing of it."
)


def run_html(title: str, state: Mapping[str, Any], samples: Iterable[Mapping[str, Any]]) -> str:
    """Return the HTML of a run; all text in it is escaped.

    Args:
        title: the line above.
        state: what run.json keeps.
        samples: kept answers to show below the funnel.
    """
    shown = [heading(title), table(HEADER, map(cells, state.get("funnel", [])))]
    if is_demonstration(state):
        shown.append(paragraph(DEMONSTRATION))
    for row in samples:
        shown.append(heading(f"question {row['question_id']}, sample {row['sample']}"))
        shown += [paragraph(f"{part}: {row.get(part) or ''}") for part in ("question", "reasoning", "answer")]
    return "".join(shown)


def is_demonstration(state: Mapping[str, Any]) -> bool:
    """Tell whether the embedded teacher answered in a run.

    >>> is_demonstration({"teachers": {"local": {}}})
    True
    """
    return "local" in {name.partition("/")[0] for name in state.get("teachers", {})}
