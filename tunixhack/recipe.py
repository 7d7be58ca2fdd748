"""`Recipe`: what a dataset is, as a list of steps that can be read top to bottom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack.errors import UserError, nearest
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.recipe_spec import RecipeSpec

if TYPE_CHECKING:
    from tunixhack._util.progress import Reporter
    from tunixhack.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Recipe(RecipeSpec):
    """A dataset's description, from a question source to the steps on its answers.

    The fields are the configuration, those of `tunixhack.pipeline.recipe_spec.RecipeSpec`: `replace` makes a recipe
    that differs in some of them.

    Example:
        Half as many answers, on questions of your own:

            from tunixhack.recipes import creative

            creative.recipe.replace(samples=8, source="my_questions.jsonl").build(teacher="local")
    """

    def replace(self, **changes: Any) -> Recipe:
        """Return the recipe with some fields changed.

        Args:
            changes: fields of the recipe. ``source`` may be what ``--source`` takes, and ``columns`` what
                `Source.with_columns` takes.

        Raises:
            UserError: a field that recipes do not have.
        """
        known = {f.name for f in dataclasses.fields(self)}
        for name in changes:
            if name not in known | {"columns"}:
                raise UserError(f"a recipe has no {name!r}: {nearest(name, known)}")
        if isinstance(changes.get("source"), str | Path):
            changes["source"] = self.source.override(str(changes["source"]))
        if "columns" in changes:
            changes["source"] = changes.get("source", self.source).with_columns(changes.pop("columns"))
        if "steps" in changes:
            changes.setdefault("decontaminate", None)
        return dataclasses.replace(self, **changes)

    def without(self, *steps: type) -> Recipe:
        """Return the recipe without some of its steps, such as the length filter, to see what they are good for.

        Args:
            steps: classes of steps.

        Raises:
            UserError: there is no step of such a class.

        Example:
            from tunixhack import LengthFilter
            from tunixhack.recipes import creative

            creative.recipe.without(LengthFilter).build(teacher="local", questions=8)
        """
        for kind in steps:
            if not any(isinstance(step, kind) for step in self.steps):
                there = ", ".join(type(step).__name__ for step in self.steps)
                raise UserError(f"the recipe of {self.domain} has no {kind.__name__} to leave out: it has {there}")
        return self.replace(steps=tuple(step for step in self.steps if not isinstance(step, steps)))

    def build(
        self,
        teacher: str = "local",
        *,
        questions: int | None = None,
        rows: int | None = None,
        accepted: int | None = None,
        ceiling: int | None = None,
        out: str | Path | None = None,
        seed: int | None = 0,
        reuse: Sequence[str | Path | Run] = (),
        ask_again: bool = False,
        budget: float | None = None,
        hours: float | None = None,
        yes: bool = False,
        batch: bool = False,
        preview: int | None = None,
        concurrency: int | None = None,
        same_model: str | None = None,
        shard: str | None = None,
        prepare: bool = False,
        merge: str | Path | None = None,
        report: Reporter | None = None,
    ) -> Run:
        """Build the dataset, or go on with one that was interrupted.

        Args:
            teacher: who answers; see `tunixhack.teachers.registry.resolve`.
            questions: how many questions are sent for samples; all that the steps leave when both this and ``rows``
                are None.
            rows: how many answers are asked for instead: rows / samples questions, rounded up.
            accepted: how many answers shall be kept instead: questions are asked until so many are, or ``ceiling``
                questions were asked. The first ones are kept, by the order of the questions and the samples; what was
                received beyond them is rejected as ``beyond_accepted``.
            ceiling: the most questions that are asked for that.
            out: the run's folder, or the address of one on an object store, such as ``s3://bucket/runs/large``;
                ``runs/<domain>`` when None.
            seed: which questions are taken, and the base of every sample's seed. None sends no seed: the questions are
                those of 0, and several samples are asked for at once wherever the server gives several.
            reuse: other runs, or their folders, whose answers to the same requests are taken over.
            ask_again: ask anew where the prompt, teacher or sampling has changed since answers were paid for.
            budget: dollars that all answers of this run may cost, over every start. No question is begun beyond it, by
                what answers have cost so far; those begun are finished. Answers of runs that ``reuse`` names are not
                counted.
            hours: after so many of this start, no question is begun.
            yes: go on even where more than half of the pilot's answers would be dropped.
            batch: ask in batches, which the provider answers within a day at half the price; the pilot is asked at
                once, and at the whole price.
            preview: ask so many questions once each, tell what the whole would cost, and end there; the answers count
                for a later build.
            concurrency: the most requests in flight at once, in place of the teacher's own number.
            same_model: a name for what several servers serve, where they do not tell that it is the same.
            shard: ``3/16`` asks for the samples of that part of the questions alone, in a folder of its own in ``out``.
                ``budget`` is that of all shards.
            prepare: decide about the questions, pay for what that takes, and stop: shards go on from there. In a folder
                of its own in ``out``.
            merge: the folder of shards that have all ended, or its address: the build is made of their answers, and
                nothing is asked.
            report: where progress goes; standard error when None.

        Returns:
            The finished run; that of a preview is not finished.

        Raises:
            UserError: something the user can mend; nothing is lost.
            TeacherFailed: the teacher failed for too long, or answers are missing; what there is stands in the folder.
            LimitReached: the budget or the hours are used up; what there is stands in the folder.
            NearlyAllDropped: a step dropped almost everything; when raised after sampling, all files are written.
        """
        from tunixhack._util.progress import Reporter
        from tunixhack.pipeline.build import build
        from tunixhack.pipeline.shard import Shard
        from tunixhack.report.write import with_report
        from tunixhack.storage.session import placed

        options = BuildOptions(
            teacher=teacher,
            questions=questions,
            rows=rows,
            accepted=accepted,
            ceiling=ceiling,
            seed=seed,
            reuse=tuple(reuse),
            ask_again=ask_again,
            budget=budget,
            hours=hours,
            yes=yes,
            batch=batch,
            preview=preview,
            concurrency=concurrency,
            same_model=same_model,
            shard=None if shard is None else Shard.read(shard),
            prepare=prepare,
        )
        report = report or Reporter()
        with placed(out or f"runs/{self.domain}", options.subfolder, merge, report) as place:
            options = dataclasses.replace(options, merge=place.merge, addresses=place.addresses)
            # of a shard there is nothing to look through yet that the merged run does not show
            with with_report(place.folder, report) if options.shard is None else nullcontext():
                return place.run(build(self, options, place.folder, report))
