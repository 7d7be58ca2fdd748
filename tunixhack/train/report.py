"""What a training shows of itself, out of its folder: the loss curve, the samples, the card."""

from __future__ import annotations

from pathlib import Path

from tunixhack.files import write_text
from tunixhack.train import curve, metrics, record, samples
from tunixhack.train.card import card, title

CARD = "README.md"


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
