"""What a training shows of itself, out of its folder: the loss curve, the samples, the card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunixhack.files import write_text
from tunixhack.progress import Reporter
from tunixhack.shares import Share
from tunixhack.train import curve, metrics, record, samples
from tunixhack.train.card import card, title

CARD = "README.md"
SHOWN = 2
"""Samples shown at the end; all are in samples.json."""


def write_report(folder: Path) -> list[Path]:
    """Write ``loss.png`` and ``README.md`` into a training's folder, from its student.json, metrics and samples.

    It can be called at any time: what the training has not come to yet is left out.

    Returns:
        The files written.

    Raises:
        UserError: a file is damaged, or cannot be written.
        MissingExtra: matplotlib is not installed; the card is not written either.
    """
    kept = record.read(folder)
    drawn = curve.draw(
        metrics.read(folder), folder / curve.FILE, f"{title(kept['base'])}, {kept['settings']['method']}"
    )
    write_text(folder / CARD, card(kept, samples.read(folder), curve=drawn))
    return [*([folder / curve.FILE] if drawn else []), folder / CARD]


def tell(folder: Path, evidence: Mapping[str, Any], report: Reporter) -> None:
    """Write what there is to look at, and show the samples and what was measured of them.

    Args:
        folder: of a training.
        evidence: what was measured before and after, as its record has it.
        report: where it is shown.
    """
    for path in write_report(folder):
        report.say(f"written: {path}")
    report.show(samples.side_by_side(samples.read(folder)[:SHOWN]))
    for name, what in (("compliant", "exactly one trace and one answer"), ("unfinished", "cut off by the limit")):
        told = [
            f"{when} {Share(evidence[when][name]['count'], evidence[when][name]['of'])}"
            for when in ("before", "after")
            if when in evidence
        ]
        if told:
            report.say(f"{what}: {', '.join(told)}")
