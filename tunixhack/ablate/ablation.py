"""`Ablation`: the figures of an ablation, as they stand in its folder.

=================== =======================================================================================
ablation.json       arms, settings, what was trained, the figures, the choice, and the sentences
curve.png           the scores over the numbers of rows, where there are several
runs/ARM/           the run of an arm that was built
students/…          ARM-ROWS-I, the training with the seed I of an arm; of further models in a folder of its own
evals/choose/       the evaluation of all students on the questions by which an arm is chosen
evals/confirm/      the evaluation of the chosen arm and the baseline on fresh questions
=================== =======================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict

import polars as pl

from tunixhack._util.files import write_json
from tunixhack._util.notebook_html import heading, paragraph, table
from tunixhack._util.result_file import ResultFile
from tunixhack._util.safe_text import for_terminal
from tunixhack.ablate.choice import SlopeLine
from tunixhack.ablate.figures import DifferenceLine, ScoreLine

FILE, CURVE = "ablation.json", "curve.png"
SCHEMA = 1
"""The version of ablation.json."""
COLUMNS = ("", "rows", "right", "n", "trainings", "cut off", "unread", "form ok", "tokens", "learnt")
"""The columns of `Ablation.cells`: ``trainings`` has the score of each, ``learnt`` the tokens of an epoch."""
UNKNOWN = "–"


class Choice(TypedDict):
    """Which arm was chosen for a model."""

    model: str
    rows: int
    """The largest size that is whole."""
    arm: str
    by_size: dict[str, str]
    """The arm that is chosen at each size, by its rows."""
    held: str | None
    """Whether the choice at the smallest size held at the largest, in words."""


class Content(TypedDict):
    """What ablation.json has."""

    schema: int
    tunixhack: str
    command: str
    setup: dict[str, Any]
    """What may not change in a folder: the arms' rows, models, settings, questions."""
    order: dict[str, Any]
    """What was asked for in the last start."""
    trainings: dict[str, dict[str, Any]]
    """By the folder of each: arm, rows, seed, and the seconds that it took; null where it was interrupted."""
    scores: list[ScoreLine]
    differences: list[DifferenceLine]
    choices: list[Choice]
    confirmed_scores: list[ScoreLine]
    confirmed: list[DifferenceLine]
    slopes: list[SlopeLine]
    notes: list[str]
    exit_code: int


RESULT = ResultFile(
    name=FILE,
    of="an ablation",
    schema=SCHEMA,
    remedy="the same command writes it anew from the trainings and replies in the folder",
    needs=Content.__annotations__.keys(),
)


@dataclass(frozen=True, repr=False)
class Ablation:
    """The figures of an ablation.

    >>> found = Ablation.load("ablations/direct-steps")  # doctest: +SKIP
    >>> found.chosen, found.confirmed, found.curve  # doctest: +SKIP
    """

    folder: Path
    content: Content
    """All that ablation.json has."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read an ablation that was written.

        Raises:
            UserError: there is none, or it is damaged or of a later version.
        """
        content: Any = RESULT.read(folder)
        return cls(Path(folder), content)

    def save(self) -> None:
        """Replace ablation.json.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        write_json(self.folder / FILE, self.content)

    @property
    def scores(self) -> pl.DataFrame:
        """A row for each model, task, size and arm: right with its interval, each training's, and what can turn it."""
        return pl.DataFrame(self.content["scores"])

    @property
    def differences(self) -> pl.DataFrame:
        """A row for each comparison: the paired difference, its interval and the verdict."""
        return pl.DataFrame(self.content["differences"])

    @property
    def chosen(self) -> dict[str, str]:
        """The chosen arm of each model: the best that is better than the baseline, else the baseline."""
        return {one["model"]: one["arm"] for one in self.content["choices"]}

    @property
    def confirmed(self) -> pl.DataFrame:
        """The chosen arm minus the baseline on questions that had no part in the choice; empty where none was asked."""
        return pl.DataFrame(self.content["confirmed"])

    @property
    def curve(self) -> pl.DataFrame:
        """What ten times the rows add to each arm; empty where there is but one size."""
        return pl.DataFrame(self.content["slopes"])

    @property
    def verdicts(self) -> list[str]:
        """A sentence for each comparison, for each choice, and for what became of it."""
        several = len({one["model"] for one in self.content["scores"]}) > 1

        def about(line: Any) -> str:
            model = f"{line['model']}, " if several else ""
            return f"{model}{line['task']}, {line['rows']:,} rows"

        said = [f"{about(one)}: {one['sentence']}" for one in self.content["differences"]]
        for choice in self.content["choices"]:
            model = f"{choice['model']}: " if several else ""
            said.append(f"{model}{choice['arm']} is chosen at {choice['rows']:,} rows")
            said += [f"{model}{choice['held']}"] if choice["held"] else []
        said += [f"{about(one)}, on fresh questions: {one['sentence']}" for one in self.content["confirmed"]]
        return [*said, *(_slope_sentence(one, several) for one in self.content["slopes"])]

    @property
    def notes(self) -> list[str]:
        """Sentences about what was left out, what is still to be done, and what is not known."""
        return list(self.content["notes"])

    @property
    def exit_code(self) -> int:
        """The exit code: 0 where everything was trained and every arm has all of its replies."""
        return self.content["exit_code"]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {"folder": str(self.folder), **self.content}

    def parts(self) -> list[tuple[str, list[list[str]]]]:
        """Return a title and the rows of a table, as texts in the columns `COLUMNS`, for each model and task."""
        found = []
        for what, lines in (("", self.content["scores"]), ("fresh questions, ", self.content["confirmed_scores"])):
            for model, task in dict.fromkeys((one["model"], one["task"]) for one in lines):
                of = [one for one in lines if (one["model"], one["task"]) == (model, task)]
                found.append((f"{task} ({what}{model})", [_cells(one) for one in of]))
        return found

    def __repr__(self) -> str:
        """Say in a line what was compared."""
        arms = ", ".join(dict.fromkeys(one["arm"] for one in self.content["scores"]))
        return for_terminal(f"Ablation({str(self.folder)!r}: {arms or 'nothing evaluated yet'})")

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a table for each model and task, the verdicts and notes, escaped."""
        tables = "".join(heading(title) + table(COLUMNS, rows) for title, rows in self.parts())
        return tables + "".join(map(paragraph, [*self.verdicts, *self.notes]))


def _slope_sentence(line: SlopeLine, several: bool) -> str:
    model = f"{line['model']}, " if several else ""
    size = f"{100 * line['slope']:+.1f} points"
    if line["low"] is not None and line["high"] is not None:
        size += f" (95 %: {100 * line['low']:+.1f} to {100 * line['high']:+.1f})"
    rows = f"{line['rows'][0]:,} to {line['rows'][-1]:,} rows"
    return f"{model}{line['task']}, {line['arm']}: ten times the rows add {size}, from {rows}"


def _cells(line: ScoreLine) -> list[str]:
    right = f"{100 * line['right']:.0f} %"
    if line["low"] is not None and line["high"] is not None:
        right += f" ({100 * line['low']:.0f}–{100 * line['high']:.0f})"
    each = UNKNOWN if line["trainings"] is None else ", ".join(f"{100 * one:.0f}" for one in line["by_training"])
    shares = [line["cut_off"], line["unread"], line["form_ok"]]
    clusters = line.get("clusters", line["n"])  # files of earlier versions tell none
    return [
        line["arm"],
        UNKNOWN if line["rows"] is None else f"{line['rows']:,}",
        right,
        f"{line['n']:,}" + ("" if clusters == line["n"] else f" in {clusters:,}"),
        each,
        *(UNKNOWN if one is None else f"{100 * one:.0f} %" for one in shares),
        UNKNOWN if line["tokens"] is None else f"{line['tokens']:,.0f}",
        UNKNOWN if line["learnt_tokens"] is None else f"{line['learnt_tokens']:,}",
    ]
