"""The record of a mixture: its run.json, with a line of the funnel a part, and its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import polars as pl

from tunixhack import __version__
from tunixhack._util.files import write_text
from tunixhack._util.wording import reason_of
from tunixhack.mixture.decide import Decision
from tunixhack.mixture.options import MixtureOptions
from tunixhack.mixture.spec import MixtureSpec
from tunixhack.publish.mixture_card import mixture_card
from tunixhack.runs.funnel import FunnelLine
from tunixhack.runs.run import Run
from tunixhack.runs.signature import sign
from tunixhack.runs.state import RUNNING, SCHEMA, STATE, RunRecord
from tunixhack.runs.tables import pattern


def source_of(mixture: MixtureSpec) -> dict[str, Any]:
    """Say what the source of a mixture is: what its folder belongs to (contract 10)."""
    return {"path": "mixture", "name": mixture.name, "split": None}


def ordered(mixture: MixtureSpec, options: MixtureOptions) -> RunRecord:
    """Say what is built of a mixture, as run.json keeps it: the same in all shards of one build, but for the shard."""
    each = options.each
    return {
        "domain": mixture.name,
        "source": source_of(mixture),
        "resolved": {"path": "mixture", "commit": None, "sha256": None},
        "recipe": {"samples": mixture.samples, "short": mixture.short, "steps": []},
        "order": {
            "scale": options.scale,
            "questions": options.questions,
            "rows": options.rows,
            "seed": each.seed,
            **({} if each.shard is None else {"shard": str(each.shard)}),
        },
    }


def spent(run: Run) -> float:
    """Add up what a part's run has cost over all starts, in dollars, as far as prices are known."""
    return float(sum(line["cost"] or 0.0 for line in run.state().get("funnel", [])))


class MixtureRecord:
    """Writes down what the build of a mixture does.

    Args:
        mixture: that is built.
        options: of this start.
        run: the mixture's.
    """

    def __init__(self, mixture: MixtureSpec, options: MixtureOptions, run: Run) -> None:
        """Note nothing yet."""
        self._mixture, self._options, self._run = mixture, options, run
        self.command = str(options.each.command)
        """The command line that goes on."""

    def start(self, decided: Sequence[Decision]) -> None:
        """Note a new start; one that is still noted as running was killed."""
        self._folders = [self._run.folder / one.name for one in decided]
        self._before = self._run.state(), self._received()
        starts = self._run.state().get("starts", [])
        for one in starts:
            one["state"] = "killed" if one["state"] == RUNNING else one["state"]
        this: dict[str, Any] = {"started": _now(), "ended": None, "state": RUNNING, "seconds": {}}
        self._state: RunRecord = {
            "schema": SCHEMA,
            "tunixhack": __version__,
            **ordered(self._mixture, self._options),
            "teachers": {},
            "funnel": [],
            "command": self.command,
            "signature": sign(self.command),
            "state": RUNNING,
            "why": None,
            "starts": [*starts, this],
        }
        self.note_parts(decided)
        self._run.save(self._state)

    def undo_start(self) -> bool:
        """Undo the start if no part has received an answer in it; returns whether it did."""
        state, received = self._before
        if state.get("state") == RUNNING or self._received() != received:
            return False
        if state:
            self._run.save(state)
        else:
            (self._run.folder / STATE).unlink(missing_ok=True)
            for folder in self._folders:  # of a part that was refused, which would look like another's files
                with suppress(OSError):  # it is not there, or not empty
                    folder.rmdir()
        return True

    def note_parts(self, decided: Sequence[Decision]) -> None:
        """Take over what the parts' own records say by now."""
        runs = [Run(self._run.folder / one.name) for one in decided]
        states = [run.state() for run in runs]
        self._state["parts"] = [_part(one, state) for one, state in zip(decided, states, strict=True)]
        self._state["funnel"] = [
            asdict(_line(one, state)) for one, state in zip(decided, states, strict=True) if state or one.funnel
        ]
        self._state["teachers"] = {name: told for state in states for name, told in state.get("teachers", {}).items()}

    def _received(self) -> int:
        """Count the answers that all parts have received."""
        return sum(Run(folder).store.received().answers for folder in self._folders)

    def write_card(self, kept: pl.DataFrame) -> None:
        """Write the mixture's card."""
        write_text(self._run.folder / "README.md", mixture_card(self._state, kept, pattern(self._run.folder, "train")))

    def finish(self, state: str, why: str | None) -> None:
        """Note how it ended."""
        self._state |= {"state": state, "why": why}
        self._state["starts"][-1] |= {"state": state, "ended": _now()}
        self._run.save(self._state)


def _part(decision: Decision, state: RunRecord) -> dict[str, Any]:
    state = {} if decision.funnel else state  # of an earlier start, in which it was not left out
    sample = next((line for line in state.get("funnel", []) if line["step"] == "sample"), None)
    return {
        "name": decision.name,
        "domain": decision.recipe.domain,
        "source": decision.recipe.source.describe(),
        "license": decision.recipe.source.license,
        "quota": "rows" if decision.part.rows is not None else "questions",
        "wanted": decision.wanted,
        "available": decision.available,
        "short": decision.short,
        "questions": sample["rows_in"] if sample else 0,
        "kept": state["funnel"][-1]["kept"] if state.get("funnel") and sample else 0,
        "twins": dict(decision.twins),
        "state": state.get("state"),
    }


def _line(decision: Decision, state: RunRecord) -> FunnelLine:
    """Sum a part's funnel up in one line: from its source's rows to its kept answers."""
    lines = [asdict(line) for line in decision.funnel] or state["funnel"]
    made = [line["made"] for line in lines if line["step"] == "sample"]
    reasons: Counter[str] = Counter()
    for line in lines:
        reasons.update({reason_of(line["step"], reason): count for reason, count in line["reasons"].items()})
    told = {name: [line[name] for line in lines if line[name] is not None] for name in _SUMMED}
    return FunnelLine(
        decision.name,
        lines[0]["rows_in"] if lines else 0,
        kept=lines[-1]["kept"] if made else 0,
        rejected=sum(line["rejected"] for line in lines),
        set_aside=sum(line["set_aside"] for line in lines),
        made=made[0] if made else 0,
        missing=sum(line["missing"] for line in lines),
        reasons=dict(reasons.most_common()),
        note=decision.sentence(),
        seconds=round(sum(line["seconds"] for line in lines), 3),
        at_least=any(line["at_least"] for line in lines),
        **{name: sum(values) if values else None for name, values in told.items()},
    )


_SUMMED = ("prompt_tokens", "completion_tokens", "cost")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
