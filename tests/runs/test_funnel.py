"""The funnel accounts for every row and token, and says what it does not know."""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import polars as pl
import pytest
from rich.console import Console

from tests import hostile
from tunixhack.runs.funnel import FunnelLine, count_tokens, nearly_all_dropped, table


def stored(*usages: tuple[int, dict[str, int] | None]) -> pl.DataFrame:
    """Rows of requests: how many choices each had, and its usage."""
    rows = [
        {"count": count, "usage": json.dumps(usage) if usage and not i else None}
        for count, usage in usages
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema={"count": pl.Int64, "usage": pl.String})


def test_a_steps_own_words_have_no_effect_in_the_table():
    stage = FunnelLine(hostile.ALL, 3, kept=3, reasons={f"{hostile.ALL}!": 1}, note=hostile.ALL)
    console = Console(file=io.StringIO(), width=1000, force_terminal=True, color_system=None)
    console.print(table([asdict(stage)]))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert len(written.splitlines()) == 2
    assert written.count(hostile.WORDS["markup"]) == 3
    assert not hostile.obeyed(written.replace("\x1b[1m", "").replace("\x1b[0m", ""))


def test_a_reason_that_is_called_as_its_step_is_not_told_twice():
    console = Console(file=io.StringIO(), width=200)
    lines = [
        FunnelLine("dedup_answers", 9, kept=6, rejected=3, reasons={"dedup_answers": 3}),
        FunnelLine("parse", 9, kept=6, rejected=3, reasons={"truncated": 2, "parse": 1}),
    ]
    console.print(table([asdict(line) for line in lines]))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert written.count("dedup_answers") == 1
    assert "truncated 2, parse 1" in written


def test_a_line_whose_rows_do_not_add_up_is_a_bug_that_stops_the_build():
    with pytest.raises(AssertionError, match="dedup: 10 in, 7 kept, 2 rejected"):
        FunnelLine("dedup", 10, kept=7, rejected=2).check()


def test_tokens_are_added_once_a_request():
    usage = {"prompt_tokens": 10, "completion_tokens": 100}
    assert count_tokens(stored((4, usage), (1, usage))) == {
        "prompt_tokens": 20,
        "completion_tokens": 200,
        "at_least": False,
    }


def test_a_request_without_usage_makes_the_sum_a_lower_bound():
    told = count_tokens(stored((2, {"prompt_tokens": 1, "completion_tokens": 5}), (3, None)))
    assert told == {"prompt_tokens": 1, "completion_tokens": 5, "at_least": True}


def test_a_request_whose_usage_is_of_some_choices_makes_the_sum_a_lower_bound():
    usage = {"prompt_tokens": 1, "completion_tokens": 5}
    assert count_tokens(stored((2, usage)))["at_least"] is False
    assert count_tokens(stored((2, usage), (2, usage | {"of_choices": 1})))["at_least"] is True


def test_a_count_that_no_table_holds_makes_the_sum_a_lower_bound():
    usage = {"prompt_tokens": 1, "completion_tokens": 5}
    for odd in (2**63, -5, 1.5, "5", None, True):
        told = count_tokens(stored((1, usage), (1, usage | {"completion_tokens": odd})))
        assert told == {"prompt_tokens": 2, "completion_tokens": 5, "at_least": True}


def test_a_sum_that_no_table_holds_is_unknown():
    told = count_tokens(stored(*[(1, {"prompt_tokens": 1, "completion_tokens": 2**63 - 1})] * 2))
    assert told == {"prompt_tokens": 2, "completion_tokens": None, "at_least": False}


def test_nothing_told_is_unknown_and_not_zero():
    assert count_tokens(stored((1, None)))["completion_tokens"] is None


@pytest.mark.parametrize(
    ("rows_in", "dropped", "keep", "alarm"),
    [
        (100, 90, 1.0, False),
        (100, 91, 1.0, True),
        (49, 49, 1.0, False),
        (50, 50, 1.0, True),
        (100, 50, 0.5, False),
        (100, 96, 0.5, True),
    ],
)
def test_nearly_everything_dropped_is_measured_beyond_what_the_step_was_asked_to_drop(
    rows_in: int, dropped: int, keep: float, alarm: bool
):
    assert nearly_all_dropped(rows_in, dropped, keep) is alarm
