"""The cost of a build before a key is there or anything is asked: a price list times stated assumptions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.wording import counted
from tunixhack.errors import UserError, nearest
from tunixhack.pipeline.recipe_spec import RecipeSpec
from tunixhack.runs.funnel import count_tokens
from tunixhack.runs.run import Run
from tunixhack.steps.base import candidates_needed, share_kept
from tunixhack.steps.length_filter import LengthFilter
from tunixhack.steps.max_length import CHARACTERS_A_TOKEN
from tunixhack.steps.sample import Sample
from tunixhack.teachers.prices import FREE, Price
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

    @property
    def requests(self) -> int:
        """Return how many there are: each asks for one answer."""
        return self.answers + self.probes

    @property
    def dollars(self) -> float | None:
        """Return the whole; None where the price is unknown."""
        if self.price is None:
            return None
        return self.price.of(self.requests * self.prompt_tokens, self.requests * self.answer_tokens)

    def lines(self) -> list[str]:
        """Say it for a terminal."""
        probes = f" and {counted(self.probes, 'probe')} of the length filter" if self.probes else ""
        told = [
            f"{self.domain} with {self.teacher}: {counted(self.questions, 'question')}, "
            f"{counted(self.answers, 'answer')}{probes}",
            f"assumed: {self.prompt_tokens:,} tokens a prompt and {self.answer_tokens:,} an answer, {self.assumed}",
            f"tokens: {self.requests * self.prompt_tokens:,} of prompts and "
            f"{self.requests * self.answer_tokens:,} of answers, one answer a request",
        ]
        if self.price is None or self.dollars is None:
            return [*told, f"price: unknown, {self.teacher} is not in {self.prices_of}"]
        millions = [f"${each * 1e6:,.2f}" for each in (self.price.prompt, self.price.completion)]
        listed = f"price: {millions[0]} a million tokens of prompts and {millions[1]} of answers"
        how = f"{' in batches' if self.batch else ''}, by {self.prices_of}"
        return [*told, f"{listed}{how}", f"about ${self.dollars:,.2f}"]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self) | {"dollars": self.dollars}


def estimate(
    recipe: RecipeSpec,
    teacher: str,
    questions: int,
    *,
    batch: bool = False,
    like: Path | None = None,
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
    price = _price(teacher, batch)
    prompt, answer, assumed = _seen(like) if like else _assumed(recipe)
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
        prices_of=f"the table of litellm {_litellm()}",
    )


def questions_and_probes(recipe: RecipeSpec, rows: int) -> tuple[int, int]:
    """Count the questions that a build of so many rows asks samples of, and the probes before.

    Args:
        recipe: with the samples that each question gets.
        rows: answers.
    """
    questions = needed = -(-rows // recipe.samples)
    probes = 0
    at = next(i for i, step in enumerate(recipe.steps) if isinstance(step, Sample))
    for step in reversed(recipe.steps[:at]):
        if share_kept(step) < 1:
            needed = candidates_needed(needed, share_kept(step))
            probes += needed if isinstance(step, LengthFilter) and step.teacher is None else 0
    return questions, probes


def _price(teacher: str, batch: bool) -> Price | None:
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


def _seen(folder: Path) -> tuple[int, int, str]:
    """Take the mean tokens of a run's stored answers."""
    answers = Run.load(folder).store.answers()
    samples = answers.filter(pl.col("step") == "sample")
    tokens = count_tokens(samples)
    requests = samples.filter(pl.col("usage").is_not_null()).height
    if not requests or None in (tokens["prompt_tokens"], tokens["completion_tokens"]):
        raise UserError(f"{folder} has no answers whose tokens the server told: leave --like out, or name another run")
    prompt, answer = tokens["prompt_tokens"] / requests, tokens["completion_tokens"] / samples.height
    return round(prompt), round(answer), f"the mean of the {samples.height:,} answers in {folder}"


def _assumed(recipe: RecipeSpec) -> tuple[int, int, str]:
    source = recipe.source if recipe.source.shipped is None else recipe.source.override("shipped")
    rows = source.load(recipe.domain).rows.head(PROMPTS)
    llm = recipe.llm("any", trace=recipe.trace)
    prompts = [sum(len(one["content"]) for one in llm.render(row)) for row in rows.iter_rows(named=True)]
    prompt = -(-sum(prompts) // (len(prompts) * CHARACTERS_A_TOKEN))
    where = "shipped" if source.path == "shipped" else "first"
    return (
        prompt,
        ANSWER_TOKENS[recipe.trace],
        f"by the domain's prompts on its {where} questions at {CHARACTERS_A_TOKEN} characters a token, and a rough "
        f"guess for {recipe.trace} traces (--like RUN takes a preview's)",
    )


def _litellm() -> str:
    try:
        return version("litellm")
    except PackageNotFoundError:
        return "(not installed)"
