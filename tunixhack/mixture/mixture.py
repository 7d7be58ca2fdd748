"""`Mixture`: one dataset out of several recipes, with a quota for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError, nearest
from tunixhack.mixture.build import build
from tunixhack.mixture.options import MixtureOptions
from tunixhack.mixture.spec import MixtureSpec
from tunixhack.pipeline.options import BuildOptions
from tunixhack.pipeline.shard import Shard
from tunixhack.recipe import Recipe
from tunixhack.report.write import with_report
from tunixhack.storage.session import placed

if TYPE_CHECKING:
    from tunixhack.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Mixture(MixtureSpec):
    """A dataset of several recipes, each a part with a quota.

    All parts' questions are decided before any teacher is asked: each source is read, its recipe's steps that ask
    nobody judge it, questions that an earlier part has too are rejected as ``in_earlier_part`` (by normalised text and
    context, in the order in which parts are listed), and each part takes its quota from what is left, by rank. Then
    each part is a run of its own, in a folder below the mixture's, and the mixture's tables put their rows together,
    with the column ``part``. A part that is added at the end leaves the others' questions as they are; one that is put
    before others can take away their questions only by having them itself.

    OpenThoughts found one or two sources a domain better than more (arXiv 2506.04178, table 3); more are warned of.

    Example:
        Poems of one source, and questions of two kinds of another:

            from tunixhack import Mixture, Part
            from tunixhack.recipes import creative, general

            mixture = Mixture(
                name="evening",
                parts=(
                    Part(recipe=creative.recipe, questions=400),
                    Part(recipe=general.recipe, questions=100, where={"category": ("open_qa", "general_qa")}),
                ),
                samples=4,
            )
            mixture.build(teacher="local", scale=0.1)
    """

    def replace(self, **changes: Any) -> Mixture:
        """Return the mixture with some fields changed.

        Args:
            changes: fields of the mixture, or of all its parts' recipes, such as ``max_length`` and ``student``.

        Raises:
            UserError: a field that neither has.
        """
        own = {field.name for field in dataclasses.fields(self)} - {"changes"}
        of_recipes = {name: value for name, value in changes.items() if name not in own}
        known = own | {field.name for field in dataclasses.fields(Recipe)}
        for name in of_recipes:
            if name not in known or name in ("domain", "llm", "steps"):
                raise UserError(f"a mixture has no {name!r}: {nearest(name, known)}")
        parts = self.parts
        if of_recipes:
            parts = tuple(dataclasses.replace(part, recipe=part.recipe.replace(**of_recipes)) for part in parts)
        fields = {"parts": parts, "changes": {**self.changes, **of_recipes}}
        return dataclasses.replace(self, **fields | {name: value for name, value in changes.items() if name in own})

    def build(
        self,
        teacher: str = "local",
        *,
        scale: float = 1.0,
        questions: int | None = None,
        rows: int | None = None,
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
        """Build all parts, or go on with what was interrupted.

        Args:
            teacher: who answers, where a part names no teacher of its own.
            scale: each quota is multiplied by it: max(1, round(quota × scale)) questions or rows.
            questions: of parts with shares, how many questions there are in all.
            rows: the same in answers: rows / samples questions.
            out: the mixture's folder, or its address; ``runs/<name>`` when None. Each part's run is a folder in it.
            seed: see `Recipe.build`, as are the other arguments: ``budget`` and ``hours`` are those of all parts
                together, and ``preview`` asks so many questions of each part.
            reuse: see there.
            ask_again: see there.
            budget: see there.
            hours: see there.
            yes: see there.
            batch: see there.
            preview: see there.
            concurrency: see there.
            same_model: see there.
            shard: ``3/16`` asks for the samples of that share of each part's questions, which were decided by
                ``prepare``; see there.
            prepare: see there.
            merge: see there.
            report: see there.

        Returns:
            The mixture's run: its dataset has the rows of all parts, and ``Run.load(run.folder / name)`` is a part's.

        Raises:
            UserError: something the user can mend, such as a quota that cannot be filled, told before anything is paid.
            TeacherFailed: answers are missing; what there is is written.
            LimitReached: the budget or the hours are used up; what there is is written.
            NearlyAllDropped: a step of a part dropped almost everything; all parts are built and written all the same.
        """
        options = BuildOptions(
            teacher=teacher,
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
        with placed(out or f"runs/{self.name}", options.subfolder, merge, report) as place:
            options = dataclasses.replace(options, merge=place.merge, addresses=place.addresses)
            order = MixtureOptions(scale=scale, questions=questions, rows=rows, each=options)
            with with_report(place.folder, report) if options.shard is None else nullcontext():
                return place.run(build(self, order, place.folder, report))
