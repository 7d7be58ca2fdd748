"""Which of the accepted answers are kept where more of them came than were wanted (contract 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

STEP, REASON = "accepted", "beyond_accepted"
"""Under which answers are rejected that were received and are not among those wanted."""
_MOST = "_most"
"""How many answers of a question are kept."""


class AcceptedCut:
    """Keeps the first accepted answers, by the order of the questions' selection, their rank, and the samples.

    Args:
        counts: how many answers to each question were accepted; of questions within the quota.
        places: each question's place in the order of selection.
        ranks: the questions in rank order.
        wanted: answers that are wanted.
    """

    def __init__(self, counts: Mapping[str, int], places: Mapping[str, int], ranks: Sequence[str], wanted: int) -> None:
        """Find out how many answers of each question are kept."""
        self.wanted = wanted
        by_rank = {question: at for at, question in enumerate(ranks)}
        most, left = dict[str, int](), wanted
        for question in sorted(counts, key=lambda one: (places[one], by_rank[one])):
            most[question] = min(counts[question], left)
            left -= most[question]
        self._most = pl.DataFrame(
            {"question_id": list(most), _MOST: list(most.values())},
            schema={"question_id": pl.String, _MOST: pl.Int64},
        )

    def split(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Split accepted answers, all of some questions, into those that are kept, and the others."""
        counted = rows.join(self._most, on="question_id", how="left", maintain_order="left")
        place = pl.col("sample").rank("ordinal").over("question_id")
        keep = counted.select((place <= pl.col(_MOST)).fill_null(value=False)).to_series()
        return rows.filter(keep), rows.filter(~keep)

    def rejects(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return answers beyond those wanted with step, reason and evidence."""
        return rows.with_columns(
            step=pl.lit(STEP), reason=pl.lit(REASON), evidence=pl.lit(f'{{"accepted": {self.wanted}}}')
        )
