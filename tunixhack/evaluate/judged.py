"""Tasks whose answers a judge compares: it is asked, and what it said becomes figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.progress import Reporter
from tunixhack._util.wording import counted, verb
from tunixhack.errors import LimitReached, TeacherFailed, TunixHackError
from tunixhack.evaluate.clusters import COLUMN
from tunixhack.evaluate.friends import friend_sentences
from tunixhack.evaluate.judge import Judge
from tunixhack.evaluate.pairs import PREFERENCE, JudgedPair, as_table, judge_pairs, pairs_of
from tunixhack.evaluate.preferences import preference_lines
from tunixhack.evaluate.setup import Setup
from tunixhack.evaluate.task import Task
from tunixhack.judging.criteria import GENERAL


@dataclass(frozen=True)
class Compared:
    """What came of asking a judge."""

    table: pl.DataFrame
    """The columns of `tunixhack.evaluate.pairs.PREFERENCE`."""
    lines: Sequence[dict[str, Any]] = ()
    """A line for each arm of each task but the baseline."""
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()
    exit_code: int = 0

    @classmethod
    def none(cls) -> Compared:
        """Return what there is where no judge was asked."""
        return cls(pl.DataFrame(schema=PREFERENCE))


def judges(setup: Setup, folder: Path, command: str | None) -> dict[str, Judge]:
    """Return the judge of each task; none where no judge is named."""
    spec = setup.order.judge
    if spec is None:
        return {}
    return {
        task.name: Judge(spec=spec, task=task, order=setup.order_of(task), folder=folder, command=command)
        for task in setup.tasks
    }


def criteria_of(task: Task) -> tuple[str, ...]:
    """Return what a judge looks at in the answers of a task."""
    return tuple(task.recipe.criteria) or GENERAL


def compare(setup: Setup, folder: Path, command: str | None, replies: pl.DataFrame, report: Reporter) -> Compared:
    """Have the judge compare every arm's answers with the baseline's, task by task.

    A judge that fails ends nothing: what it has said counts, and the rest is missing.

    Args:
        setup: the arms, tasks and questions.
        folder: of the evaluation.
        command: the one that goes on.
        replies: the columns of `tunixhack.evaluate.replies.REPLY`.
        report: where progress goes.
    """
    tables, lines, problems, notes, code = [pl.DataFrame(schema=PREFERENCE)], [], [], [], 0
    for name, judge in judges(setup, folder, command).items():
        rows, arms = setup.questions[name].rows, [arm.label for arm in setup.arms]
        pairs = pairs_of(replies.filter(pl.col("task") == name), rows, arms)
        report.say(f"{name}: {judge.label} judges {_told(pairs)}")
        try:
            _judge(judge, pairs, rows, report)
        except TunixHackError as error:
            problems.append(f"{judge.label} as the judge: {error}")
            code = code or error.exit_code
            report.warn(problems[-1])
        friends = friend_sentences(judge, setup)
        notes += [f"{name}: {one}" for one in friends]
        tables.append(as_table(pairs, name))
        marked = ["the judge is no stranger to an arm"] if friends else []
        clusters = pl.Series(
            [setup.questions[name].clusters.get(one) for one in tables[-1]["question_id"]], dtype=pl.String
        )
        together = tables[-1].with_columns(clusters.alias(COLUMN))
        of_task = preference_lines(together, setup.facts(), judge.order.samples, marked)
        lines += [{"task": name} | line for line in of_task]
        notes += [f"{name}: {one}" for one in _remarks(of_task, judge)]
    return Compared(pl.concat(tables), lines, notes, problems, code)


def _judge(judge: Judge, pairs: Sequence[JudgedPair], rows: pl.DataFrame, report: Reporter) -> None:
    """Ask; where the judge fails, take what is stored into the pairs nevertheless."""
    if not any(pair.asked for pair in pairs):
        return
    criteria = criteria_of(judge.task)
    with judge.connected(report) as pool:
        try:
            judge_pairs(pairs, criteria, lambda requests: judge.ask(pool, rows, requests))
        except TunixHackError:
            pool.stored_only = True
            judge_pairs(pairs, criteria, lambda requests: judge.ask(pool, rows, requests))
            raise
        lacking = sum(pair.asked and len(pair.said) < len((True, False)) for pair in pairs)
        if lacking:
            kind = LimitReached if pool.limits.reached else TeacherFailed
            why = pool.limits.reached or f"not all judgements were received{pool.why_missing()}"
            raise kind(
                f"{why}: {counted(lacking, 'pair')} {verb(lacking, 'is', 'are')} not judged; the others are stored, "
                "and the same command asks for the missing ones"
            )


def _told(pairs: Sequence[JudgedPair]) -> str:
    asked = sum(pair.asked for pair in pairs)
    settled = len(pairs) - asked
    rest = f"; {settled:,} need none, since an answer is not whole or both are equal" if settled else ""
    return f"{counted(asked, 'pair')} in both orders, {2 * asked:,} requests{rest}"


def _remarks(lines: Sequence[dict[str, Any]], judge: Judge) -> list[str]:
    unread = sum(line["unread"] for line in lines)
    if not unread:
        return []
    return [
        f"{counted(unread, 'pair')} {verb(unread, 'has', 'have')} no value: twice {judge.label} said nothing that "
        "could be read as a choice"
    ]
