"""The cost of a build before a key is there or anything is asked: a price list times stated assumptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.addresses import as_address
from tunixhack._util.installation import installed_version
from tunixhack._util.wording import counted
from tunixhack.errors import UserError, nearest
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.pipeline.step_forecasts import StepCost, forecasts, questions_into
from tunixhack.runs.funnel import count_tokens
from tunixhack.runs.run import Run
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.max_length import CHARACTERS_A_TOKEN
from tunixhack.teachers.prices import FREE, Price
from tunixhack.teachers.prompts import Prompts
from tunixhack.teachers.registry.address import public_name
from tunixhack.teachers.registry.presets import PRESETS
from tunixhack.teachers.registry.price_table import listed_price

ANSWER_TOKENS = {"written": 400, "guided": 400, "native": 4000}
"""Tokens of an answer with its trace that are assumed where nothing is known. A wide guess: thinking models write from
1,000 to 20,000 tokens, depending on the task; a preview tells."""
PROMPTS = 20
"""Questions whose prompts are rendered to learn how long prompts are."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The cost of a build, and the assumptions that it was estimated by."""

    domain: str
    teacher: str
    questions: int
    answers: int
    probes: int
    """Requests of the length filter before, of one answer each."""
    prompt_tokens: int
    """Of one request."""
    answer_tokens: int
    """Of one answer."""
    assumed: str
    """Where the two numbers come from."""
    price: Price | None
    """Dollars a token, after the share that a batch costs; None where it is not in the table."""
    batch: bool
    prices_of: str
    """The table that the price is from."""
    steps: tuple[StepCost, ...] = ()
    """The steps that ask for something else than answers, each with a line of its own."""

    @property
    def requests(self) -> int:
        """Return how many there are for answers and probes: each asks for one answer."""
        return self.answers + self.probes

    @property
    def dollars(self) -> float | None:
        """Return the whole; None where the price is unknown."""
        if self.price is None:
            return None
        found = self.price.of(self.requests * self.prompt_tokens, self.requests * self.answer_tokens)
        for step in self.steps:
            if step.dollars is None:
                return None
            found += step.dollars
        return found

    def lines(self) -> list[str]:
        """Say it for a terminal."""
        probes = f" and {counted(self.probes, 'probe')} of the length filter" if self.probes else ""
        told = [
            f"{self.domain} with {self.teacher}: {counted(self.questions, 'question')}, "
            f"{counted(self.answers, 'answer')}{probes}",
            f"assumed: {self.prompt_tokens:,} tokens a prompt and {self.answer_tokens:,} an answer, {self.assumed}",
            f"tokens: {self.requests * self.prompt_tokens:,} of prompts and "
            f"{self.requests * self.answer_tokens:,} of answers, one answer a request",
            *(step.line() for step in self.steps),
        ]
        if self.price is None:
            return [*told, f"price: unknown, {self.teacher} is not in {self.prices_of}"]
        millions = [f"${each * 1e6:,.2f}" for each in (self.price.prompt, self.price.completion)]
        listed = f"price: {millions[0]} a million tokens of prompts and {millions[1]} of answers"
        how = f"{' in batches' if self.batch else ''}, by {self.prices_of}"
        if self.dollars is None:
            unknown = ", ".join(step.teacher for step in self.steps if step.dollars is None)
            return [*told, f"{listed}{how}", f"in all: unknown, {unknown} is not in {self.prices_of}"]
        return [*told, f"{listed}{how}", f"about ${self.dollars:,.2f}{' in all' if self.steps else ''}"]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        steps = [asdict(step) | {"dollars": step.dollars} for step in self.steps]
        return asdict(self) | {"dollars": self.dollars, "steps": steps}


def estimate(
    recipe: RecipeSpec,
    teacher: str,
    questions: int,
    *,
    batch: bool = False,
    like: str | Path | None = None,
    prompt_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> Estimate:
    """Estimate what a build costs; no key is needed, and nothing is asked.

    Args:
        recipe: with the samples and the kind of trace.
        teacher: ``NAME/MODEL`` as after ``--teacher``, or ``local``.
        questions: that are sent for samples.
        batch: at the price of batches.
        like: a run whose stored answers tell how many tokens prompts and answers have, a pilot's or a preview's too.
        prompt_tokens: of one request, instead of what is assumed.
        answer_tokens: of one answer, instead of what is assumed.

    Raises:
        UserError: the teacher is unknown or answers no batches, or the run has no answers whose tokens were told.
    """
    if questions < 1:
        raise UserError(f"questions={questions}: ask for at least one")
    price = price_of(teacher, batch)
    prompt, answer, assumed = _of_samples(like) if like else _assumed(recipe)
    given = [name for name, one in (("--prompt-tokens", prompt_tokens), ("--answer-tokens", answer_tokens)) if one]
    needed, probes = questions_and_probes(recipe, questions * recipe.samples)
    return Estimate(
        domain=recipe.domain,
        teacher=public_name(teacher),
        questions=needed,
        answers=questions * recipe.samples,
        probes=probes,
        prompt_tokens=prompt_tokens or prompt,
        answer_tokens=answer_tokens or answer,
        assumed=f"as {' and '.join(given)} say{'s' if len(given) == 1 else ''}; else {assumed}" if given else assumed,
        price=price,
        batch=batch,
        prices_of=f"the table of litellm {installed_version('litellm') or '(not installed)'}",
        steps=tuple(_step_costs(recipe, teacher, questions, batch=batch, like=like)),
    )


def questions_and_probes(recipe: RecipeSpec, rows: int) -> tuple[int, int]:
    """Count the questions that a build of so many rows asks samples of, and the probes before.

    Args:
        recipe: with the samples that each question gets.
        rows: answers.
    """
    questions = -(-rows // recipe.samples)
    into = zip(recipe.steps, questions_into(recipe.steps, questions), strict=False)
    return questions, sum(given for step, given in into if isinstance(step, LengthFilter) and step.teacher is None)


def _step_costs(
    recipe: RecipeSpec, teacher: str, questions: int, *, batch: bool, like: str | Path | None
) -> Iterator[StepCost]:
    """Yield what each step costs that asks for something else than answers."""
    if not any(hasattr(step, "forecast") for step in recipe.steps):
        return
    rows = _first_rows(recipe)
    for step, named, found in forecasts(recipe.steps, questions, recipe.samples, rows, recipe.domain):
        spec = named or teacher
        preset = PRESETS.get(spec.partition("/")[0])
        known = spec.partition("/")[0] == "local" or (preset is not None and "/" in spec)
        seen = _seen(like, step) if like else None
        prompt, answer, assumed = seen or (found.prompt_tokens, found.answer_tokens, f"assumed: {found.assumed}")
        yield StepCost(
            step=step,
            teacher=public_name(spec),
            requests=found.requests,
            prompt_tokens=prompt,
            answer_tokens=answer,
            assumed=assumed,
            price=price_of(spec, batch and preset is not None and preset.batches) if known else None,
        )


def price_of(teacher: str, batch: bool = False) -> Price | None:
    """Return the listed price of a teacher; None where it is not in the table.

    Args:
        teacher: ``NAME/MODEL`` as after ``--teacher``, or ``local``.
        batch: at the price of batches.

    Raises:
        UserError: no such provider is known, as of a server by its address, or it answers no batches.
    """
    name, _, model = teacher.partition("/")
    if name == "local":
        return FREE
    if name not in PRESETS or not model:
        known = ["local", *(f"{name}/MODEL" for name in PRESETS)]
        raise UserError(f"there are no prices for teacher {public_name(teacher)!r}: {nearest(f'{name}/MODEL', known)}")
    preset = PRESETS[name]
    if batch and not preset.batches:
        raise UserError(f"{preset.title} is not asked in batches here: leave --batch out")
    price = FREE if preset.local else listed_price(preset.priced_as or name, model)
    return price.in_batches() if price is not None and batch else price


def _of_samples(place: str | Path) -> tuple[int, int, str]:
    found = _seen(place, "sample")
    if found is None:
        raise UserError(
            f"{as_address(place) or place} has no answers whose tokens the server told: leave --like out, or name "
            "another run"
        )
    return found


def _seen(place: str | Path, step: str) -> tuple[int, int, str] | None:
    """Take the mean tokens of the answers to a step that a run has stored; None where it has none."""
    run, answers, requests = Run.load(place), 0, 0

    def stored() -> Iterator[pl.DataFrame]:
        nonlocal answers, requests
        for rows in run.store.files_of("step", "usage", "count"):
            rows = rows.filter(pl.col("step") == step)
            answers += rows.height
            requests += rows["usage"].count()
            yield rows

    tokens = count_tokens(stored())
    if not requests or None in (tokens["prompt_tokens"], tokens["completion_tokens"]):
        return None
    prompt, answer = tokens["prompt_tokens"] / requests, tokens["completion_tokens"] / answers
    return round(prompt), round(answer), f"the mean of the {answers:,} answers in {run.place}"


def _first_rows(recipe: RecipeSpec) -> pl.DataFrame:
    """Return a few questions: shipped ones where there are some, so that nothing is loaded from afar."""
    source = recipe.source if recipe.source.shipped is None else recipe.source.override("shipped")
    return source.load(recipe.domain).rows.head(PROMPTS)


def _assumed(recipe: RecipeSpec) -> tuple[int, int, str]:
    rows = _first_rows(recipe)
    asked = Prompts(
        llm=recipe.llm, model="any", trace=recipe.trace, system=recipe.system, wordings=tuple(recipe.wordings)
    )
    prompts = [sum(len(one["content"]) for one in asked.render(row)) for row in rows.iter_rows(named=True)]
    prompt = -(-sum(prompts) // (len(prompts) * CHARACTERS_A_TOKEN))
    where = "first" if recipe.source.shipped is None else "shipped"
    return (
        prompt,
        ANSWER_TOKENS[recipe.trace],
        f"by the domain's prompts on its {where} questions at {CHARACTERS_A_TOKEN} characters a token, and a rough "
        f"guess for {recipe.trace} traces (--like RUN takes a preview's)",
    )
