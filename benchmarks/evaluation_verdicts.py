"""How often verdicts are wrong, and how well the smallest detectable difference is foretold, on simulated arms.

Prints:

    detectable_error   the difference foretold over the one that 80 % of simulated comparisons tell, lowest and highest
                       over questions, samples and scores (goal: 0.9 … 1.1)
    null_ablations     share of ablations of four equal arms, two trainings each, whose seeds move a score by 0 to 6
                       points, in which some arm is called better or worse; one for each of three seeds (≤ 0.06)
    null_ablations_one_training   the same of the first trainings alone, which tell of students
    planted            share of comparisons of 300 questions and one training in which an arm that is 20 points better
                       is told (≥ 0.99); ``planted_trainings`` of recipes with three trainings, by the spread of seeds
    winners_curse      points that the best of nine equal arms, chosen on 100 questions, has on fresh ones (0 ± 0.5),
                       and on those that it was chosen on

    python benchmarks/evaluation_verdicts.py [--draws 2000]
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence

import numpy as np
from common.simulated_replies import (
    Floats,
    replies,
    tied_correlation,
    tied_normals,
    trained_replies,
    true_score,
    true_shares,
)
from scipy.special import ndtri

from tunixhack.evaluate.statistics.intervals import DIFFERENCE, difference, ends, interval, mean_and_error
from tunixhack.evaluate.statistics.power import POWER, Plan, detectable
from tunixhack.evaluate.statistics.sign_flips import sign_flip_p
from tunixhack.evaluate.statistics.trainings import over_trainings, pooled_spread
from tunixhack.evaluate.statistics.verdicts import Circumstances, verdict

ICC, TIE = 0.5, 0.8
SEEDS = (20261127, 1, 42)
LARGEST_SPREAD = 0.4
"""On the scale of logits: 6 points of the score."""


def told(draws: np.random.Generator, scores: tuple[float, float], count: int, samples: int, many: int) -> float:
    """Return the share of simulated comparisons in which the second arm is called better."""
    one, other = tied_normals(draws, (many, count), TIE)
    values = replies(draws, true_shares(other, scores[1], ICC), samples)
    values = values - replies(draws, true_shares(one, scores[0], ICC), samples)
    low, _ = ends(*mean_and_error(values, bounds=DIFFERENCE), DIFFERENCE, 0.95)
    return float((low > 0).mean())


def really_detectable(draws: np.random.Generator, plan: Plan, around: float, many: int) -> float:
    """Return the difference that 80 % of simulated comparisons tell: where a line through five powers crosses it."""
    sizes = around * np.linspace(0.85, 1.15, 5)
    found = []
    for size in sizes:
        scores = (plan.score, plan.score + float(size))
        found.append(told(draws, scores, plan.questions, plan.samples, many))
    slope, start = np.polyfit(sizes, ndtri(np.clip(found, 1e-3, 1 - 1e-3)), 1)
    return float((ndtri(POWER) - start) / slope)


def detectable_error(many: int) -> None:
    ratios = {}
    for number, (count, samples, score) in enumerate(itertools.product((30, 100, 300), (1, 4, 16), (0.05, 0.2, 0.5))):
        # the arms' shares are less alike than their normals, and the more so the further the scores are from the middle
        alike = tied_correlation((score, score), ICC, TIE)
        plan = Plan(questions=count, samples=samples, score=score, icc=ICC, correlation=alike)
        foretold = detectable(plan)
        if foretold is not None and score + 1.15 * foretold < 0.98:
            ratios[count, samples, score] = foretold / really_detectable(
                np.random.default_rng([4, number]), plan, foretold, many
            )
    low, high = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    print(f"detectable_error: {ratios[low]:.2f} … {ratios[high]:.2f}   (at questions, samples, score {low} and {high}; "
          f"{len(ratios)} cells × 5 × {many:,})", flush=True)  # fmt: skip


def ablation(asked: Floats) -> tuple[bool, bool, bool]:
    """Return whether an arm is told apart in an ablation, in its first trainings, and whether those say perhaps."""
    arms = len(asked)
    spread = pooled_spread(list(asked.mean(axis=1)))
    recipes, students = (
        Circumstances(trainings=2, comparisons=arms - 1),
        Circumstances(trainings=1, comparisons=arms - 1),
    )
    words = [verdict(over_trainings(arm - asked[0], spread), None, recipes) for arm in asked[1:]]
    alone = []
    for arm in asked[1:]:
        values = arm[:, 0] - asked[0, :, 0]
        alone.append(verdict(interval(values, bounds=DIFFERENCE), sign_flip_p(values), students))
    return (
        any(word.told for word in words),
        any(word.told for word in alone),
        any(word.word.value.startswith("perhaps") for word in alone),
    )


def null_ablations(many: int) -> None:
    for seed in SEEDS:
        draws = np.random.default_rng(seed)
        found = np.zeros(3)
        for _ in range(many // 100):
            asked = trained_replies(draws, (100, 4, 300, 2), draws.uniform(0, LARGEST_SPREAD, 100))
            found += np.sum([ablation(one) for one in asked], axis=0)
        wrong, alone, perhaps = found / (many // 100 * 100)
        print(f"null_ablations: {wrong:.3f}   (seed {seed}, {many:,} ablations)")
        print(f"null_ablations_one_training: {alone:.3f}   (and perhaps in {perhaps:.3f})", flush=True)


def planted(many: int) -> None:
    draws = np.random.default_rng(6)
    print(f"planted: {told(draws, (0.3, 0.5), 300, 1, many):.3f}   (0.3 and 0.5 right of 300 questions, one training)")
    for points, spread in ((0, 0.0), (1.5, 0.1), (3.1, 0.2)):
        right = 0
        for _ in range(many // 400):
            for asked in trained_replies(draws, (100, 2, 300, 3), np.full(100, spread), gain=1.46):
                found = over_trainings(asked[1] - asked[0], pooled_spread(list(asked.mean(axis=1))))
                right += verdict(found, None, Circumstances(trainings=3)).word == "better"
        print(f"planted_trainings: {right / (many // 400 * 100):.3f}   (spread of {points} points)", flush=True)


def winners_curse(many: int) -> None:
    draws = np.random.default_rng(7)
    seemed, fresh = [], []
    for _ in range(many):
        shared = np.sqrt(TIE) * draws.standard_normal((200, 1)) + np.sqrt(1 - TIE) * draws.standard_normal((200, 9))
        asked = replies(draws, true_shares(shared, 0.5, ICC), 1)
        gains = [difference(asked[:100, 0], asked[:100, arm]).mean for arm in range(1, 9)]
        chosen = 1 + int(np.argmax(gains))
        seemed.append(max(gains))
        fresh.append(difference(asked[100:, 0], asked[100:, chosen]).mean)
    error = 100 * np.std(fresh) / np.sqrt(many)
    print(f"winners_curse: {100 * np.mean(fresh):+.2f} points   (± {error:.2f}; on the questions that chose "
          f"{100 * np.mean(seemed):+.2f})", flush=True)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=2000, help="simulated comparisons of each figure")
    many = parser.parse_args(arguments).draws
    assert abs(true_score(0.5, ICC) - 0.5) < 1e-9
    for measure in (winners_curse, planted, null_ablations, detectable_error):
        began = time.perf_counter()
        measure(many)
        print(f"{measure.__name__}_seconds: {time.perf_counter() - began:.0f}", flush=True)


if __name__ == "__main__":
    main()
