"""The recorder of one build: run.json, the funnel, the rejects, and the files that are written at the end."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tunixhack import __version__
from tunixhack._util.files import write_text
from tunixhack._util.installation import installed_version
from tunixhack.pipeline.answer_tables import AnswerTables
from tunixhack.pipeline.build_command import build_command
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.reference_share import ReferenceShare, reference_share
from tunixhack.pipeline.table_rows import kept_table, rejected_table
from tunixhack.pipeline.teacher_pool import TeacherPool
from tunixhack.pipeline.wording_figures import WordingFigures
from tunixhack.publish.card import KeptAnswers, card
from tunixhack.publish.public_names import publish_names, published_names
from tunixhack.runs.funnel import FunnelLine, count_reasons, count_tokens
from tunixhack.runs.run import Run
from tunixhack.runs.schema import QUESTION, conform
from tunixhack.runs.signature import sign
from tunixhack.runs.state import DONE, RUNNING, SCHEMA, STATE, RunRecord
from tunixhack.runs.tables import pattern, write_table
from tunixhack.steps.base import step_name
from tunixhack.teachers.prices import dollars
from tunixhack.teachers.reference import REFERENCE

if TYPE_CHECKING:
    from tunixhack.pipeline.recipe_spec import RecipeSpec


@dataclass
class Recorder:
    """Writes down what a build does, while it does it."""

    recipe: RecipeSpec
    options: BuildOptions
    run: Run
    pool: TeacherPool
    funnel: list[FunnelLine] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)

    def start(self, resolved: dict[str, Any], loading: float) -> None:
        """Note a new start; one that is still noted as running was killed.

        Args:
            resolved: what the source turned out to be.
            loading: seconds that it took to load.
        """
        state = self.run.state()
        self._before = state, self.run.store.received()
        starts = state.get("starts", [])
        for start in starts:
            if start["state"] == RUNNING:
                start["state"] = "killed"
        seconds = {"source": round(loading, 3)}
        this = {"started": _now(), "ended": None, "state": RUNNING, "seconds": seconds}
        recipe, options = self.recipe, self.options
        command = build_command(recipe, options, self.run)
        self._earlier_funnel = state.get("funnel", [])
        self._earlier_teachers = state.get("teachers", {})
        self._state: RunRecord = {
            "schema": SCHEMA,
            "tunixhack": __version__,
            "domain": recipe.domain,
            "source": recipe.source.describe(),
            "resolved": resolved,
            "recipe": {
                "samples": recipe.samples,
                "trace": self.pool.trace,
                "max_tokens": recipe.max_tokens,
                "sampling": dict(recipe.sampling),
                "system": recipe.system,
                **({"wordings": [asdict(one) for one in recipe.wordings]} if recipe.wordings else {}),
                "max_length": recipe.max_length,
                "against": recipe.against,
                "student": recipe.student,
                "steps": [step_name(step) if hasattr(step, "__name__") else repr(step) for step in recipe.steps],
            },
            "order": {
                "questions": options.questions,
                "rows": options.rows,
                **self._goal(),
                "seed": options.seed,
                **({} if options.shard is None else {"shard": str(options.shard)}),
            },
            "versions": _versions(),
            "pilot": state.get("pilot"),
            "right": state.get("right"),
            "accepted": state.get("accepted") if options.accepted else None,
            **({"wordings": state.get("wordings")} if recipe.wordings else {}),
            "command": command,
            "signature": sign(command),
            "state": RUNNING,
            "why": None,
            "starts": [*starts, this],
        }
        self._save()

    @contextmanager
    def stage(self, name: str, rows_in: int) -> Iterator[FunnelLine]:
        """Keep the funnel's line of one step: the body fills in its rows, this adds time and tokens over all starts."""
        stage = FunnelLine(name, rows_in)
        try:
            with self.timed(name):
                yield stage
        finally:
            stage.seconds = self._seconds(name)
            if name in self.pool.asked:
                self._count_tokens(stage)
            self.funnel.append(stage)
            self._save()

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add what the body takes to a step's seconds."""
        start = time.monotonic()
        try:
            yield
        finally:
            seconds = self._state["starts"][-1]["seconds"]
            seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - start, 3)

    @contextmanager
    def timed_stage(self, name: str, rows_in: int) -> Iterator[FunnelLine]:
        """Add what the body takes to a step's seconds, without a line in the funnel."""
        with self.timed(name):
            yield FunnelLine(name, rows_in)

    def record_accepted(self, told: dict[str, int]) -> None:
        """Keep how many of the wanted answers there are; see `tunixhack.pipeline.accepted.sentence`."""
        self._state["accepted"] = told

    def record_pilot(self, found: dict[str, Any]) -> None:
        """Keep what the pilot told, and what had been spent by then, to compare its estimate with the whole later."""
        self._state["pilot"] = found | {"order": self._sizes(), "spent": self._spent()}
        self._save()

    def write_pilot(self, kept: pl.DataFrame, rejected: Sequence[pl.DataFrame]) -> None:
        """Write the pilot's answers, so that they can be looked at where it stopped the build."""
        folder = self.run.pilot_folder
        write_table(folder, "rejected", rejected_table(rejected))
        write_table(folder, "train", kept_table(kept))

    def add_totals(self, stage: FunnelLine) -> None:
        """Add a line of the funnel that was counted block by block; its time was taken meanwhile."""
        stage.check()
        stage.seconds = self._seconds(stage.step)
        if stage.step in self.pool.asked:
            self._count_tokens(stage)
        self.funnel.append(stage)
        self._save()

    def add_stage(self, stage: FunnelLine, rejected: pl.DataFrame | None = None) -> None:
        """Add a line of the funnel that took no time worth telling, with its rejects."""
        if rejected is not None:
            self.rejected.append(rejected)
            stage.rejected, stage.reasons = rejected.height, count_reasons(rejected)
        stage.check()
        stage.seconds = self._seconds(stage.step)
        self.funnel.append(stage)

    def undo_start(self) -> bool:
        """Undo the start if it has received no answer, wherever that stands; returns whether it did."""
        state, received = self._before
        if state.get("state") == RUNNING:  # an earlier start was killed, and how it ended is not noted yet
            return False
        if self.run.store.received() != received or self.run.store.batches.open():
            return False
        if state:
            self.run.save(state)
        else:
            (self.run.folder / STATE).unlink(missing_ok=True)
        return True

    @property
    def command(self) -> str:
        """The command line that goes on with this run."""
        return str(self._state["command"])

    def suggest_budget(self) -> None:
        """Let the command that goes on allow for the missing answers, where the budget was too small for them."""
        self.suggest(budget=self.pool.limits.proposed_budget())

    def suggest(self, **changes: Any) -> None:
        """Let the command that goes on differ from this one in some options."""
        command = build_command(self.recipe, replace(self.options, **changes), self.run)
        self._state |= {"command": command, "signature": sign(command)}

    def finish(self, state: str, why: str | None) -> None:
        """Note how the build ended."""
        self._state |= {"state": state, "why": why}
        if state == DONE:
            self._state["estimate"] = self._estimate()
        self._state["starts"][-1] |= {"state": state, "ended": _now()}
        self._save()

    def write_tables(self, kept: pl.DataFrame, candidates: pl.DataFrame, selected: pl.Series) -> None:
        """Write the three tables and the card; sorted, so that equal runs have equal files (contract 9)."""
        folder, rejected, train = self.run.folder, rejected_table(self.rejected), kept_table(kept)
        self._state["right"] = reference_share(train, rejected, self.recipe.steps)
        wordings = WordingFigures(self.recipe.wordings)
        wordings.add(train, rejected)
        self._tell_of_wordings(wordings)
        names = published_names(self._all_state()["teachers"])
        self._write_questions(candidates, selected)
        write_table(folder, "rejected", publish_names(rejected, names))
        train = publish_names(train, names)
        write_table(folder, "train", train)
        self._write_card(KeptAnswers.of(train, pattern(folder, "train")))

    def tables(self) -> AnswerTables:
        """Return what writes train and rejected.parquet block by block."""
        names = published_names(self._all_state()["teachers"])
        right, wordings = ReferenceShare(self.recipe.steps), WordingFigures(self.recipe.wordings)
        return AnswerTables(self.run.folder, self.rejected, names, right, wordings)

    def finish_tables(self, tables: AnswerTables, candidates: pl.DataFrame, selected: pl.Series) -> None:
        """Write what there is to write beside the tables that were written block by block."""
        self._state["right"] = tables.right.told()
        self._tell_of_wordings(tables.wordings)
        self._write_questions(candidates, selected)
        self._write_card(tables.kept())

    def _tell_of_wordings(self, wordings: WordingFigures) -> None:
        if self.recipe.wordings:
            self._state["wordings"] = wordings.told(self._samples)

    def _samples(self) -> Iterator[pl.DataFrame]:
        """Yield of which question the stored samples are, and what the server told of their tokens."""
        for rows in self.run.store.files_of("step", "question_id", "usage", "count"):
            yield rows.filter(pl.col("step") == "sample")

    def _write_questions(self, candidates: pl.DataFrame, selected: pl.Series) -> None:
        listed = conform(candidates, QUESTION)  # with the parents of those that a step made, where one did
        questions = listed.with_columns(pl.col("question_id").is_in(selected.implode()).alias("selected"))
        write_table(self.run.folder, "questions", questions.sort("question_id"))

    def _write_card(self, kept: KeptAnswers) -> None:
        write_text(self.run.folder / "README.md", card(self._all_state(), kept, self.recipe.source))

    def _sizes(self) -> dict[str, Any]:
        options = self.options
        return {"questions": options.questions, "rows": options.rows, "samples": self.recipe.samples} | self._goal()

    def _goal(self) -> dict[str, int | None]:
        options = self.options
        return {} if options.accepted is None else {"accepted": options.accepted, "ceiling": options.ceiling}

    def _spent(self) -> dict[str, float | None]:
        """Add up tokens, seconds and dollars of all steps that ask a teacher, over all starts."""
        asked = sorted(self.pool.asked)
        tokens = count_tokens(self._usage_of(asked))
        known = [tokens[name] for name in ("prompt_tokens", "completion_tokens") if tokens[name] is not None]
        return {
            "tokens": sum(known) if len(known) == 2 and not tokens["at_least"] else None,
            "seconds": sum(self._seconds(step) for step in asked),
            "dollars": dollars(self._usage_of(asked), self.pool.prices),
        }

    def _estimate(self) -> dict[str, Any] | None:
        """Compare what the pilot estimated with what came; None where no pilot was of this order.

        Returns:
            For tokens, seconds and dollars: ``estimated``, ``actual`` and, where both are known and above 0, their
            quotient ``estimated_over_actual``.
        """
        pilot = self._state.get("pilot") or {}
        if pilot.get("order") != self._sizes() or self.options.teacher == REFERENCE:
            return None
        now, found = self._spent(), {}
        for name, actual in now.items():
            parts, before = [one[name] for one in pilot["to_come"]], pilot.get("spent", {}).get(name)
            estimated = None if None in parts else sum(parts)
            came = None if actual is None or before is None else actual - before
            ratio = round(estimated / came, 3) if estimated and came else None
            found[name] = {"estimated": estimated, "actual": came, "estimated_over_actual": ratio}
        return found

    def _seconds(self, step: str) -> float:
        """Add up the time of a step over all starts."""
        return round(sum(float(start["seconds"].get(step, 0.0)) for start in self._state["starts"]), 3)

    def _count_tokens(self, stage: FunnelLine) -> None:
        tokens = count_tokens(self._usage_of([stage.step]))
        if any(rows.height for rows in self._usage_of([stage.step])):
            stage.prompt_tokens, stage.completion_tokens = tokens["prompt_tokens"], tokens["completion_tokens"]
            stage.at_least = tokens["at_least"]
            stage.cost = dollars(self._usage_of([stage.step]), self.pool.prices)

    def _usage_of(self, steps: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield what the server told of the tokens of some steps' stored answers."""
        for rows in self.run.store.files_of("step", "teacher", "usage", "count"):
            yield rows.filter(pl.col("step").is_in(steps))

    def _save(self) -> None:
        told = {stage.step for stage in self.funnel}
        # While this start has not come as far as an earlier one, the earlier lines are the best that is known.
        rest = [line for line in self._earlier_funnel if line["step"] not in told] if self._running else []
        state = self._all_state()
        self.run.save(state | {"funnel": state["funnel"] + rest})

    def _all_state(self) -> RunRecord:
        """Put together what run.json keeps."""
        known: RunRecord = {
            "teachers": self._earlier_teachers | self.pool.remembered(),
            "funnel": [asdict(stage) for stage in self.funnel],
        }
        return self._state | known

    @property
    def _running(self) -> bool:
        return bool(self._state["state"] == RUNNING)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    names = ("tunixhack", "bespokelabs-curator", "datasets", "polars", "xllamacpp")
    found = {name: number for name in names if (number := installed_version(name))}
    return {"python": platform.python_version()} | found
