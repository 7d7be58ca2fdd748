"""How often the intervals of an evaluation hold the truth: simulated arms whose true scores are known.

Coverage of intervals of 95 %, lowest over a grid of cells (questions, scores, samples, how much questions differ).
Every cell is drawn a thousand times; then those where ours was lowest are drawn anew, many times more, since the lowest
of many noisy figures is too low. Peers, on the same draws, from 30 questions on:

- Evalchemy's rule, the deviation between runs over the root of their number;
- Wilson's interval of questions times samples, as if all replies were independent;
- the t interval of the questions' means, and the percentile bootstrap over questions;
- Wilson's interval of the effective number of questions (Korn and Graubard), which inspect has; for a difference, two
  of them joined (MOVER, Newcombe 1998, with the correlation that was seen);
- for a difference, the normal interval of two independent arms.

Prints ``coverage_single`` (goal: ≥ 0.935), ``coverage_paired`` (≥ 0.94), ``coverage_trainings`` (≥ 0.93), each with its
peers' lowest, and ``width_vs_unpaired``: how wide the interval of a paired difference is over the unpaired one, 300
questions, one sample, icc 0.5, copula 0.8 (≤ 0.8).

    python benchmarks/interval_coverage.py [--draws 1000]
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from common.simulated_replies import (
    Floats,
    replies,
    tied_normals,
    trained_replies,
    trained_score,
    true_score,
    true_shares,
)

from tunixhack._util.proportions import Z95
from tunixhack.evaluate.statistics.intervals import DIFFERENCE, SHARE, ends, mean_and_error, quantile
from tunixhack.evaluate.statistics.trainings import training_error

Ends = tuple[Floats, Floats]
Cell = tuple[float, ...]
Simulated = tuple[float, dict[str, Ends]]
"""The truth, and the intervals of each method."""

QUESTIONS = (10, 20, 30, 50, 100, 300)
SCORES = (0.02, 0.05, 0.2, 0.5, 0.95)
PAIRS = (
    (0.02, 0.02), (0.05, 0.05), (0.2, 0.2), (0.5, 0.5), (0.95, 0.95),
    (0.02, 0.1), (0.05, 0.15), (0.2, 0.35), (0.5, 0.65), (0.9, 0.97),
)  # fmt: skip
TIES = ((0.1, 0.3), (0.3, 0.5), (0.5, 0.8), (0.7, 0.9), (0.9, 0.95))
"""How much questions differ (icc), and how alike two arms take them."""
SPREADS = (0.0, 0.1, 0.2, 0.4)
"""Of a training's seed on the scale of logits: at 300 questions 0, 1.5, 3.1 and 6.4 points of the score."""
TRAININGS = ((2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (5, 2))
"""Trainings and arms."""
AGAIN, AGAIN_DRAWS = 12, 20_000
RESAMPLES = 300


def ours(values: Floats, bounds: tuple[float, float]) -> Ends:
    return ends(*mean_and_error(values, bounds=bounds), bounds, 0.95)


def student(values: Floats) -> Ends:
    return ends(*mean_and_error(values), None, 0.95)


def bootstrap(values: Floats, draws: np.random.Generator) -> Ends:
    """Resample the questions; the draws of a cell share the resamples, which leaves each one's interval what it is."""
    count = values.shape[1]
    means = values @ draws.multinomial(count, np.full(count, 1 / count), RESAMPLES).T / count
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return low, high


def wilson_of(share: Floats, count: Floats | float, reach: float) -> Ends:
    scale = 1 + reach**2 / count
    middle = (share + reach**2 / (2 * count)) / scale
    half = reach / scale * np.sqrt(np.maximum(share * (1 - share) / count + reach**2 / (4 * count**2), 0))
    return middle - half, middle + half


def clustered_wilson(values: Floats, samples: int) -> Ends:
    count, share = values.shape[1], values.mean(axis=1)
    variance, alone = values.var(axis=1, ddof=1) / count, share * (1 - share)
    most = float(count * samples)
    effective = np.divide(alone, variance, out=np.full_like(share, most), where=(variance > 0) & (alone > 0))
    return wilson_of(share, np.minimum(effective, most), float(quantile(0.975, count - 1)))


def joined_wilson(one: Floats, other: Floats, samples: int) -> Ends:
    (low_one, high_one), (low, high) = clustered_wilson(one, samples), clustered_wilson(other, samples)
    mean_one, mean = one.mean(axis=1), other.mean(axis=1)
    product = ((one - mean_one[:, None]) * (other - mean[:, None])).mean(axis=1)
    scale = one.std(axis=1) * other.std(axis=1)
    tie = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)

    def reach(down: Floats, up: Floats) -> Floats:
        return np.sqrt(np.maximum(down**2 - 2 * tie * down * up + up**2, 0))

    size = mean - mean_one
    return size - reach(mean - low, high_one - mean_one), size + reach(high - mean, mean_one - low_one)


def unpaired(one: Floats, other: Floats) -> Ends:
    reach = Z95 * np.sqrt((one.var(axis=1, ddof=1) + other.var(axis=1, ddof=1)) / one.shape[1])
    size = other.mean(axis=1) - one.mean(axis=1)
    return size - reach, size + reach


def between_runs(draws: np.random.Generator, shares: Floats, samples: int) -> Ends:
    runs = (draws.random((samples, *shares.shape)) < shares).mean(axis=2)
    reach = Z95 * runs.std(axis=0) / np.sqrt(samples)
    return runs.mean(axis=0) - reach, runs.mean(axis=0) + reach


def single(draws: np.random.Generator, cell: Cell, many: int) -> Simulated:
    count, score, samples, icc = int(cell[0]), cell[1], int(cell[2]), cell[3]
    shares = true_shares(draws.standard_normal((many, count)), score, icc)
    values = replies(draws, shares, samples)
    found = {"ours": ours(values, SHARE)}
    if many < AGAIN_DRAWS:
        found |= {
            "independent": wilson_of(values.mean(axis=1), float(count * samples), Z95),
            "t": student(values),
            "bootstrap": bootstrap(values, draws),
            "clustered_wilson": clustered_wilson(values, samples),
        }
        if samples > 1:
            found["evalchemy"] = between_runs(draws, shares[:500], samples)
    return true_score(score, icc), found


def paired(draws: np.random.Generator, cell: Cell, many: int) -> Simulated:
    count, scores, samples, icc, tie = int(cell[0]), cell[1:3], int(cell[3]), cell[4], cell[5]
    normals = tied_normals(draws, (many, count), tie)
    one, other = (
        replies(draws, true_shares(drawn, score, icc), samples) for drawn, score in zip(normals, scores, strict=True)
    )
    found = {"ours": ours(other - one, DIFFERENCE)}
    if many < AGAIN_DRAWS:
        found |= {
            "t": student(other - one),
            "bootstrap": bootstrap(other - one, draws),
            "clustered_wilson": joined_wilson(one, other, samples),
            "unpaired": unpaired(one, other),
        }
    return true_score(scores[1], icc) - true_score(scores[0], icc), found


def trained(draws: np.random.Generator, cell: Cell, many: int) -> Simulated:
    spread, count, trainings, arms, samples = cell[0], *(int(number) for number in cell[1:])
    found: dict[str, list[Ends]] = {"ours": [], "one_training": []}
    for part in range(0, many, 500):
        size = min(500, many - part)
        asked = trained_replies(draws, (size, arms, count, trainings), np.full(size, spread), gain=0.3, samples=samples)
        scores, degrees = asked.mean(axis=2), arms * (trainings - 1)
        variance = scores.var(axis=2, ddof=1).sum(axis=1) / arms
        differences = asked[:, 1] - asked[:, 0]
        found["ours"].append(ends(*training_error(differences, variance, degrees), DIFFERENCE, 0.95))
        found["one_training"].append(ours(differences[:, :, 0], DIFFERENCE))
    joined = {
        name: (np.concatenate([e[0] for e in parts]), np.concatenate([e[1] for e in parts]))
        for name, parts in found.items()
    }
    return trained_score(spread, 0.3) - trained_score(spread), joined


def coverage(truth: float, found: Ends) -> float:
    low, high = found
    return float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean())


def lowest(
    name: str,
    simulate: Callable[[np.random.Generator, Cell, int], Simulated],
    cells: Iterable[Cell],
    many: tuple[int, int],
    peers: Callable[[Cell], bool] = lambda cell: True,
) -> None:
    """Print the lowest coverage over the cells, and that of the peers over those where they are tried."""
    began = time.perf_counter()
    seen: list[tuple[float, Cell]] = []
    worst: dict[str, float] = {}
    for number, cell in enumerate(cells):
        truth, found = simulate(np.random.default_rng([1, number]), cell, many[0])
        seen.append((coverage(truth, found["ours"]), cell))
        for peer in found.keys() - {"ours"} if peers(cell) else ():
            worst[peer] = min(worst.get(peer, 1.0), coverage(truth, found[peer]))
    again = []
    for number, (_, cell) in enumerate(sorted(seen)[:AGAIN]):
        truth, found = simulate(np.random.default_rng([2, number]), cell, many[1])
        again.append((coverage(truth, found["ours"]), cell))
    figure, where = min(again)
    print(
        f"{name}: {figure:.3f}   (at {where}; {len(seen)} cells × {many[0]:,} draws, lowest {min(seen)[0]:.3f}, mean "
        f"{np.mean([one for one, _ in seen]):.3f}; the {AGAIN} lowest again × {many[1]:,})"
    )
    for peer, one in sorted(worst.items()):
        print(f"{name}_{peer}: {one:.3f}")
    print(f"{name}_seconds: {time.perf_counter() - began:.0f}", flush=True)


def single_cells() -> Iterator[Cell]:
    for count, score in itertools.product(QUESTIONS, SCORES):
        yield count, score, 1, 0.5
        for samples, icc in itertools.product((4, 10), (0.1, 0.3, 0.5, 0.7, 0.9)):
            yield count, score, samples, icc


def paired_cells() -> Iterator[Cell]:
    for count, scores, samples, tie in itertools.product(QUESTIONS, PAIRS, (1, 4, 10), TIES):
        yield count, *scores, samples, *tie


def trained_cells() -> Iterator[Cell]:
    for spread, count, (trainings, arms) in itertools.product(SPREADS, (100, 300), TRAININGS):
        yield spread, count, trainings, arms, 1


def width_vs_unpaired(samples: int) -> float:
    _, found = paired(np.random.default_rng(3), (300, 0.5, 0.5, samples, 0.5, 0.8), 2000)
    narrow, wide = (float((high - low).mean()) for low, high in (found["ours"], found["unpaired"]))
    return narrow / wide


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000, help="draws of each cell")
    many = parser.parse_args(arguments).draws
    # with fewer than 30 questions the peers' lowest are far lower still, and nobody would use them
    lowest("coverage_single", single, single_cells(), (many, AGAIN_DRAWS), lambda cell: cell[0] >= 30)
    lowest("coverage_paired", paired, paired_cells(), (many, AGAIN_DRAWS), lambda cell: cell[0] >= 30)
    lowest("coverage_trainings", trained, trained_cells(), (many, AGAIN_DRAWS // 4))
    print(f"width_vs_unpaired: {width_vs_unpaired(1):.2f}   (four samples: {width_vs_unpaired(4):.2f})")


if __name__ == "__main__":
    main()
