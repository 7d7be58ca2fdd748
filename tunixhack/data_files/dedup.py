"""Equal and nearly equal questions in a file: the first of each stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack._util.progress import Reporter
from tunixhack.data_files.filtering import Filtered, Outputs, Questions, write_both
from tunixhack.data_files.reading import RowFile

if TYPE_CHECKING:
    import polars as pl


def dedup_file(
    path: Path, *, out: Path | None = None, fuzzy: bool = False, column: str | None = None, report: Reporter
) -> Filtered:
    """Leave out the rows whose question another row before them has.

    Questions are equal as `tunixhack.steps.exact_dedup.normalise` makes them. Of each, 128 bits of a hash are kept in
    memory, so that a file may be of any size; with ``fuzzy``, the texts of all different questions are.

    Args:
        path: the file, of a kind that `tunixhack.data_files.reading` reads.
        out: the file for the rows that are kept; beside the other one if None.
        fuzzy: leave out nearly equal ones, too, as `tunixhack.steps.fuzzy_dedup.FuzzyDedup` does.
        column: the one with the questions; None to find them by the shape of each row.
        report: where progress goes.

    Returns:
        How many rows went where.

    Raises:
        UserError: the file cannot be read, has no questions, or a file that would be written is there.
    """
    import polars as pl

    from tunixhack.steps.exact_dedup import first_of_equal, normalise

    found = Filtered(Outputs.beside(path, "dedup", out))
    file = RowFile(path)
    questions = Questions(file, column)
    parts, kept_texts = [], []
    with report.bar(file):
        for batch, texts in questions.batches():
            rows = pl.DataFrame(
                {"row": list(batch.numbers), "text": texts}, schema={"row": pl.Int64, "text": pl.String}
            )
            rows = rows.drop_nulls().with_columns(text=normalise(rows.drop_nulls()["text"]))
            parts.append(rows.select("row", *(pl.col("text").hash(seed).alias(f"hash{seed}") for seed in (1, 2))))
            if fuzzy:
                kept_texts.append(rows)
            report.update()
    found.without_question = questions.without
    hashes = pl.concat(parts) if parts else pl.DataFrame(schema={"row": pl.Int64, "hash1": pl.UInt64})
    first = first_of_equal(hashes.drop("row"))
    numbers = hashes["row"]
    again = (first != pl.int_range(len(first), dtype=pl.UInt32, eager=True)).arg_true()
    removed: dict[int, tuple[str, dict[str, Any]]] = {
        row: ("duplicate_question", {"kept": kept})
        for row, kept in zip(numbers.gather(again), numbers.gather(first.gather(again)), strict=True)
    }
    if fuzzy and kept_texts:
        removed |= _near(pl.concat(kept_texts), removed)
    write_both(found, removed, file, report)
    return found


def _near(texts: pl.DataFrame, equal: dict[int, Any]) -> dict[int, tuple[str, dict[str, Any]]]:
    """Find the rows whose question is nearly that of another, by the step that builds have."""
    import polars as pl

    from tunixhack.steps.base import Context
    from tunixhack.steps.fuzzy_dedup import FuzzyDedup

    texts = texts.filter(~pl.col("row").is_in(pl.Series(list(equal), dtype=pl.Int64).implode()))
    ids = texts["row"].cast(pl.String).str.zfill(20)  # so that the first row of the file stays
    verdict = FuzzyDedup()(pl.DataFrame({"question_id": ids, "question": texts["text"]}), Context())
    near = {}
    for row, evidence in zip(texts["row"], verdict.evidence or (), strict=True):
        if evidence is not None:
            rows = {name: int(evidence[name]) for name in ("kept", "twin")}
            near[row] = ("near_duplicate", {**rows, "similarity": evidence["similarity"]})
    return near
