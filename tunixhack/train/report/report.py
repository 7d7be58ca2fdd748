"""The report of a training, made from its folder: the loss curve, the samples, the card."""

from __future__ import annotations

from pathlib import Path

from tunixhack._util.files import write_text
from tunixhack._util.progress import Reporter
from tunixhack._util.proportions import Share
from tunixhack.train import record
from tunixhack.train.record import TrainingRecord
from tunixhack.train.report import metrics, samples
from tunixhack.train.report.loss_plot import PLOT, draw_losses
from tunixhack.train.report.model_card import card, title

CARD = "README.md"
SHOWN = 2
"""Samples shown at the end; all are in samples.json."""


def write_report(folder: Path, training: TrainingRecord | None = None) -> list[Path]:
    """Write ``loss.png`` and ``README.md`` into a training's folder, from its student.json, metrics and samples.

    It can be called at any time: what the training has not come to yet is left out.

    Args:
        folder: of the training.
        training: its record; None to read it there.

    Returns:
        The files written.

    Raises:
        UserError: a file is damaged, or cannot be written.
        MissingExtra: matplotlib is not installed; the card is not written either.
    """
    training = training or record.read(folder)
    drawn = draw_losses(metrics.read(folder), folder / PLOT, f"{title(training.base)}, {training.settings.method}")
    write_text(folder / CARD, card(training, samples.read(folder), curve=drawn))
    return [*([folder / PLOT] if drawn else []), folder / CARD]


def show_results(folder: Path, training: TrainingRecord, report: Reporter) -> None:
    """Write what there is to look at, and show the samples and what was measured of them.

    Args:
        folder: of a training.
        training: its record.
        report: where it is shown.
    """
    for path in write_report(folder, training):
        report.say(f"written: {path}")
    report.show(samples.side_by_side(samples.read(folder)[:SHOWN]))
    for name, what in (("compliant", "exactly one trace and one answer"), ("unfinished", "cut off by the limit")):
        shares = [
            f"{when} {Share(found[name]['count'], found[name]['of'])}"
            for when in ("before", "after")
            if (found := training.validation.get(when)) is not None
        ]
        if shares:
            report.say(f"{what}: {', '.join(shares)}")
