"""The forward pass of a student over answers as it is trained on them: their likelihood, and their tokens' ranks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tunixhack.errors import UserError, nearest
from tunixhack.train.core.batches import put_on_mesh, step_inputs
from tunixhack.train.core.step import forward
from tunixhack.train.core.token_scores import token_scores
from tunixhack.train.data.chat import Format, Rendered
from tunixhack.train.data.packing import Packed, PackedBatch
from tunixhack.train.data.rows import Row, read_row
from tunixhack.train.data.token_set import TokenSet, of_rows
from tunixhack.train.data.tokenize import TAG_IN_TEXT, TOO_LONG, render
from tunixhack.train.found import FoundStudent
from tunixhack.train.inference.ready import compute_dtype
from tunixhack.train.scoring.scores import DIGITS, HIGHEST_RANK, AnswerScore, ScoreFile

TOKENS = 8192
"""Of a batch, padding among them; one training row may be longer."""
SHORTEST = 128
"""Tokens of the shortest training row."""
AT_ONCE = 16 * TOKENS
"""Tokens of answers that are packed together, and whose scores are kept before the next are computed."""


class StudentScorer:
    """Scores answers by a student.

    Args:
        model: a training's folder, or what ``--model`` of train names.
        format: how trace and answer are written; None for what the student was trained with, or else ``tags``.
        system: the system text of the training; None for what the student was trained with, or else none.
        accept_terms: see `tunixhack.train.models.load.find`.
        say: is told what is fetched, and of damaged checkpoints.

    Raises:
        UserError: there is no such student, or the format is unknown.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        format: str | None = None,
        system: str | None = None,
        accept_terms: bool = False,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Find the student; its weights are loaded when the first score is missing."""
        if format is not None and format not in get_args(Format):
            raise UserError(f"format {format!r} is unknown: {nearest(format, get_args(Format))}")
        self.found = FoundStudent.named(model, accept_terms=accept_terms, say=say)
        given: dict[str, Any] = {"format": format, "system": system}
        changes = {name: value for name, value in given.items() if value is not None}
        self.found.settings = replace(self.found.settings, **changes)
        self._files: dict[Path, ScoreFile] = {}

    def render(self, row: Row) -> Rendered | str:
        """Return a row of question, context, reasoning and answer as the student is trained on it.

        Returns:
            The tokens, or why no training would take the row: a word of `tunixhack.train.data.rows.REASONS`,
            ``tag_in_text``, or ``too_long`` for the student's context.
        """
        example = read_row(row, str(row.get("domain") or ""))
        if isinstance(example, str):
            return example
        rendered = render(example, self.found.renderer)
        if rendered is None:
            return TAG_IN_TEXT
        return rendered if len(rendered.tokens) <= self.found.base.context else TOO_LONG

    def scores(
        self,
        rows: Sequence[Rendered],
        folder: Path | None = None,
        progress: Callable[[int, int], object] = lambda done, count: None,
    ) -> list[AnswerScore]:
        """Return the scores of rows, out of what is kept as far as it is known.

        Args:
            rows: as `render` gives them.
            folder: where scores are kept, in a file for each student; None keeps them nowhere.
            progress: called with the rows done and the rows of which no score was known, if any: once before the first
                is computed, and after each part.

        Raises:
            UserError: the student gives a loss that is not a number.
        """
        kept = None if folder is None else self._file(folder)
        keys = [_key(row) for row in rows]
        known = {} if kept is None else kept.known(set(keys))
        missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
        # like lengths together, so that few tokens are padding; the longest first: what does not fit shows at once
        order = sorted(missing, key=lambda key: (-len(missing[key].tokens), key))
        done = 0
        if order:
            progress(done, len(order))
        for part in _parts(order, [len(missing[key].tokens) for key in order]):
            new = dict(zip(part, self._compute([missing[key] for key in part]), strict=True))
            known |= new
            if kept is not None:
                kept.add(new)
            done += len(part)
            progress(done, len(order))
        return [known[key] for key in keys]

    def _file(self, folder: Path) -> ScoreFile:
        """Return the scores of this student that a folder keeps, which are read once."""
        path = folder / f"{self.found.identity[:32]}.jsonl"
        if path not in self._files:
            self._files[path] = ScoreFile(path)
        return self._files[path]

    def _compute(self, rows: Sequence[Rendered]) -> list[AnswerScore]:
        found: dict[int, AnswerScore] = {}
        for length, numbers in _buckets([len(row.tokens) for row in rows]).items():
            data = of_rows([rows[number] for number in numbers])
            found |= zip(numbers, self._bucket(self._batches(data, length), len(numbers)), strict=True)
        return [found[number] for number in range(len(rows))]

    def _batches(self, data: TokenSet, length: int) -> Iterator[PackedBatch]:
        """Pack all rows of a token set into training rows of a length, in batches of about `TOKENS`."""
        devices = self.found.student.mesh.size
        wanted = 1 << (-(-int(data.lengths.sum()) // length) - 1).bit_length()
        rows = -(-max(1, min(TOKENS // length, wanted)) // devices) * devices
        return iter(Packed(data, max_seq_len=length, batch_size=rows, validation=True))

    def _bucket(self, batches: Iterator[PackedBatch], count: int) -> list[AnswerScore]:
        """Add up the scores of tokens by their row."""
        sums = np.zeros((3, count))
        student = self.found.student
        state = nnx.state(student.model)
        with student.mesh:
            for batch in batches:
                losses, ranks = self._token_scores(state, put_on_mesh(step_inputs(batch), student.mesh))
                here = batch.loss_mask[:, 1:]
                of = batch.rows[:, 1:][here]
                for place, values in enumerate((np.asarray(losses)[here], np.asarray(ranks)[here], np.ones(len(of)))):
                    sums[place] += np.bincount(of, values, count)
        if not np.isfinite(sums).all():
            raise UserError(
                f"{self.found.base.name} gives a loss that is not a number for an answer: its weights are damaged, or "
                "not those of its config.json"
            )
        return [
            AnswerScore(tokens=int(n), nll=_rounded(loss / n), mean_rank=_rounded(rank / n)) for loss, rank, n in sums.T
        ]

    @cached_property
    def _token_scores(self) -> Callable[[Any, Mapping[str, Any]], tuple[jax.Array, jax.Array]]:
        student = self.found.student
        graph, family, dtype = nnx.graphdef(student.model), student.base.family, compute_dtype(student.mesh)

        def compute(state: Any, inputs: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
            hidden, table = forward(nnx.merge(graph, state), family, dict(inputs), dtype, student.attend)
            losses, ranks = token_scores(hidden, table, inputs["tokens"], inputs["loss_mask"])
            return losses, jnp.minimum(ranks, HIGHEST_RANK)

        return jax.jit(compute)


def _key(row: Rendered) -> str:
    """Hash the tokens of a row, and which of them are learnt."""
    return hashlib.sha256(row.tokens.tobytes() + row.loss_mask.tobytes()).hexdigest()


def _parts(keys: Sequence[str], lengths: Sequence[int]) -> Iterator[Sequence[str]]:
    """Yield rows in parts of `AT_ONCE` tokens; one that is longer is a part of its own."""
    first = tokens = 0
    for place, length in enumerate(lengths):
        if tokens and tokens + length > AT_ONCE:
            yield keys[first:place]
            first, tokens = place, 0
        tokens += length
    if keys:
        yield keys[first:]


def _buckets(lengths: Sequence[int]) -> dict[int, list[int]]:
    """Return the places of rows by the length of the training rows that they are packed into.

    A training row has a power of two tokens; rows that are short for it share it. No more lengths are compiled for than
    attention, which grows with the square of a training row, is worth.

    >>> _buckets([90, 2000, 700, 1025])
    {1024: [0, 2], 2048: [1, 3]}
    """
    longest = 1 << (max(lengths) - 1).bit_length()
    found: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        own = 1 << (length - 1).bit_length()
        found.setdefault(max(SHORTEST, own, min(longest, 1024)), []).append(place)
    return found


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
