"""How often the figures of a judge are right, with scripted judges of known habits.

Every run has answers and grades, or pairs and choices, of its own; the seeds are fixed. The first run of each seed goes
through the step's prompts and readers, too, and must give the same figures. Prints:

    judge_kappa_covered      of 1,000 runs with a judge of known noise, 30 questions, two answers each, three criteria,
                             those in which the true weighted kappa lies within its interval; for each seed, each with
                             its noise (goal: ≥ 935)
    judge_length_told        of runs with a judge that loves length, those that say so (all)
    judge_length_false       of runs with a judge that has no taste for length, those that say it has (about 5 %)
    pairs_taste_covered      of comparisons of 60 questions by a judge that prefers one writer in 80 % of the pairs,
                             those whose interval holds the 80 % (≥ 935)
    pairs_length_told        of comparisons by a judge that takes the longer answer, those that say so (all)
    pairs_place_no_verdict   of comparisons by a judge that takes the first answer, and by one that tosses a coin in
                             each order, those without a verdict (all; ≥ 97 %)

    python benchmarks/judge_agreement.py [--runs 1000]
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from tunixhack import Context, Request, RubricJudge
from tunixhack.evaluate.figures import ArmFacts
from tunixhack.evaluate.preferences import FOLLOWS_PLACE, LIKES_LONG, preference_lines
from tunixhack.evaluate.statistics.agreement import weighted_kappa
from tunixhack.judging.grading import Grade
from tunixhack.judging.raters import Graded, Rater
from tunixhack.steps import judge_figures as step_figures
from tunixhack.steps.base import Ask
from tunixhack.steps.judge_figures import JudgeFigures, grading_figures

SEEDS = {20261127: 0.4, 1: 0.8, 42: 1.6}
"""Seeds, and the noise of a judge's grades in units of the scale, whose true grades spread by one."""
CRITERIA = ("It rhymes.", "It rains.", "It ends.")
QUESTIONS, EACH, PAIRS = 30, 2, 60
LOVE, LIKING = 3.0, 1.5
"""Grades by which an answer gains for each factor e of its length: of a judge to whom length is more than what is
written, and of one to whom it is as much. The logarithm of the lengths has a standard deviation of 0.6."""

Draws = np.random.Generator


def liking(draws: Draws, questions: int) -> np.ndarray:
    """Draw true grades, of which half the variance lies between questions: (questions, answers, criteria)."""
    shape = (questions, EACH, len(CRITERIA))
    return draws.normal(0, 0.5**0.5, (questions, 1, 1)) + draws.normal(0, 0.5**0.5, shape)


def grades(draws: Draws, true: np.ndarray, noise: float) -> np.ndarray:
    return np.clip(np.rint(3 + true + draws.normal(0, noise, true.shape)), 1, 5)


@cache
def true_kappa(noise: float) -> float:
    draws = np.random.default_rng(0)
    true = liking(draws, 200_000)
    found = weighted_kappa(grades(draws, true, noise).ravel(), grades(draws, true, noise).ravel(), range(true.size))
    assert found.value is not None
    return found.value


def scripted(passes: Sequence[np.ndarray]) -> Ask:
    """Return a judge that grades by what it is shown: which answer, and which criteria in which order."""

    def ask(requests: Sequence[Request], teacher: str | None = None) -> pl.DataFrame:
        rows = []
        for place, request in enumerate(requests):
            text = request.messages[1]["content"]
            shown = re.findall(r"^\d\. (.*)$", text, re.MULTILINE)
            question, answer = map(int, re.findall(r"answer (\d+) (\d+)", text)[0])
            given = passes[request.samples[0]][question, answer]
            said = {
                f"criterion_{at}": {"reason": "So.", "grade": int(given[CRITERIA.index(one)])}
                for at, one in enumerate(shown, 1)
            }
            rows.append({"request": place, "choice": json.dumps({"message": {"content": json.dumps(said)}})})
        return pl.DataFrame(rows)

    return ask


def graded(draws: Draws, noise: float, love: float, *, asked: bool = False) -> JudgeFigures:
    """Grade answers of random lengths twice; ``asked`` through the step, too."""
    words = draws.integers(20, 200, (QUESTIONS, EACH))
    true = liking(draws, QUESTIONS) + love * (np.log(words) - np.log(words).mean())[:, :, None]
    rows = [
        {"question_id": f"q{at:03}", "sample": one, "question": "Q?", "answer": f"answer {at} {one}" + " w" * size}
        for at in range(QUESTIONS)
        for one, size in enumerate(words[at].tolist())
    ]
    passes = [grades(draws, true, noise) for _ in range(2)]
    found = []
    for at, one in np.ndindex(QUESTIONS, EACH):
        given = {Rater(None, number): [Grade(int(grade)) for grade in of[at, one]] for number, of in enumerate(passes)}
        found.append(Graded(CRITERIA, given))
    figures = grading_figures(rows, found, [Rater(None, number) for number in range(2)]).judge
    if asked:
        verdict = RubricJudge(criteria=CRITERIA)(pl.DataFrame(rows), Context(ask=scripted(passes)))
        assert verdict.details == {"judge": figures.as_dict()}
    return figures


def says(figures: JudgeFigures, *what: str) -> bool:
    return any(one in sentence for one in what for sentence in figures.sentences())


def compared(draws: Draws, wins: np.ndarray, longer: np.ndarray) -> dict[str, Any]:
    """Return the line of a comparison, from the arm's wins when it is shown first and second and where it is longer."""
    rows = {
        "task": "poems",
        "question_id": [f"q{at:03}" for at in range(PAIRS)],
        "arm": "good",
        "baseline": "plain",
        "sample": 0,
        "value": wins.mean(axis=1),
        "arm_first": wins[:, 0],
        "arm_second": wins[:, 1],
        "length": 100 + longer,
        "baseline_length": 100 + ~longer,
    }
    table = pl.DataFrame(rows).with_columns(pl.lit(None, pl.String).alias("why"))
    (line,) = preference_lines(table, [ArmFacts(label=name, kind="teacher") for name in ("plain", "good")], 1)
    return line


def comparisons(draws: Draws, runs: int) -> Iterator[tuple[str, bool]]:
    """Yield the name of a figure, and whether a comparison is as it should be."""
    for _ in range(runs):
        longer = draws.random(PAIRS) < 0.5
        taste = (draws.random(PAIRS) < 0.8).astype(float)
        line = compared(draws, np.stack([taste, taste], axis=1), longer)
        yield "pairs_taste_covered", line["low"] <= 0.8 <= line["high"]
        line = compared(draws, np.stack([longer, longer], axis=1).astype(float), longer)
        yield "pairs_length_told", LIKES_LONG in line["sentence"]
        first = np.tile([1.0, 0.0], (PAIRS, 1))
        coin = draws.integers(0, 2, (PAIRS, 2)).astype(float)
        for name, wins in (("first", first), ("coin", coin)):
            line = compared(draws, wins, longer)
            told = line["verdict"] == "no verdict" and FOLLOWS_PLACE in line["sentence"]
            yield f"pairs_place_no_verdict_{name}", told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    start = time.perf_counter()
    for seed, noise in SEEDS.items():
        draws, others, true = np.random.default_rng(seed), np.random.default_rng([seed, 1]), true_kappa(noise)
        held = false = told = weak = 0
        for number in range(runs):
            found = graded(draws, noise, 0.0, asked=number == 0)
            kappa = found.agreement["two passes"]
            held += kappa.low is not None and kappa.high is not None and kappa.low <= true <= kappa.high
            false += says(found, step_figures.LIKES_LONG, step_figures.LIKES_SHORT)
            weak += says(graded(draws, noise, LIKING), step_figures.LIKES_LONG)
            told += says(graded(others, noise, LOVE), step_figures.LIKES_LONG)
        print(f"judge_kappa_covered: {held} of {runs:,}   (seed {seed}, noise {noise:g}, true kappa {true:.3f})")
        print(f"judge_length_told: {told} of {runs:,}   (and {weak} of a judge that likes length half as much)")
        print(f"judge_length_false: {false} of {runs:,}", flush=True)
    for seed in SEEDS:
        counts: Counter[str] = Counter()
        for name, right in comparisons(np.random.default_rng(seed), runs):
            counts[name] += right
        for name, count in counts.items():
            print(f"{name}: {count} of {runs:,}   (seed {seed})", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
