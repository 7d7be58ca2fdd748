"""The examples that a student learns from, out of one or several datasets, whatever wrote them.

====================================== ==================================================================
a run's folder or address, or a `Run`  ``train.parquet``: question and context, reasoning, answer
a `Dataset`                            one that was read before, such as the first rows of another
``.jsonl``, ``.json``, ``.parquet``, … a file that `tunixhack.sources.files` reads
``user/name:config/split@revision``    a dataset of the Hub; all but ``user/name`` may be left out
====================================== ==================================================================

The rows of files and of the Hub have the shapes of `tunixhack.train.data.rows`.
A row that cannot be learnt from is counted under its reason. Nothing here imports jax.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tunixhack._util.addresses import as_address
from tunixhack._util.wording import counted
from tunixhack.errors import UserError
from tunixhack.train.data.example_file import ExampleWriter
from tunixhack.train.data.rows import REASONS, SHAPES, Row, TrainingExample, read_row

if TYPE_CHECKING:
    from tunixhack.runs.run import Run


@dataclass(frozen=True)
class LeftOut:
    """Rows of a dataset that cannot be learnt from, for one reason."""

    reason: str
    """One of `REASONS`."""
    rows: int
    first: int
    """The number of the first such row, from 0."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One dataset as it was read."""

    name: str
    """Its folder, file or id, as it was asked for."""
    weight: float
    """How often each row is drawn in an epoch; see `tunixhack.train.data.epochs`."""
    examples: Sequence[TrainingExample]
    """In the dataset's order: a tuple, or of a large dataset a file of which a part is in memory at a time."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What a user should know about it before training, a sentence each."""

    def summary(self) -> str:
        """Say in a sentence what was read and what was left out, and why."""
        out = "; ".join(
            f"{one.rows:,} left out because {REASONS[one.reason]} (the first is row {one.first}, from 0)"
            for one in self.left_out
        )
        return f"{self.name}: {counted(len(self.examples), 'row')}" + (f"; {out}" if out else "")


def read(place: str | Path | Run, weight: float = 1.0) -> Dataset:
    """Read a dataset.

    Args:
        place: a run, its folder or its address, a file, or a Hub dataset's id.
        weight: see `Dataset.weight`.

    Raises:
        UserError: it is not there, cannot be read or is of no known shape, no row of it can be learnt from, or the
            weight is not above 0.
    """
    if not (math.isfinite(weight) and weight > 0):
        raise UserError(f"the weight of {_name(place)} must be above 0, not {weight}: leave the dataset out instead")
    rows, notes = _rows(place)
    name = _name(place)
    return _dataset(rows, name=name, weight=weight, notes=notes)


def all_examples(datasets: Iterable[Dataset]) -> list[TrainingExample]:
    """Return the examples of all datasets in their order: the one in which a `TokenSet` counts them."""
    return [example for dataset in datasets for example in dataset.examples]


def rows_and_examples(place: str | Path | Run) -> Iterator[tuple[Row, TrainingExample]]:
    """Yield the examples of a dataset, in its order, each with the row that it was read from.

    Raises:
        UserError: as `read`, but for rows that cannot be learnt from, which are passed over.
    """
    domain = stem(_name(place))
    for row in _rows(place)[0]:
        example = read_row(row, domain)
        if isinstance(example, TrainingExample):
            yield row, example


def read_all(
    places: Iterable[str | Path | Run | Dataset] | Mapping[str, float] | str | Path | Run | Dataset,
) -> tuple[Dataset, ...]:
    """Read several datasets.

    Args:
        places: one place, a list of places, each of which may carry a weight as ``PLACE=WEIGHT``, or a mapping of
            places to weights.

    Raises:
        UserError: there are none, one is named twice, or see `read`.
    """
    if isinstance(places, Mapping):
        wanted: list[tuple[str | Path | Run | Dataset, float]] = [(place, weight) for place, weight in places.items()]
    else:
        listed = [places] if isinstance(places, str | Path) or not isinstance(places, Iterable) else list(places)
        wanted = [split_weight(place) if isinstance(place, str) else (place, 1.0) for place in listed]
    names = [_name(place) for place, _ in wanted]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"the dataset {twice[0]} is named twice: name it once, with a weight as {twice[0]}=2")
    if not wanted:
        raise UserError("there is no dataset to learn from: name a run's folder, a file, or a dataset of the Hub")
    return tuple(place if isinstance(place, Dataset) else read(place, weight) for place, weight in wanted)


def split_weight(spec: str) -> tuple[str, float]:
    """Split ``PLACE=WEIGHT``; without a number behind the last ``=``, or where such a file exists, the weight is 1.

    >>> split_weight("runs/creative=0.5"), split_weight("runs/a=b")
    (('runs/creative', 0.5), ('runs/a=b', 1.0))
    """
    place, found, number = spec.rpartition("=")
    if not found or Path(spec).expanduser().exists():
        return spec, 1.0
    try:
        return place, float(number)
    except ValueError:
        return spec, 1.0


def _dataset(rows: Iterable[Row], *, name: str, weight: float, notes: Sequence[str]) -> Dataset:
    found = ExampleWriter()
    counts: dict[str, list[int]] = {}
    columns: list[str] = []
    domain = stem(name)
    for number, row in enumerate(rows):
        columns = columns or [str(column) for column in row]
        example = read_row(row, domain)
        if isinstance(example, TrainingExample):
            found.append(example)
        else:
            counts.setdefault(example, [0, number])[0] += 1
    left_out = tuple(LeftOut(reason, rows, first) for reason, (rows, first) in sorted(counts.items()))
    examples = found.examples()
    dataset = Dataset(name=name, weight=weight, examples=examples, left_out=left_out, notes=tuple(notes))
    if examples:
        return dataset
    if not counts:
        raise UserError(f"{name} is empty: it has no rows to learn from")
    if "columns" in counts:
        raise UserError(f"{name} has the columns {', '.join(columns)}; a student learns from rows with {SHAPES}")
    raise UserError(
        f"{name} has no row to learn from ({dataset.summary().partition('; ')[2]}): each needs a question, a trace "
        "in <think> or <reasoning> tags or apart from the answer, and the answer"
    )


def _rows(place: str | Path | Run) -> tuple[Iterator[Row], list[str]]:
    """Open a place; return its rows, and what is to be told about it."""
    from tunixhack.runs.find import find_run
    from tunixhack.runs.run import Run
    from tunixhack.runs.tables import table_files
    from tunixhack.sources.files import file_rows

    if isinstance(place, Run):
        return _run_rows(place)
    if (run := find_run(place)) is not None:
        return _run_rows(run)
    path = Path(place).expanduser()
    if path.is_dir():
        if files := table_files(path, "train"):
            return chain.from_iterable(map(file_rows, files)), []
        raise UserError(f"{place} is not the folder of a run, which has a train.parquet: name a run, or one file in it")
    return _file_or_hub_rows(str(place)), []


def _run_rows(run: Run) -> tuple[Iterator[Row], list[str]]:
    import polars as pl

    state, parts = run.state(), run.train_parts()
    first = next(parts, pl.DataFrame())
    missing = [column for column in ("question", "reasoning", "answer") if column not in first.columns]
    if missing:
        raise UserError(
            f"{run.place}/train.parquet has no column {missing[0]}, without which there is nothing to learn: "
            "build again with the same command, which writes it anew from the stored answers"
        )
    if not run.kept:
        raise UserError(f"{run.place} has no answers to learn from: see `tunixhack show {run.place}` for the reasons")
    notes = [] if run.status == "finished" else [f"{run.folder.name} is {run.condition}"]
    if "local" in state.get("teachers", {}):
        notes.append(
            f"{run.folder.name} was answered by the embedded teacher, which is for trying things out: the student "
            "learns the form of an answer and nothing else of use"
        )
    rows = (row for part in chain([first], parts) for row in part.iter_rows(named=True))
    return rows, notes


def _file_or_hub_rows(place: str) -> Iterator[Row]:
    from tunixhack.sources.files import file_rows
    from tunixhack.sources.hub import hub_rows
    from tunixhack.sources.source import Source, is_file

    # the one spelling of files and of the Hub's datasets; what columns they have is decided here
    source = Source(place).override(place)
    if is_file(source.path):
        return file_rows(Path(source.path).expanduser())
    return hub_rows(source.path, source.name, source.split, source.revision).rows


def _name(place: str | Path | Run | Dataset) -> str:
    if isinstance(place, Dataset):
        return place.name
    return (as_address(place) or str(place)) if isinstance(place, str | Path) else place.place


def stem(name: str) -> str:
    """Name the domain of rows that tell none: the file, folder or Hub dataset they are in.

    >>> stem("data/poems.v2.jsonl"), stem("user/poems:main/train@v1"), stem("s3://bucket/runs/poems")
    ('poems.v2', 'poems', 'poems')
    """
    last = Path(as_address(name) or re.split("[:@]", name)[0]).name
    return re.sub(r"\.(jsonl?|ndjson|csv|tsv|parquet)(\.(gz|bz2|xz))?$", "", last, flags=re.IGNORECASE) or "questions"
