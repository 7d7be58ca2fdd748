"""The loss of a training as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunixhack._util.files import write_atomically
from tunixhack.errors import MissingExtra

PLOT = "loss.png"
SMOOTH = 0.9
"""How much of the mean before a step is kept in the smoothed curve; its first steps are corrected for having none."""


def draw_losses(lines: Sequence[Mapping[str, Any]], path: Path, title: str) -> bool:
    """Draw the loss by step, the validation loss where it was measured, and the learning rate.

    Args:
        lines: what `tunixhack.train.report.metrics.read` gives: ``step`` with ``loss``, ``validation_loss`` or
            ``learning_rate``. A number that is none (a step that was not finite) leaves a gap.
        path: of the PNG, which is replaced as a whole.
        title: what stands above.

    Returns:
        False, with nothing drawn, where no line has a loss.

    Raises:
        MissingExtra: matplotlib is not installed.
        UserError: the file cannot be written.
    """
    losses, checked, rates = (points(lines, name) for name in ("loss", "validation_loss", "learning_rate"))
    if not losses and not checked:
        return False
    try:
        # no pyplot: it would choose a window system, and keep every figure
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("train", f"{path.name}, the loss curve,") from error

    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    if losses:
        above.plot(*zip(*losses, strict=True), color="tab:blue", alpha=0.3, linewidth=1, label="each step")
        above.plot(*zip(*smoothed(losses), strict=True), color="tab:blue", label="smoothed")
    if checked:
        above.plot(*zip(*checked, strict=True), "o-", color="tab:orange", label="validation questions")
    if rates:
        below.plot(*zip(*rates, strict=True), color="tab:gray")
    above.set_title(title, parse_math=False)  # a name may have dollars
    above.set_ylabel("loss (nats per token)")
    above.grid(alpha=0.3)
    above.legend()
    below.set_ylabel("rate")
    below.set_xlabel("step")
    below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    below.grid(alpha=0.3)
    canvas = FigureCanvasAgg(figure)
    write_atomically(path, lambda draft: canvas.print_figure(str(draft), dpi=120, format="png"))
    return True


def points(lines: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    """Return the steps at which a number was written, and it, by step; of one step done twice, the later one."""
    found = {
        line["step"]: float(line[name])
        for line in lines
        if isinstance(line.get("step"), int) and isinstance(line.get(name), int | float)
    }
    return sorted(found.items())


def smoothed(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return a moving mean, in which older steps count less and less, and those that are not finite not at all.

    >>> smoothed([(1, 2.0), (2, float("nan")), (3, 2.0)])
    [(1, 2.0), (3, 2.0)]
    """
    made = []
    total = weight = 0.0
    for step, loss in losses:
        if math.isfinite(loss):
            total, weight = SMOOTH * total + loss, SMOOTH * weight + 1
            made.append((step, total / weight))
    return made
