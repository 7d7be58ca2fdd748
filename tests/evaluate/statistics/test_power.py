"""The smallest difference that a comparison can tell."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.evaluate.statistics.intervals import SHARE, difference, interval
from tunixhack.evaluate.statistics.power import (
    Plan,
    detectable,
    detectable_by,
    detectable_from_pilot,
    shared_level,
)

plans = st.builds(
    Plan,
    questions=st.integers(20, 2000),
    samples=st.integers(1, 16),
    trainings=st.integers(1, 4),
    arms=st.integers(2, 6),
    score=st.floats(0.05, 0.95),
    icc=st.floats(0.05, 0.95),
    correlation=st.floats(0, 0.99),
    spread=st.floats(0, 0.05),
)


def size(plan, **options) -> float:
    found = detectable(plan, **options)
    return 1.0 if found is None else found


def test_millers_formula_where_the_pair_weighs_little():
    # (1.96 + 0.84)² · (omega² + sigma_A² + sigma_B²) / n, with the arms' shares at 0.5 and 0.5 + what is told
    plan = Plan(questions=100_000)
    found = size(plan)
    one, other = 0.25, (0.5 + found) * (0.5 - found)
    omega = 0.5 * (one + other - 1.6 * (one * other) ** 0.5)
    assert found == pytest.approx((1.960 + 0.8416) * ((omega + 0.5 * (one + other)) / 1e5) ** 0.5, rel=0.005)


@pytest.mark.parametrize(("score", "questions", "samples", "points"), [
    (0.5, 30, 1, 31), (0.5, 100, 1, 16), (0.5, 300, 1, 9.0), (0.5, 300, 4, 5.7), (0.2, 300, 1, 7.9), (0.05, 300, 1, 5),
])  # fmt: skip
def test_what_simulated_comparisons_could_tell(score, questions, samples, points):
    found = size(Plan(questions=questions, samples=samples, score=score))
    assert 100 * found == pytest.approx(points, rel=0.06)


@given(plans)
def test_more_questions_and_samples_tell_less_and_more_arms_tell_only_more(plan):
    # of one training: over several, what makes the questions surer leaves the few trainings to decide, with few degrees
    plan = dataclasses.replace(plan, trainings=1)
    for more in ({"questions": 2 * plan.questions}, {"samples": 2 * plan.samples}):
        assert size(dataclasses.replace(plan, **more)) <= size(plan) + 1e-5
    assert size(dataclasses.replace(plan, arms=plan.arms + 1)) >= size(plan)


@given(plans)
def test_scores_that_mirror_one_another_are_alike(plan):
    assert size(plan) == pytest.approx(size(dataclasses.replace(plan, score=1 - plan.score)), abs=1e-5)


@given(plans)
def test_it_is_a_difference_that_can_be(plan):
    found = detectable(plan)
    assert found is None or 0 < found <= 0.95
    if found is not None:
        assert found <= size(plan, power=0.9) + 1e-5
        assert found <= size(plan, level=0.99) + 1e-5


def test_two_questions_tell_nothing():
    assert detectable(Plan(questions=2)) is None


def test_the_spread_of_trainings_costs_power():
    calm, restless = (size(Plan(questions=300, trainings=3, spread=spread)) for spread in (0.01, 0.06))
    assert restless > 2 * calm


@pytest.mark.parametrize("wrong", [
    {"questions": 1}, {"samples": 0}, {"trainings": 0}, {"arms": 1}, {"score": 50}, {"icc": -0.1}, {"correlation": 2},
    {"spread": -1},
])  # fmt: skip
def test_an_impossible_plan_is_an_error(wrong):
    with pytest.raises(ValueError, match=r"a comparison needs|a score and an icc"):
        Plan(**{"questions": 100} | wrong)


def drawn(questions: int, gain: float, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return (draws.random(questions) < 0.5 + gain).astype(float) - (draws.random(questions) < 0.5)


def test_a_pilot_foretells_what_the_comparison_then_says():
    foretold = detectable_from_pilot(drawn(200, 0.0, 1), 1000)
    seen = interval(drawn(1000, 0.0, 2), bounds=(-1, 1))
    assert foretold == pytest.approx(detectable_by(seen), rel=0.1)


@given(st.lists(st.integers(-4, 4).map(lambda size: size / 4), min_size=5, max_size=50), st.integers(20, 500))
def test_more_questions_than_in_the_pilot_tell_less(differences, questions):
    fewer, more = (detectable_from_pilot(differences, count) or 1 for count in (questions, 2 * questions))
    assert 0 < more <= fewer


def test_a_pilot_without_a_difference_promises_little():
    assert detectable_from_pilot([0.0] * 10, 100) > 0.05
    assert detectable_from_pilot([0.0], 100) is None
    with pytest.raises(ValueError, match="too few questions"):
        detectable_from_pilot([0.0, 1.0], 1)


def test_clusters_of_a_pilot_cost_power():
    differences = np.repeat(drawn(40, 0.1, 3), 5)
    alone = detectable_from_pilot(differences, 400)
    assert detectable_from_pilot(differences, 400, clusters=list(np.repeat(np.arange(40), 5))) > 1.5 * alone


def test_what_a_comparison_could_have_told():
    found = difference([0, 1] * 50, [1, 1, 0, 1] * 25)
    told = detectable_by(found)
    pair = ((1 - found.centre) ** 2 + (1 + found.centre) ** 2) / (101 * 102)
    by_hand = 1.98373 * found.error + 0.84540 * (found.error**2 - pair) ** 0.5
    assert told == pytest.approx(by_hand * 102 / 100, rel=1e-4)
    assert told < detectable_by(found.at(shared_level(3)))
    assert told < detectable_by(found, power=0.95)


def test_a_comparison_that_could_tell_nothing():
    assert detectable_by(interval([1], bounds=SHARE)) is None
    assert detectable_by(interval([-1, 1], bounds=(-1, 1))) is None
    assert detectable_by(interval([-3.0, 5.0])) > 5


def test_arms_share_the_level():
    assert shared_level(1) == pytest.approx(0.95)
    assert shared_level(5) == pytest.approx(0.99)


def test_the_arms_of_a_plan_share_its_level():
    plan = Plan(questions=200)
    assert size(dataclasses.replace(plan, arms=3)) == size(plan, level=0.975) > size(plan)


def test_replies_of_all_trainings_count():
    many = Plan(questions=1000, trainings=40)
    assert size(many) == pytest.approx(size(Plan(questions=1000, samples=40)), rel=0.02)
