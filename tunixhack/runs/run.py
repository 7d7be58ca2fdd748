"""`Run`: the folder of one build, and what stands in it.

================== ====================================================================================
train.parquet      the dataset: kept answers
rejected.parquet   every dropped row, by which step, and why
questions.parquet  every candidate question, and whether it was selected; a table of over 500 MB stands in
                   several files instead, see `tunixhack.runs.tables`
answers/           the answer store
run.json           recipe, versions, seeds, resolved source, teachers, funnel
README.md          the dataset card
report.html        all of it as a page for a browser
pilot/             train.parquet and rejected.parquet of the pilot's answers alone
lock, .work/       while a build works
batches/           while a provider answers batches
================== ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack._util.files import write_json
from tunixhack._util.lock import owner
from tunixhack._util.safe_text import for_terminal
from tunixhack._util.wording import counted
from tunixhack.errors import TunixHackError, UserError
from tunixhack.runs.answer_store import ANSWERS, WORK, AnswerStore, Received
from tunixhack.runs.divide import by_rank, divide
from tunixhack.runs.funnel import as_frame
from tunixhack.runs.places import opened
from tunixhack.runs.shard_names import holds_shards
from tunixhack.runs.signature import how_to_go_on
from tunixhack.runs.state import DONE, REPORT, STATE, STOPPED, RunRecord, read_state
from tunixhack.runs.tables import beginning, height, is_written, read_table, table_files, table_parts

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.table import Table

    from tunixhack.formats import ExportedRows
    from tunixhack.runs.preference_pairs import By

MOST_LOOKED_AT = 50_000
"""Kept answers among which samples are looked for."""


@dataclass(frozen=True, repr=False)
class Run:
    """One build's folder, finished or not. It reads the files each time, so it also shows a build at work.

    Example:
        run = Run.load("runs/creative")
        run.dataset, run.rejected, run.funnel
    """

    folder: Path
    address: str | None = None
    """On an object store, of which the folder is a copy; None of a run of this machine."""

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Open a run's folder, or the run at an address, which is fetched first as far as it has changed.

        Args:
            folder: of the run, or its address, such as ``s3://bucket/runs/math``.

        Raises:
            UserError: there is no run, or the store cannot be asked.
        """
        return cls(*opened(folder, answers=True)).checked()

    def checked(self) -> Run:
        """Return the run itself, which has a record that can be read.

        Raises:
            UserError: it has none.
        """
        try:
            if not self.folder.is_dir():
                raise UserError(f"there is no folder {self.place}")
            if not (self.folder / STATE).exists():
                raise UserError(self.without_state() or f"{self.place} is not the folder of a run: it has no {STATE}")
        except OSError as error:
            raise UserError(f"{self.place} cannot be looked into: {error.strerror or error}") from error
        self.state()
        return self

    @property
    def place(self) -> str:
        """The run's folder, or its address on an object store."""
        return self.address or str(self.folder)

    def __repr__(self) -> str:
        """Say in a line which folder it is and how far the run is."""
        return for_terminal(f"Run({self.place!r}: {_or_sentence(self._told)})")

    def _repr_html_(self) -> str:
        """Return the funnel and two answers for a notebook, and where its report is; all of it escaped."""
        from tunixhack._util.notebook_html import paragraph
        from tunixhack.runs.run_html import run_html

        try:
            kept = self.samples(2) if is_written(self.folder, "train") else ()
            shown = run_html(f"{self.place}: {self.status}", self.state(), kept)
            report = self.folder / REPORT
            return shown + (paragraph(f"all rows, to look through in a browser: {report}") if report.exists() else "")
        except TunixHackError as error:  # what a notebook shows must not end in a traceback
            return paragraph(f"{self.place}: {error}")

    def _told(self) -> str:
        if not self.state():
            return "nothing built yet"
        written = is_written(self.folder, "train")
        return f"{self.condition}, {counted(self.kept, 'answer')} kept" if written else self.condition

    def state(self) -> RunRecord:
        """Return what run.json keeps; empty before the first build.

        Raises:
            UserError: it is not what a run writes; see `tunixhack.runs.state`.
        """
        path = self.folder / STATE
        try:
            there = path.exists()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}; choose another --out") from error
        return read_state(path) if there else {}

    def without_state(self) -> str | None:
        """Say how to go on where shards are instead of a run, or answers without their run.json; None for neither."""
        if holds_shards(self.folder):
            return (
                f"{self.place} holds the shards of a build and is no run itself: build with --shard goes on with "
                f"them, and tunixhack merge {self.place} --out OTHER makes one run of them"
            )
        found = self.store.received()
        if not found.answers and not found.damaged:
            return None
        return (
            f"{self.place} has no {STATE} any more, but {found}: restore {STATE}, or build with another --out and "
            f"--reuse {self.place}, which takes over the answers to the same requests"
        )

    def save(self, state: RunRecord) -> None:
        """Replace run.json."""
        write_json(self.folder / STATE, state)

    @cached_property
    def store(self) -> AnswerStore:
        """The run's answer store; like the run, it reads its files each time."""
        return AnswerStore(self.folder / ANSWERS, self.folder / WORK)

    def parts(self) -> list[Run]:
        """Return the runs of a mixture's parts, as far as they are there; none of another run."""
        names = [part["name"] for part in self.state().get("parts", [])]
        parts = [Run(self.folder / name, self.address and f"{self.address}/{name}") for name in names]
        return [part for part in parts if (part.folder / STATE).exists()]

    @property
    def done(self) -> bool:
        """Tell whether the last build came to its end."""
        return self.state().get("state") == DONE

    @property
    def status(self) -> str:
        """Say in a sentence whether the run is finished, at work, or interrupted, and how it goes on."""
        state, worker = self.state(), owner(self.folder)
        if worker and worker.running():
            return f"at work ({worker}): {self._received()}; the files below are of an earlier state"
        unseen = f" (unless {worker}, which cannot be seen from here, is still at work)" if worker else ""
        if state.get("state") == DONE:
            but = f", but {state['why']}" if state.get("why") else ""
            return f"finished{but}{unseen}"
        why = f": {state['why']}" if state.get("why") else ""
        return f"not finished{why}{unseen}; {self._received()}; {how_to_go_on(state)}"

    def _received(self) -> Received:
        """Count what the run has received, and what the parts of a mixture have."""
        found = [one.store.received() for one in (self, *self.parts())]
        damaged = tuple(path for one in found for path in one.damaged)
        return Received(sum(one.answers for one in found), damaged)

    @property
    def condition(self) -> str:
        """Say how far the run is in words for others: no path, address or command of the user's is in them."""
        worker = owner(self.folder)
        if worker and worker.running():
            return "at work"
        return self.status if self.done else "not finished"

    @property
    def train(self) -> pl.DataFrame:
        """The kept answers as a polars table."""
        return self._table("train")

    @property
    def kept(self) -> int:
        """The number of kept answers, which are not read for it."""
        self._check_written("train")
        return height(self.folder, "train")

    def train_parts(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the kept answers in their order, a part in memory at a time; all columns if none is named."""
        self._check_written("train")
        yield from table_parts(self.folder, "train", columns)

    @property
    def rejected(self) -> pl.DataFrame:
        """Every dropped row with ``step``, ``reason`` and ``evidence``."""
        return self._table("rejected")

    @property
    def questions(self) -> pl.DataFrame:
        """Every candidate question with ``selected``."""
        return self._table("questions")

    @property
    def dataset(self) -> Dataset:
        """The kept answers as a `datasets.Dataset`, ready for training."""
        return _dataset(self.train)

    def subset(self, rows: int) -> Dataset:
        """Return some of the kept answers: a smaller subset is the beginning of every larger one.

        They come question by question in the run's order of questions (contract 8), so that only the last question can
        lack samples, and are the same every time.

        Args:
            rows: how many answers.

        Raises:
            UserError: there are fewer, or none were asked for.
        """
        train = self._with_ids(self.train)
        if not 1 <= rows <= train.height:
            raise UserError(
                f"{self.place} has {counted(train.height, 'kept answer')}: a subset of {rows:,} cannot be taken"
            )
        seed = self.state().get("order", {}).get("seed") or 0
        return _dataset(by_rank(train, seed).head(rows))

    def split(self, **shares: float) -> dict[str, Dataset]:
        """Divide the kept answers by question, such as for SFT first and RL behind it.

        All answers to a question are in one part. Which part it is in goes by a hash of the run's seed and the
        question, so that the same run is divided the same way every time.

        Args:
            shares: what the parts are called, and which share of the questions each gets; they add up to at most 1.

        Returns:
            The parts by their names: of ``n`` questions, share × n rounded, the largest remainders first.

        Raises:
            UserError: the shares make no sense, or a part would get no question.

        Example:
            parts = Run.load("runs/creative").split(sft=0.2, rl=0.8)
            parts["sft"], parts["rl"]
        """
        train = self._with_ids(self.train)
        seed = self.state().get("order", {}).get("seed") or 0
        divided = divide(train["question_id"].unique().to_list(), shares, seed)
        return {name: _dataset(train.filter(pl.col("question_id").is_in(ids))) for name, ids in divided.items()}

    @property
    def funnel(self) -> pl.DataFrame:
        """Rows in, rows out, seconds, tokens and cost of every step; see `tunixhack.runs.funnel.FunnelLine`."""
        return as_frame(self.state().get("funnel", []))

    def export(self, format: str, path: str | Path | None = None) -> ExportedRows:
        """Convert the dataset to a training format; see `tunixhack.formats.FORMATS`.

        Args:
            format: messages, sharegpt, think, openthoughts or hackathon.
            path: a .jsonl or .parquet file to write the rows to as well, a part at a time.

        Returns:
            ``rows``, which are read from the file where they are over 200,000, and as ``rejected`` those whose text
            holds the format's own tags (reason ``tag_in_text``).

        Raises:
            UserError: the format is unknown, the file ends otherwise, or there are no kept answers yet.
        """
        from tunixhack.formats import export
        from tunixhack.runs.export_file import export_parts, writer_of

        if path is None:
            return export(self.train, format)
        writer_of(Path(path))  # a wrong ending is told before the rows are read
        return export_parts(self.train_parts(), format, Path(path))

    def pairs(self, by: By = "verify", **options: Any) -> Dataset:
        """Make preference pairs of this run's answers, in the columns that trl and others read for DPO.

        Args:
            by: what makes an answer better: ``verify``, ``vote``, ``judge`` or ``length``; see
                `tunixhack.runs.preference_pairs`.
            options: ``per_question``, ``score``, ``margin`` and ``format``, see
                `tunixhack.runs.preference_pairs.PairOptions`.

        Returns:
            ``prompt``, ``chosen``, ``rejected`` (messages), ``question_id``, ``chosen_sample``, ``rejected_sample`` and
            ``why``. How many there are, and whether one of the two is nearly always the longer, is told.

        Raises:
            UserError: no step has written what decides, or no question has a better and a worse answer.
        """
        from tunixhack._util.progress import Reporter
        from tunixhack.runs.preference_pairs import pairs_of

        found = pairs_of(self, by, options)
        for sentence in found.sentences():
            Reporter().say(sentence)
        return _dataset(found.table())

    def funnel_table(self) -> Table:
        """Draw the funnel for a terminal."""
        from tunixhack.runs.funnel import table

        return table(self.state().get("funnel", []))

    @property
    def pilot_folder(self) -> Path:
        """The folder of the pilot's tables."""
        return self.folder / "pilot"

    def latest_table(self, name: str, most: int | None = None) -> pl.DataFrame | None:
        """Return a table to look at: the pilot's where the last start ended with it, else the whole run's.

        Args:
            name: train or rejected.
            most: rows of it, the first ones; all if None.

        Returns:
            The table; None where there is none yet. Of a mixture that has none, such as behind a preview, its parts'.
        """
        found = beginning(self.latest_parts(name), most)
        return pl.concat(found, how="diagonal_relaxed") if found else None

    def latest_parts(self, name: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield what `latest_table` returns, a part in memory at a time; nothing where there is no table yet."""
        state = self.state()
        told = state.get("pilot")
        pilot = isinstance(told, dict) and told.get("ended_here") is True and state.get("state") == STOPPED
        folder = self.pilot_folder if pilot else self.folder
        if table_files(folder, name):
            yield from table_parts(folder, name, columns)
            return
        for part in self.parts():
            yield from part.latest_parts(name, columns)

    def samples(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield a few kept answers, of different questions, the same ones every time.

        Raises:
            UserError: the table has no ids, so it is none of a run's.
        """
        train = self.latest_table("train", most=MOST_LOOKED_AT)
        if train is None:
            return
        train = self._with_ids(train)
        yield from train.unique("question_id", keep="first", maintain_order=True).head(count).iter_rows(named=True)

    def _with_ids(self, train: pl.DataFrame) -> pl.DataFrame:
        missing = [name for name in ("question_id", "sample") if name not in train.columns]
        if missing:
            raise UserError(f"{self.folder / 'train.parquet'} has no column {missing[0]}: it is not what a run writes")
        return train

    def _table(self, name: str) -> pl.DataFrame:
        self._check_written(name)
        return read_table(self.folder, name)

    def _check_written(self, name: str) -> None:
        if not table_files(self.folder, name):
            raise UserError(f"{self.place} has no {name}.parquet yet: {self.status}")


def _or_sentence(tell: Callable[[], str]) -> str:
    try:
        return tell()
    except TunixHackError as error:
        return str(error)


def _dataset(rows: pl.DataFrame) -> Dataset:
    from datasets import Dataset

    return Dataset(rows.to_arrow())
