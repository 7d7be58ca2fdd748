"""The scores over the numbers of rows as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunixhack._util.files import write_atomically
from tunixhack._util.safe_text import for_terminal
from tunixhack.ablate.figures import ScoreLine
from tunixhack.errors import MissingExtra

APART = 1.03
"""Factor between the rows at which the arms of one size are drawn, so that no interval hides another."""


def draw_curve(lines: Sequence[ScoreLine], path: Path) -> bool:
    """Draw the share of right replies over the rows, with intervals and each training; a picture a model and task.

    Args:
        lines: the scores; who was not trained is a dashed line.
        path: of the PNG, which is replaced as a whole.

    Returns:
        False, with nothing drawn, where no arm was trained at two sizes.

    Raises:
        MissingExtra: matplotlib is not installed.
        UserError: the file cannot be written.
    """
    places = list(dict.fromkeys((one["model"], one["task"]) for one in lines))
    if len({one["rows"] for one in lines if one["rows"] is not None}) < 2:
        return False
    try:
        # no pyplot: it would choose a window system, and keep every figure
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, NullFormatter
    except ModuleNotFoundError as error:
        raise MissingExtra("train", f"{path.name}, the curve,") from error

    figure = Figure(figsize=(7.5, 4.5 * len(places)), layout="constrained")
    for axes, (model, task) in zip(figure.subplots(len(places), 1, squeeze=False)[:, 0], places, strict=True):
        of = [one for one in lines if (one["model"], one["task"]) == (model, task)]
        for number, arm in enumerate(dict.fromkeys(one["arm"] for one in of)):
            _draw_arm(axes, [one for one in of if one["arm"] == arm], arm, number)
        sizes = sorted({one["rows"] for one in of if one["rows"] is not None})
        axes.set_xscale("log")
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set_title(for_terminal(f"{task}, {model}"), parse_math=False)  # a name may have dollars
        axes.set_xlabel("rows learnt")
        axes.set_ylabel("right")
        axes.grid(alpha=0.3)
        legend = axes.legend()
        for text in legend.get_texts():
            text.set_parse_math(False)
    canvas = FigureCanvasAgg(figure)
    write_atomically(path, lambda draft: canvas.print_figure(str(draft), dpi=120, format="png"))
    return True


def _draw_arm(axes: object, lines: Sequence[ScoreLine], arm: str, number: int) -> None:
    colour, label = f"C{number % 10}", for_terminal(arm)
    if lines[0]["rows"] is None:
        axes.axhline(lines[0]["right"], color=colour, linestyle="--", label=label)  # type: ignore[attr-defined]
        return
    known = [one for one in lines if one["rows"] is not None]
    at = [(one["rows"] or 0) * APART**number for one in known]
    right = [one["right"] for one in known]
    ends = [(one["right"] if one["low"] is None else one["low"], one["right"] if one["high"] is None else one["high"])
            for one in known]  # fmt: skip
    # the plain mean can lie beside an interval that the added pair has drawn inwards, by a hair
    reach = [
        [max(0.0, mean - low) for mean, (low, _) in zip(right, ends, strict=True)],
        [max(0.0, high - mean) for mean, (_, high) in zip(right, ends, strict=True)],
    ]
    axes.errorbar(at, right, yerr=reach, fmt="o-", capsize=3, color=colour, label=label)  # type: ignore[attr-defined]
    each = [(x, score) for x, one in zip(at, known, strict=True) for score in one["by_training"]]
    axes.plot(*zip(*each, strict=True), "_", color=colour, alpha=0.6)  # type: ignore[attr-defined]
