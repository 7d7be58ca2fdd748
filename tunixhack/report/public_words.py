"""What a report says of a run without what is the user's own affair: it is a file that people pass on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from tunixhack.publish.public_names import published_model, published_names


class PublicWords:
    """Replaces a run's private names, of folders and of servers, in sentences, tables and evidence.

    Args:
        state: what run.json keeps.

    >>> words = PublicWords({"recipe": {"student": "/home/me/students/gemma"}})
    >>> words.text("at most 768 tokens of /home/me/students/gemma")
    'at most 768 tokens of gemma'
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        student = (state.get("recipe") or {}).get("student")
        names = published_names(state.get("teachers", {}))
        names |= {student: published_model(student)} if isinstance(student, str) else {}
        changed = {name: public for name, public in names.items() if name and name != public}
        # the longest first: one can be the beginning of another
        self._names = {name: changed[name] for name in sorted(changed, key=len, reverse=True)}

    def text(self, words: str) -> str:
        """Return a sentence with the public names."""
        for name, public in self._names.items():
            words = words.replace(name, public)
        return words

    def line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Return a line of the funnel with the public names."""
        return {name: self.text(value) if isinstance(value, str) else value for name, value in line.items()}

    def evidence(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Put the public names into the column ``evidence``, which is JSON."""
        quoted = {json.dumps(name)[1:-1]: json.dumps(public)[1:-1] for name, public in self._names.items()}
        if not quoted:
            return rows
        replaced = pl.col("evidence").str.replace_many(list(quoted), list(quoted.values()))
        return rows.with_columns(replaced)
