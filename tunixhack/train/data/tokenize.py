"""Datasets as tokens: made once, kept in the training's own folder, and read from there by every later start.

Nothing here imports jax: tokens can be made and looked at on a machine that could not train.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from tunixhack._util.ids import digest, rank
from tunixhack.errors import UserError
from tunixhack.train.data.chat import LAYOUTS, Rendered, Renderer
from tunixhack.train.data.datasets import Dataset
from tunixhack.train.data.example_file import texts_of
from tunixhack.train.data.rows import TrainingExample
from tunixhack.train.data.token_set import Facts, TokenSet, load
from tunixhack.train.data.token_writer import TokenWriter

VERSION = 1
"""Changes when the same input would give other tokens, or the file another layout."""

TOO_LONG, TAG_IN_TEXT = "too_long", "tag_in_text"
"""Why `tokenise` drops a row: longer than a training row; or its trace or answer spells a tag of the format."""

_EVERY = 256
"""Rows between two reports of progress."""


def tokenise(
    datasets: Sequence[Dataset],
    renderer: Renderer,
    *,
    max_seq_len: int,
    validation_questions: int = 0,
    seed: int = 0,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TokenSet:
    """Turn datasets into tokens, or read what an earlier start made of the same ones.

    Args:
        datasets: as `tunixhack.train.data.datasets.read_all` gives them.
        renderer: writes the conversations.
        max_seq_len: tokens of the longest row; a longer one is dropped whole and counted, never cut.
        validation_questions: how many questions to validate on. They are the first by sha256(seed, question_id), so
            that those of a smaller number are among those of a larger one, and all rows of a question are on one side.
        seed: chooses the validation questions.
        folder: where the tokens are kept; None keeps them nowhere. A file there that is broken is made anew.
        progress: called with rows done and rows in all.

    Raises:
        UserError: no row is left, or no question beside those to validate on; or the folder cannot be written.
    """
    key = _key(datasets, renderer, max_seq_len, validation_questions, seed)
    path = folder / f"tokens-{key[:16]}.npz" if folder is not None else None
    weights = tuple(dataset.weight for dataset in datasets)
    kept = load(path, key, weights) if path is not None and path.exists() else None
    if kept is not None:
        return kept
    with closing(TokenWriter(folder)) as made:
        _make(made, datasets, renderer, max_seq_len, validation_questions, seed, weights, key, progress)
        if path is None:
            return made.token_set()
        made.save(path)
        return made.token_set() if made.in_memory else load(path, key, weights) or made.token_set()


def choose_validation_questions(question_ids: Iterable[str], count: int, seed: int) -> frozenset[str]:
    """Choose the questions to validate on.

    Raises:
        UserError: there are too few to leave one to train on.
    """
    ids = sorted(set(question_ids), key=lambda id: (rank(seed, id), id))
    if count and count >= len(ids):
        raise UserError(
            f"{count} validation questions are asked for, and there are {len(ids)} questions in all: ask for fewer, or "
            "give more data"
        )
    return frozenset(ids[:count])


def _make(
    made: TokenWriter,
    datasets: Sequence[Dataset],
    renderer: Renderer,
    max_seq_len: int,
    validation_questions: int,
    seed: int,
    weights: tuple[float, ...],
    key: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    # arrays of machine numbers, of the tokens in a file: lists of Python's would take some eight times the memory
    example, dataset, domain, ids = array("q"), array("i"), array("i"), array("i")
    domains, questions = dict[str, int](), dict[str, int]()
    dropped: dict[str, dict[str, int]] = {}
    total, longest, done = sum(len(data.examples) for data in datasets), 0, 0
    for number, data in enumerate(datasets):
        for one in data.examples:
            if progress is not None and done % _EVERY == 0:
                progress(done, total)
            place = domains.setdefault(one.domain, len(domains))
            rendered, why = render(one, renderer), TAG_IN_TEXT
            if rendered is not None:
                longest = max(longest, len(rendered.tokens))
                if len(rendered.tokens) > max_seq_len:
                    rendered, why = None, TOO_LONG
            if rendered is None:
                reasons = dropped.setdefault(one.domain, {})
                reasons[why] = reasons.get(why, 0) + 1
            else:
                made.add(rendered)
                example.append(done)
                dataset.append(number)
                domain.append(place)
                ids.append(questions.setdefault(one.question_id, len(questions)))
            done += 1
    if progress is not None:
        progress(done, total)
    if not ids:
        raise UserError(_nothing_left(dropped, max_seq_len, longest, renderer))
    chosen = choose_validation_questions(questions, validation_questions, seed)
    in_order = sorted(domains)
    places = np.array([in_order.index(name) for name in domains], dtype=np.int32)
    validated = np.array([id in chosen for id in questions], dtype=np.bool_)
    made.finish(
        Facts(
            example=np.frombuffer(example, dtype=np.int64),
            dataset=np.frombuffer(dataset, dtype=np.int32),
            domain=places[np.frombuffer(domain, dtype=np.int32)],
            validation=validated[np.frombuffer(ids, dtype=np.int32)],
            domains=tuple(in_order),
            weights=weights,
            dropped=dropped,
            longest=longest,
            key=key,
        )
    )


def render(example: TrainingExample, renderer: Renderer) -> Rendered | None:
    """Render an example; None where its trace or answer spells a tag, so that its reply could be read in two ways."""
    if any(tag in text for tag in LAYOUTS[renderer.format].tags for text in (example.reasoning, example.answer)):
        return None
    return renderer.render(example.messages(), renderer.reply(example.reasoning, example.answer))


def _nothing_left(dropped: Mapping[str, Mapping[str, int]], max_seq_len: int, longest: int, renderer: Renderer) -> str:
    count = {why: sum(reasons.get(why, 0) for reasons in dropped.values()) for why in (TOO_LONG, TAG_IN_TEXT)}
    if not any(count.values()):
        return "the datasets have no rows to learn from: name others"
    return (
        f"no row is left to learn from: {count[TOO_LONG]:,} are longer than {max_seq_len:,} tokens (the longest has "
        f"{longest:,}), and {count[TAG_IN_TEXT]:,} spell a tag of the format {renderer.format} in their trace or "
        "answer; allow longer rows, choose the other format, or name other datasets"
    )


def _key(
    datasets: Sequence[Dataset], renderer: Renderer, max_seq_len: int, validation_questions: int, seed: int
) -> str:
    """Hash everything that the tokens depend on; weights are none of it, since they only say how often."""
    content = hashlib.sha256()
    for data in datasets:
        content.update(b"%d rows" % len(data.examples))
        for texts in texts_of(data.examples):
            content.update(json.dumps(texts, ensure_ascii=False).encode())
    settings = {"version": VERSION, "max_length": max_seq_len, "held_back": validation_questions, "seed": seed}
    return digest(settings, renderer.describe(), content.hexdigest())
