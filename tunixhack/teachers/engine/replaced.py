"""The count of answers that would replace others which are paid for already (contract 10)."""

from __future__ import annotations

import polars as pl

SAME = ["question_id", "sample"]


def count_replaced(missing: pl.DataFrame, paid: pl.DataFrame, wanted: pl.DataFrame) -> int:
    """Count the missing answers that would stand in for others which a step has paid for and does not want now.

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
