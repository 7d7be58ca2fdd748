"""What the browser knows of all rows before it reads their texts: enough to count, filter and sort them."""

from __future__ import annotations

from typing import Any

import polars as pl

from tunixhack.report.report_rows import Entry, ReportRows


class Index:
    """Collects what is known of entries and their rows, as columns of numbers.

    Args:
        rows: of the report.
    """

    def __init__(self, rows: ReportRows) -> None:
        self._scores: dict[str, list[Any]] = {name: [] for name in rows.measured}
        self._booleans = [name for name in rows.measured if rows.answers[name].dtype == pl.Boolean]
        self._rows = rows
        self._words: dict[str, dict[Any, int]] = {name: {} for name in ("reasons", "categories", "parts")}
        self._entries: dict[str, list[int]] = {name: [] for name in ("kind", "chunk", "rows", "category", "part")}
        self._of_rows: dict[str, list[int]] = {name: [] for name in ("reason", "trace", "answer")}

    def add(self, entry: Entry, chunk: int) -> dict[str, Any]:
        """Take in an entry that stands in a chunk, and return what the chunk has of it."""
        content, told = entry.content, self._entries
        told["kind"].append(entry.kind)
        told["chunk"].append(chunk)
        told["rows"].append(len(entry.rows))
        told["category"].append(self._number("categories", content.get("category")))
        told["part"].append(self._number("parts", content.get("part")))
        for row in entry.rows:
            trace, answer = row.pop("lengths")
            step = row.get("step")
            why = None if step is None else (step, row.get("reason"))
            self._of_rows["reason"].append(self._number("reasons", why))
            self._of_rows["trace"].append(trace)
            self._of_rows["answer"].append(answer)
            for name, values in self._scores.items():
                value = row.get("more", {}).get(name)
                values.append(None if isinstance(value, str) else value)  # no number that JSON has
        return content | {"rows": entry.rows}

    def content(self, chunks: int) -> dict[str, Any]:
        """Return the whole as JSON."""
        scores = [
            {"name": name, "boolean": name in self._booleans, "values": values} for name, values in self._scores.items()
        ]
        words = {name: list(numbers) for name, numbers in self._words.items()}
        told = {"chunks": chunks, "longest": self._rows.longest, "leftOut": self._rows.left_out}
        return told | words | {"entries": self._entries, "rows": self._of_rows, "scores": scores}

    def _number(self, words: str, word: Any) -> int:
        """Return the number of a word, from 0; -1 of none."""
        if word is None:
            return -1
        known = self._words[words]
        return known.setdefault(word, len(known))
