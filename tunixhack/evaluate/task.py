"""A task: evaluation questions with known answers, how they are put, and how replies are scored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from tunixhack._util.ids import rank
from tunixhack.domain_files import find
from tunixhack.errors import UserError, nearest
from tunixhack.evaluate.clusters import clusters_of
from tunixhack.evaluate.contamination import LearntTexts
from tunixhack.evaluate.losses import Solutions, solutions_of
from tunixhack.evaluate.public_benchmark import benchmark_tasks, find_benchmark
from tunixhack.evaluate.scores import UNSCORED, Scorer, scorer_of
from tunixhack.recipe import Recipe
from tunixhack.recipes import domains, named_datasets
from tunixhack.runs.schema import QUESTION
from tunixhack.sources.chosen_rows import ChosenRows
from tunixhack.sources.question_source import QuestionSource
from tunixhack.sources.source import Loaded, collapse_equal_ids, is_file

CHUNK = 128
"""Questions whose references are read at once."""
NO_REFERENCE, UNREAD_REFERENCE, LEARNT, EQUAL = "no_reference", "unread_reference", "trained_on", "same_id"
OWN_SYSTEM = "own_system"
"""Why a test question is left out."""
LEFT_OUT = {
    LEARNT: "in the data that an arm was trained on",
    UNREAD_REFERENCE: "whose own reference does not pass the scorer",
    NO_REFERENCE: "without a reference",
    EQUAL: "equal to another one",
    OWN_SYSTEM: "with a system text of their own, which nobody else would be asked with",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Evaluation questions with known answers."""

    name: str
    recipe: Recipe
    """How a teacher is asked, and whose domain is in every question_id."""
    source: QuestionSource
    scorer: Scorer
    passes: int = 1
    """Replies to each question, unless the user says otherwise."""
    note: str | None = None
    """A sentence that goes with its figures."""
    judged: bool = False
    """Whether a judge compares the answers, so that no reference is needed."""

    @classmethod
    def find(cls, on: str, source: str | None = None, *, judged: bool = False) -> Task:
        """Find a task.

        Args:
            on: a domain's name, the path of a domain file, a file of questions with ``question`` and ``reference``, or
                a public benchmark's name.
            source: other questions than the domain's own test questions, as ``--source`` of build names them.
            judged: whether a judge compares the answers; a domain without test questions then asks those of its source.

        Raises:
            UserError: there is no such domain or file, or the domain has no test questions.
        """
        passes, note = 1, None
        own_file = on not in domains() and is_file(on) and Path(on).suffix != ".py"
        if own_file:
            from tunixhack.recipes import general

            name = re.sub(r"\W+", "_", Path(on).name.partition(".")[0]) or "questions"
            recipe = general.recipe.replace(domain=name, source=on, trace="written")
        elif (benchmark := find_benchmark(on)) is not None:
            name, recipe = benchmark.name, benchmark.recipe()
            passes, note = benchmark.passes, benchmark.note
        else:
            recipe = _recipe(on)
            name = recipe.domain
        test = recipe.source if own_file or (judged and recipe.test is None) else recipe.test
        if isinstance(test, str):
            test = recipe.source.override(test)
        if source is not None:
            test = (test or recipe.source).override(source)
        if test is None:
            raise UserError(
                f"the domain {name} has no test questions with known answers: name a judge with --judge, or such "
                "questions with --source FILE, a file with the columns question and reference, or give its recipe "
                "`test=`"
            )
        scorer = UNSCORED if judged else scorer_of(recipe)
        return cls(name=name, recipe=recipe, source=test, scorer=scorer, passes=passes, note=note, judged=judged)

    def questions(self, count: int, learnt: LearntTexts, seed: int) -> TaskQuestions:
        """Choose the questions that are asked: the first by the seed that can be scored and are new to all arms.

        A smaller number of questions is the beginning of a larger one, as long as no arm joins that was trained on one.

        Args:
            count: at most; there can be fewer.
            learnt: the questions that arms were trained on.
            seed: of the order.

        Raises:
            UserError: the source cannot be read, or no question is left.
        """
        loaded = self.source.load(self.recipe.domain)
        rows, equal = collapse_equal_ids(loaded.rows)
        ranks = pl.Series("_rank", [rank(seed, one) for one in rows["question_id"]], dtype=pl.String)
        rows = rows.with_columns(ranks).sort("_rank").drop("_rank")
        left_out = {EQUAL: equal.height, NO_REFERENCE: 0, UNREAD_REFERENCE: 0, LEARNT: 0}
        kept: list[pl.DataFrame] = []
        have = looked = 0
        for start in range(0, rows.height, CHUNK):
            for at, why in enumerate(self.reasons(rows.slice(start, CHUNK), learnt), start):
                if have == count:
                    break
                looked += 1
                if why is None:
                    kept.append(rows.slice(at, 1))
                    have += 1
                else:
                    left_out[why] += 1
            if have == count:
                break
        if not kept:
            raise UserError(self._nothing_left(rows.height, left_out))
        chosen = pl.concat(kept)
        solutions, note = solutions_of(self.recipe, chosen)
        return TaskQuestions(
            task=self,
            rows=chosen,
            clusters=clusters_of(self.recipe, self.source, chosen),
            solutions=solutions,
            note=note,
            left_out={why: number for why, number in left_out.items() if number},
            looked_at=looked + equal.height,
            loaded=loaded,
        )

    def reasons(self, rows: pl.DataFrame, learnt: LearntTexts) -> Iterator[str | None]:
        """Yield why each question is left out; None where it is asked."""
        if self.judged:
            yield from (LEARNT if known else None for known in learnt.have(rows))
            return
        listed = list(rows.iter_rows(named=True))
        accepted = self.scorer.accepts_reference(listed)
        for row, passes, known in zip(listed, accepted, learnt.have(rows), strict=True):
            if not row["reference"]:
                yield NO_REFERENCE
            elif known:
                yield LEARNT
            else:
                yield None if passes else UNREAD_REFERENCE

    def _nothing_left(self, rows: int, left_out: Mapping[str, int]) -> str:
        if left_out[LEARNT] and not left_out[UNREAD_REFERENCE] + left_out[NO_REFERENCE]:
            return (
                f"all {rows:,} questions of {self.name} are in the data that an arm was trained on: name others with "
                "--source"
            )
        none, unread, learnt = (left_out[why] for why in (NO_REFERENCE, UNREAD_REFERENCE, LEARNT))
        return (
            f"no question of {self.name} can be scored: {none:,} of {rows:,} have no reference, {unread:,} have "
            f"one that does not pass the scorer ({self.scorer.name}), and {learnt:,} are in the data that an arm was "
            "trained on; a task needs known answers, or a judge (--judge)"
        )


@dataclass(frozen=True, kw_only=True)
class TaskQuestions:
    """The questions of a task that are asked, in their order."""

    task: Task
    rows: pl.DataFrame
    """In the QUESTION schema."""
    left_out: Mapping[str, int]
    """Number of test questions by the reason why they are not asked, among those that were looked at."""
    looked_at: int
    """Number of test questions that were looked at until there were enough."""
    loaded: Loaded
    clusters: Mapping[str, str] = field(default_factory=dict)
    """The label of each question that belongs to others; see `tunixhack.evaluate.clusters`."""
    solutions: Solutions = field(default_factory=dict)
    """The source's own trace and answer, where it has them."""
    note: str | None = None
    """A sentence about questions without a solution or an answer; None where there is nothing to tell."""
    unscored: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUESTION))
    """Questions that are not asked, since they have no known answer, but have a solution to compute the loss on."""

    def left_out_sentence(self) -> str | None:
        """Say how many test questions were left out, and why; None where none was."""
        if not self.left_out:
            return None
        why = "; ".join(f"{number:,} {LEFT_OUT[reason]}" for reason, number in self.left_out.items())
        return f"{self.task.name}: of the first {self.looked_at:,} test questions are left out {why}"

    def cluster_count(self) -> int | None:
        """Return the number of clusters, a question that stands alone counted as one; None where all do."""
        found = [self.clusters.get(name) for name in self.rows["question_id"]]
        alone = found.count(None)
        return None if alone == len(found) else alone + len({*found} - {None})

    def shard(self, number: int, of: int) -> TaskQuestions:
        """Return every so many-th question, beginning with the number-th, counted from 1."""
        parts = {name: getattr(self, name).gather_every(of, number - 1) for name in ("rows", "unscored")}
        return replace(self, **parts)


@dataclass(frozen=True, kw_only=True)
class ChosenQuestions(ChosenRows):
    """A source of the questions that an evaluation has chosen; more of them go on in the same folder."""

    chosen: TaskQuestions = field(repr=False)

    @property
    def shipped(self) -> str | None:
        """None: these questions have no stand-in."""
        return None

    def load(self, domain: str) -> Loaded:
        """Return the chosen questions."""
        return Loaded(self.chosen.rows, self.chosen.loaded.rejected.clear(), self.chosen.loaded.resolved)


def _recipe(on: str) -> Recipe:
    if Path(on).suffix != ".py" and on not in {*domains(), *named_datasets()}:
        raise UserError(
            f"--on {on!r} is no task: {nearest(on, [*domains(), *benchmark_tasks()])}; or give a domain file, or a "
            "file of questions with the columns question and reference"
        )
    return find(on)


def find_tasks(on: str | Sequence[str], source: str | None, *, judged: bool = False) -> list[Task]:
    """Find the tasks of a list with commas.

    Raises:
        UserError: none is named, one twice, or ``source`` is given with several.
    """
    listed = [one.strip() for one in (on.split(",") if isinstance(on, str) else on) if one.strip()]
    if not listed:
        raise UserError("--on names no task: give a domain, or a file of questions with references")
    if source is not None and len(listed) > 1:
        raise UserError("--source is for one task: name one after --on, or leave --source out")
    tasks = [Task.find(one, source, judged=judged) for one in listed]
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"--on names the task {twice} twice: name it once")
    return tasks
