"""A mixture's build: decide all parts' questions, build one run a part, put the tables together."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from tunixhack._util.files import make_folder
from tunixhack._util.lock import locked
from tunixhack._util.progress import Reporter
from tunixhack.errors import LimitReached, NearlyAllDropped, TeacherFailed, TunixHackError, UserError
from tunixhack.mixture.decide import Decision, decide
from tunixhack.mixture.options import MixtureOptions, check, command
from tunixhack.mixture.record import MixtureRecord, source_of, spent
from tunixhack.mixture.shards import check_merge, check_parts, prepared_decisions
from tunixhack.mixture.spec import MixtureSpec
from tunixhack.mixture.tables import write_tables
from tunixhack.pipeline import build as pipeline
from tunixhack.pipeline.build_checks import check_owner
from tunixhack.pipeline.options import BuildOptions
from tunixhack.runs.lenders import lenders
from tunixhack.runs.run import Run
from tunixhack.runs.state import DONE, STOPPED
from tunixhack.runs.tables import is_written

FAILURES = 2
"""Parts in a row for which the teacher fails, after which no other is begun."""


def build(mixture: MixtureSpec, options: MixtureOptions, out: Path, report: Reporter | None = None) -> Run:
    """Build a mixture in a folder; see `tunixhack.mixture.mixture.Mixture.build`."""
    report, run = report or Reporter(), Run(out)
    check(mixture, options)
    check_owner(run, mixture.name, source_of(mixture))
    each = dataclasses.replace(options.each, reuse=tuple(lenders(options.each.reuse)))
    options = dataclasses.replace(options, each=each)
    each = dataclasses.replace(each, command=command(mixture, options, out))
    options = dataclasses.replace(options, each=each)
    decided = _decided(mixture, options, out, report)
    make_folder(out)
    with locked(out, report.say):
        check_owner(run, mixture.name, source_of(mixture))
        record = MixtureRecord(mixture, options, run)
        record.start(decided)
        _say_what_is_left(run, decided, report)
        try:
            failed = _build_parts(decided, options, out, report)
        except KeyboardInterrupt:
            _finish(record, run, decided, STOPPED, "interrupted")  # its part has said how to go on
            raise
        except TunixHackError as error:
            # a mistake that cost nothing leaves the folder as it was
            if not isinstance(error, UserError) or not record.undo_start():
                _finish(record, run, decided, STOPPED, str(error))
            raise
        if options.each.preview:
            record.finish(STOPPED, f"a preview of {options.each.preview} questions a part")
            return run
        left_out = all(one.questions == 0 for one in decided)
        _finish(record, run, decided, STOPPED if failed or left_out else DONE, str(failed) if failed else None)
    if failed is not None:
        raise failed
    return run


def _decided(mixture: MixtureSpec, options: MixtureOptions, out: Path, report: Reporter) -> Sequence[Decision]:
    """Return what each part takes; of a shard it was decided before.

    Raises:
        UserError: as `decide`, `prepared_decisions` and `check_merge`.
    """
    if options.each.shard is not None:
        return prepared_decisions(mixture, options, options.each.shard, out)
    if options.each.merge is not None:
        check_merge(mixture, options, options.each.merge)
    if options.each.prepare:
        check_parts(mixture)
    return decide(mixture, options, out, report)


def _build_parts(
    decided: Sequence[Decision], options: MixtureOptions, out: Path, report: Reporter
) -> TunixHackError | None:
    """Build one run a part.

    Returns:
        The error of the first part that did not come to its end, where others were built all the same: that a teacher
        failed, or that a step dropped nearly everything. Two parts in a row that a teacher fails end it.

    Raises:
        UserError: of the part that the user can mend.
        LimitReached: the budget or the hours are used up.
        TeacherFailed: for the second part in a row.
    """
    start, failures, failed = time.monotonic(), 0, None
    for number, decision in enumerate(decided, 1):
        name = decision.name
        if not decision.questions:
            report.warn(f"part {name} is left out: no question of its source is left for it")
            continue
        report.say(f"part {name} ({number} of {len(decided)}): {out / name}")
        each = _with_what_is_left(decision, decided, options, out, start)
        try:
            pipeline.build(decision.recipe, each, out / name, report)
        except (TeacherFailed, NearlyAllDropped) as error:
            failures += isinstance(error, TeacherFailed)
            told = type(error)(f"part {name}: {error}")
            failed = failed or told
            if failures == FAILURES:
                raise failed from error
            report.warn(str(told))
        except (UserError, LimitReached) as error:
            raise type(error)(f"part {name}: {error}") from error
        else:
            failures = 0
    return failed


def _with_what_is_left(
    decision: Decision, decided: Sequence[Decision], options: MixtureOptions, out: Path, start: float
) -> BuildOptions:
    """Return a part's options with what the parts before it left of the budget and the hours."""
    each = decision.options
    if each.merge is not None:  # which asks nothing
        return dataclasses.replace(each, budget=None, hours=None)
    if each.budget is not None:
        others = sum(spent(Run(out / one.name)) for one in decided if one.name != decision.name)
        others *= each.shard.of if each.shard else 1  # the budget is that of all shards, which share it out
        if others >= each.budget:
            raise LimitReached(f"the budget of ${each.budget:,.2f} is used up by the parts before; raise --budget")
        each = dataclasses.replace(each, budget=each.budget - others)
    if each.hours is not None:
        left = each.hours - (time.monotonic() - start) / 3600
        if left <= 0:
            raise LimitReached(f"the {each.hours:g} hours are used up by the parts before; the same command goes on")
        each = dataclasses.replace(each, hours=left)
    return each


def _say_what_is_left(run: Run, decided: Sequence[Decision], report: Reporter) -> None:
    """Say which folders of earlier starts are no part any more; they stay, since answers were paid for."""
    names = {one.name for one in decided}
    others = sorted(path.parent.name for path in run.folder.glob("*/run.json") if path.parent.name not in names)
    if others:
        report.say(f"{', '.join(others)} in {run.folder}: no part of the mixture any more; what is there stays")


def _finish(record: MixtureRecord, run: Run, decided: Sequence[Decision], state: str, why: str | None) -> None:
    """Write the mixture's tables out of what its parts have so far, and note how it ended."""
    built = [one for one in decided if one.questions and is_written(run.folder / one.name, "train")]
    record.note_parts(decided)
    if built:
        left_out = {one.name: one.rejected for one in decided if one.rejected is not None}
        kept = write_tables(run, built, left_out)
        record.write_card(kept)
    record.finish(state, why)
