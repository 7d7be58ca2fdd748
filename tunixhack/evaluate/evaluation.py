"""`Evaluation`: the figures of an evaluation, as they stand in its folder.

=================== =======================================================================================
evaluation.json     who was asked what and how, the figures, what was left out, and the sentences
replies.parquet     every reply, read and scored: `tunixhack.evaluate.replies.REPLY`
scores.parquet      the mean of every question and arm: `tunixhack.evaluate.figures.by_question`
losses.parquet      the loss of every question and student on the source's own solution: `tunixhack.evaluate.losses`
preferences.parquet where a judge compared answers, every pair: `tunixhack.evaluate.pairs.PREFERENCE`
TASK/ARM/           an arm's answer store; of a teacher it is the folder of a run
=================== =======================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from tunixhack._util.files import read_parquet, write_json, write_parquet
from tunixhack._util.notebook_html import heading, paragraph, table
from tunixhack._util.result_file import ResultFile
from tunixhack._util.safe_text import for_terminal

FILE, REPLIES, SCORES, LOSSES = "evaluation.json", "replies.parquet", "scores.parquet", "losses.parquet"
PREFERENCES = "preferences.parquet"
SCHEMA = 1
"""The version of evaluation.json."""
REMEDY = "the same command writes it anew from the stored replies"
RESULT = ResultFile(name=FILE, of="an evaluation", schema=SCHEMA, remedy=REMEDY)
COLUMNS = ("", "right", "n", "k", "cut off", "unread", "form ok", "tokens", "loss")
"""The columns of `Evaluation.cells`: ``n`` questions with all of their replies, ``k`` replies to each."""
PREFERENCE_COLUMNS = ("", "preferred", "n", "unread", "both orders agree", "first won", "longer won")
"""The columns of `Evaluation.preference_cells`; shares of the pairs that a judge compared."""
UNKNOWN = "–"


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The figures of an evaluation.

    >>> found = Evaluation.load("evals/math")  # doctest: +SKIP
    >>> found.scores, found.differences, found.verdicts  # doctest: +SKIP
    """

    folder: Path
    content: dict[str, Any]
    """All that evaluation.json has."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read an evaluation that was written.

        Raises:
            UserError: there is none, or it is damaged or of a later version.
        """
        content = RESULT.read(folder)
        return cls(Path(folder), content)

    def save(
        self,
        replies: pl.DataFrame,
        scores: pl.DataFrame,
        losses: pl.DataFrame | None = None,
        judged: pl.DataFrame | None = None,
    ) -> None:
        """Replace the files of the folder, evaluation.json last.

        Args:
            replies: read and scored.
            scores: the mean of every question and arm.
            losses: of every question and student on the source's own solution; None where there are none.
            judged: every pair of answers that was to be compared; None without a judge.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        write_parquet(self.folder / REPLIES, replies)
        write_parquet(self.folder / SCORES, scores)
        if losses is not None:
            write_parquet(self.folder / LOSSES, losses)
        if judged is not None:
            write_parquet(self.folder / PREFERENCES, judged)
        write_json(self.folder / FILE, self.content)

    @property
    def scores(self) -> pl.DataFrame:
        """A row for each task and arm: right with its interval, and beside it what can turn it."""
        return pl.DataFrame(self.content["scores"])

    @property
    def differences(self) -> pl.DataFrame:
        """A row for each task and arm but the baseline: the paired difference, its interval and the verdict."""
        return pl.DataFrame(self.content["differences"])

    @property
    def preferences(self) -> pl.DataFrame:
        """A row for each task and arm but the baseline that a judge compared: how often its answer is preferred."""
        return pl.DataFrame(self.content.get("preferences", []))

    @property
    def pairs(self) -> pl.DataFrame:
        """Every pair of answers that a judge compared; see `tunixhack.evaluate.pairs.PREFERENCE`."""
        return read_parquet(self.folder / PREFERENCES, REMEDY)

    @property
    def replies(self) -> pl.DataFrame:
        """Every reply, read and scored."""
        return read_parquet(self.folder / REPLIES, REMEDY)

    @property
    def questions(self) -> pl.DataFrame:
        """The mean of every question and arm."""
        return read_parquet(self.folder / SCORES, REMEDY)

    @property
    def losses(self) -> pl.DataFrame:
        """The loss of every question and student on the source's own solution, in nats a token; see `LOSS`."""
        return read_parquet(self.folder / LOSSES, REMEDY)

    @property
    def loss_verdicts(self) -> list[str]:
        """A sentence for each difference of losses."""
        return [f"{line['task']}: {line['sentence']}" for line in self.content.get("loss_differences", [])]

    @property
    def mean_verdicts(self) -> list[str]:
        """A sentence for each difference of the mean over several tasks."""
        return [f"mean of the tasks: {line['sentence']}" for line in self.content.get("mean_differences", [])]

    @property
    def means(self) -> list[str]:
        """A line for each arm's mean over several tasks."""
        return [
            f"mean of the {len(line['tasks'])} tasks: {line['arm']} {_share(line, 'right', 'low', 'high')}"
            for line in self.content.get("mean_scores", [])
        ]

    @property
    def verdicts(self) -> list[str]:
        """A sentence for each difference, and for each arm that a judge compared."""
        lines = [*self.content["differences"], *self.content.get("preferences", [])]
        return [f"{line['task']}: {line['sentence']}" for line in lines if line["sentence"] is not None]

    @property
    def notes(self) -> list[str]:
        """Sentences about what was left out, what went wrong, and what is not known."""
        return list(self.content["notes"])

    @property
    def sentences(self) -> list[str]:
        """All that stands below the tables: means over tasks, verdicts, and what is to be known of both."""
        return [*self.means, *self.verdicts, *self.mean_verdicts, *self.loss_verdicts, *self.notes]

    @property
    def exit_code(self) -> int:
        """The exit code: 0 where every arm has all of its replies, else that of the first one without."""
        return int(self.content["exit_code"])

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {"folder": str(self.folder), **self.content}

    def cells(self, task: str) -> list[list[str]]:
        """Return the table of a task as texts, in the columns `COLUMNS`."""
        return [_cells(line) for line in self.content["scores"] if line["task"] == task]

    def preference_cells(self, task: str) -> list[list[str]]:
        """Return what a judge said of a task's arms as texts, in the columns `PREFERENCE_COLUMNS`."""
        return [_preference_cells(line) for line in self.content.get("preferences", []) if line["task"] == task]

    def title(self, task: str) -> str:
        """Return a line that says what a task is."""
        told, order = self.content["tasks"][task], self.content["order"]
        together = f" in {told['clusters']:,} clusters" if told.get("clusters") else ""
        samples = told.get("samples", order["samples"])
        more = f", and {told['unscored']:,} for the loss alone" if told.get("unscored") else ""
        more += f", judged by {order['judge']}" if order.get("judge") else ""
        return f"{task} ({told['source']['path']}, {told['asked']:,} questions{together} × {samples:,}{more})"

    def __repr__(self) -> str:
        """Say in a line what was compared."""
        arms = ", ".join(arm["label"] for arm in self.content["arms"])
        return for_terminal(f"Evaluation({str(self.folder)!r}: {arms} on {', '.join(self.content['tasks'])})")

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a table a task, the verdicts and notes, escaped."""
        tables = ""
        for task in self.content["tasks"]:
            tables += heading(self.title(task)) + table(COLUMNS, self.cells(task))
            judged = self.preference_cells(task)
            tables += table(PREFERENCE_COLUMNS, judged) if judged else ""
        return tables + "".join(map(paragraph, self.sentences))


def _cells(line: dict[str, Any]) -> list[str]:
    missing = f" ({line['missing']:,} missing)" if line["missing"] else ""
    loss = UNKNOWN
    if line.get("loss") is not None:
        loss = f"{line['loss']:.3f}"
        loss += "" if line["loss_low"] is None else f" ({line['loss_low']:.3f}–{line['loss_high']:.3f})"
    if not line["n"]:
        return [line["arm"], UNKNOWN, f"0{missing}", *[UNKNOWN] * (len(COLUMNS) - 4), loss]
    right = _share(line, "right", "low", "high")
    shares = [
        UNKNOWN if line[name] is None else f"{100 * line[name]:.0f} %" for name in ("cut_off", "unread", "form_ok")
    ]
    tokens = UNKNOWN if line["tokens"] is None else f"{line['tokens']:,.0f}"
    return [line["arm"], right, f"{line['n']:,}{missing}", f"{line['k']:,}", *shares, tokens, loss]


def _preference_cells(line: dict[str, Any]) -> list[str]:
    missing = f" ({line['missing']:,} missing)" if line["missing"] else ""
    habits = [_share(line, name, f"{name}_low", f"{name}_high") for name in ("agreement", "first", "longer")]
    preferred = _share(line, "preferred", "low", "high")
    return [
        line["arm"],
        preferred,
        f"{line['n']:,}{missing}",
        f"{line['unread']:,}",
        *habits,
    ]


def _share(line: dict[str, Any], name: str, low: str, high: str) -> str:
    """Write a share of a line with its interval: ``61 % (55–66)``."""
    if line[name] is None:
        return UNKNOWN
    ends = "" if line[low] is None else f" ({100 * line[low]:.0f}–{100 * line[high]:.0f})"
    return f"{100 * line[name]:.0f} %{ends}"
