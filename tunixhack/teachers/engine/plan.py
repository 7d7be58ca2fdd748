"""The plan of a call: which answers are asked for, grouped into requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tunixhack._util.ids import SEED_MODULUS, request_key, sample_seed
from tunixhack.errors import UserError
from tunixhack.runs.answer_store import KEY
from tunixhack.steps.request import ROW_COLUMNS, Request
from tunixhack.teachers.base import Teacher

SAME = ["question_id", "sample"]
OUTLIER = 8
"""Times the median length beyond which messages do not stand for the others in the preflight."""


def wanted_answers(requests: Sequence[Request], teacher: Teacher, run_seed: int) -> pl.DataFrame:
    """List the answers that requests ask for.

    Args:
        requests: of one step.
        teacher: the teacher that answers; a part of every request key.
        run_seed: the seed of the run.

    Returns:
        Columns question_id, sample, request_key, seed, and `ROW_COLUMNS`.
    """
    rows = []
    for number, request in enumerate(requests):
        sampling, grammar = request.sampling_of(teacher), request.grammar_of(teacher)
        key = request_key(teacher.identity, teacher.model, request.messages, sampling, grammar)
        for sample in request.samples:
            seed = sample_seed(run_seed, request.question_id, sample)
            rows.append((request.question_id, sample, key, seed, number, request.row_sample))
    schema = {"question_id": pl.String, "sample": pl.Int64, "request_key": pl.String, "seed": pl.Int64}
    return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(ROW_COLUMNS, pl.Int64)}, orient="row")


def split_under_way(
    missing: pl.DataFrame, under_way: pl.DataFrame, *, batch: bool, ask_again: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split missing answers into those that are to be asked, and those that a batch under way will bring.

    Args:
        missing: answers that are wanted and not stored.
        under_way: `store.KEY` of the answers in batches that are not fetched yet.
        batch: whether this build asks in batches, and so waits for them.
        ask_again: whether answers may be paid for a second time.

    Raises:
        UserError: the build does not wait for batches, and would pay for these answers twice.
    """
    keys = under_way.select(KEY)
    coming = missing.join(keys, on=KEY, how="semi", maintain_order="left")
    if coming.height and not batch:
        if ask_again:
            return missing, coming.clear()
        raise UserError(
            f"{coming.height:,} of the missing answers are in batches that were handed in already: go on with --batch, "
            "which fetches them, or add --ask-again to pay for them a second time"
        )
    return missing.join(keys, on=KEY, how="anti", maintain_order="left"), coming


def count_replaced(missing: pl.DataFrame, paid: pl.DataFrame, wanted: pl.DataFrame) -> int:
    """Count the missing answers that would stand in for others which a step has paid for and does not want now.

    That is asked about before it is done (contract 10).
    A question can have several requests of one step: a judge of each of its answers, a panel of teachers. Where one of
    them is answered by the teacher that is asked now, the missing ones are further ones, and stand in for nothing.

    Args:
        missing: what is to be asked, with question_id and sample.
        paid: the step's stored answers, with question_id, sample, request_key, and whether they are of the teacher that
            is asked now as ``own``.
        wanted: all that the step wants in this start so far, with question_id, sample and request_key.

    >>> was = pl.DataFrame({"question_id": ["q"], "sample": [0], "request_key": ["graded a"], "own": [True]})
    >>> both = pl.DataFrame({"question_id": ["q", "q"], "sample": [0, 0], "request_key": ["graded a", "graded b"]})
    >>> count_replaced(both.tail(1), was, both), count_replaced(both.tail(1), was, both.tail(1))
    (0, 1)
    """
    key = [*SAME, "request_key"]
    answered = paid.filter("own").join(wanted, on=key, how="semi")
    left = paid.join(wanted, on=key, how="anti").join(answered, on=SAME, how="anti")
    return missing.join(left, on=SAME, how="semi").height


def request_rows(
    missing: pl.DataFrame, requests: Sequence[Request], step: str, teacher: Teacher, block: int
) -> Iterator[dict[str, Any]]:
    """Yield one row for each request that is to be sent; see `request_row`."""
    return (request_row(one, requests, step, teacher) for one in blocks(missing, block))


def blocks(missing: pl.DataFrame, most: int) -> list[dict[str, Any]]:
    """Group missing samples into blocks, each of which one request asks for.

    Args:
        missing: columns as of `wanted_answers`.
        most: samples of one block.

    Returns:
        Rows with ``first`` (sample) and ``count``; the samples of a block are contiguous, and so are their seeds.
    """
    grouped: list[dict[str, Any]] = []
    for row in missing.iter_rows(named=True):
        last = grouped[-1] if grouped else None
        if (
            last
            and last["request"] == row["request"]
            and last["first"] + last["count"] == row["sample"]
            and last["count"] < most
            and last["seed"] + last["count"] < SEED_MODULUS
        ):
            last["count"] += 1
        else:
            grouped.append({**row, "first": row["sample"], "count": 1})
    return grouped


def request_row(block: Mapping[str, Any], requests: Sequence[Request], step: str, teacher: Teacher) -> dict[str, Any]:
    """Make the row of one request: its text, and what its answers are stored under."""
    seed = block["seed"] if teacher.seeded else None
    count = {"n": block["count"]} if block["count"] > 1 else {}
    seeded = {} if seed is None else {"seed": seed}
    request = requests[block["request"]]
    return {
        "messages": json.dumps([dict(message) for message in request.messages]),
        # Curator's reserved column: merged into the request's body
        "generation_params": json.dumps({**request.parameters(teacher), **seeded, **count}),
        "request_key": block["request_key"],
        "question_id": block["question_id"],
        "first": block["first"],
        "count": block["count"],
        "seed": seed,
        "step": step,
        "teacher": teacher.name,
    }


def longest_usual(requests: Sequence[Request]) -> Sequence[Mapping[str, str]]:
    """Return the longest messages except outliers: a single question of a megabyte does not decide for the run."""
    by_length = sorted((request.messages for request in requests), key=characters)
    usual = characters(by_length[len(by_length) // 2])
    return [messages for messages in by_length if characters(messages) <= OUTLIER * usual][-1]


def open_ended(requests: Sequence[Request], messages: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """Return messages by which to find out how a server gives several choices, as long as the ones that will be sent.

    Two replies that are held to a form, such as grades, are often the same and end at once, and tell nothing of that:
    where all requests are held to a schema, a story is asked for.
    """
    if not all(request.schema is not None for request in requests):
        return messages
    text = "\n\n".join(message["content"] for message in messages)
    return [{"role": "user", "content": f"Tell a long story, whatever stands below this line.\n\n{text}"}]


def characters(messages: Sequence[Mapping[str, str]]) -> int:
    """Count the characters of messages."""
    return sum(len(message["content"]) for message in messages)
