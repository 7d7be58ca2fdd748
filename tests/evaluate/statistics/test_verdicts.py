"""The words for a difference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack.evaluate.statistics.intervals import DIFFERENCE, WIN, Interval, interval
from tunixhack.evaluate.statistics.sign_flips import sign_flip_p
from tunixhack.evaluate.statistics.verdicts import Circumstances, Word, verdict


def won(wins: int, losses: int, n: int) -> Interval:
    return interval([1] * wins + [-1] * losses + [0] * (n - wins - losses), bounds=DIFFERENCE)


def slightly(count: int, n: int) -> Interval:
    """So many questions with one right reply of four more, or less: a test tells it, an interval of few does not."""
    return interval([0.25 * np.sign(count)] * abs(count) + [0.0] * (n - abs(count)), bounds=DIFFERENCE)


@pytest.mark.parametrize(
    ("found", "p", "word"),
    [
        (won(40, 5, 100), 1e-6, Word.BETTER),
        (won(5, 40, 100), 1e-6, Word.WORSE),
        (won(6, 0, 30), 0.03125, Word.BETTER),
        (slightly(8, 30), 0.0078125, Word.PERHAPS_BETTER),
        (slightly(-8, 30), 0.0078125, Word.PERHAPS_WORSE),
        (won(5, 5, 30), 1.0, Word.NOT_TOLD_APART),
        (slightly(8, 30), None, Word.NOT_TOLD_APART),
        (won(19, 0, 19), 4e-6, Word.TOO_FEW),
    ],
)
def test_the_word_by_interval_and_test(found, p, word):
    said = verdict(found, p)
    assert said.word == word
    assert said.told == (word in ("better", "worse"))


def test_the_p_of_eight_questions_of_one_sign():
    assert sign_flip_p([0.25] * 8 + [0.0] * 22) == pytest.approx(0.0078125)


def test_several_arms_share_the_five_percent():
    found, p = won(15, 5, 100), sign_flip_p([1] * 15 + [-1] * 5)
    assert verdict(found, p).word == Word.BETTER
    among = verdict(found, p, Circumstances(comparisons=3))
    assert among.word == Word.NOT_TOLD_APART
    assert among.interval.level == pytest.approx(1 - 0.05 / 3)
    few = slightly(8, 30)
    assert verdict(few, 0.0078125, Circumstances(comparisons=6)).word == Word.PERHAPS_BETTER
    assert verdict(few, 0.0078125, Circumstances(comparisons=7)).word == Word.NOT_TOLD_APART


def test_the_level_that_decides_is_not_that_of_the_interval_given():
    found = won(16, 4, 100)
    assert verdict(found.at(0.5), None) == verdict(found.at(0.9999), None) == verdict(found, None)


def test_few_clusters_have_no_verdict():
    found = interval([1.0] * 40, bounds=DIFFERENCE, clusters=[number % 4 for number in range(40)])
    assert verdict(found, None).word == Word.TOO_FEW
    assert verdict(interval([1.0], bounds=DIFFERENCE), None).word == Word.TOO_FEW


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 5), st.floats(0.001, 1))
def test_swapped_arms_swap_the_word(wins, losses, comparisons, p):
    mirrored = {
        Word.BETTER: Word.WORSE,
        Word.WORSE: Word.BETTER,
        Word.PERHAPS_BETTER: Word.PERHAPS_WORSE,
        Word.PERHAPS_WORSE: Word.PERHAPS_BETTER,
    }
    asked = Circumstances(comparisons=comparisons)
    said = verdict(won(wins, losses, 60), p, asked).word
    assert verdict(won(losses, wins, 60), p, asked).word == mirrored.get(said, said)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9))
def test_more_arms_never_make_a_verdict(wins, losses, comparisons):
    found = won(wins, losses, 60)
    if verdict(found, None, Circumstances(comparisons=comparisons)).told:
        assert verdict(found, None).told


@pytest.mark.parametrize(
    ("asked", "suffix"),
    [
        (Circumstances(trainings=1), "these students, not yet these recipes"),
        (Circumstances(if_cut_off=[won(40, 5, 100), won(22, 20, 100)]), "cut-off replies could turn it"),
        (Circumstances(token_ratio=2.04), "learnt 2 × the tokens"),
        (Circumstances(token_ratio=0.5), "learnt 0.5 × the tokens"),
        (Circumstances(scores=[0.01, 0.04]), "floor: every arm is right in less than 5 %, take an easier task"),
        (Circumstances(scores=[0.99, 0.96]), "ceiling: every arm is right in more than 95 %, take a harder task"),
    ],
)
def test_what_a_verdict_is_to_be_read_with(asked, suffix):
    said = verdict(won(40, 5, 100), None, asked)
    assert said.suffixes == (suffix,)
    assert said.sentence("b", "a").endswith(f"; {suffix}")


def test_a_plain_comparison_has_no_suffix():
    asked = Circumstances(
        trainings=3, if_cut_off=[won(42, 5, 100), won(40, 7, 100)], token_ratio=1.1, scores=[0.01, 0.36]
    )
    assert verdict(won(40, 5, 100), None, asked).suffixes == ()


def test_cut_off_replies_that_leave_it_open_turn_nothing():
    open_still = Circumstances(if_cut_off=[won(7, 5, 100), won(5, 7, 100)])
    assert verdict(won(6, 6, 100), 1.0, open_still).suffixes == ()


def test_cut_off_replies_are_judged_at_the_level_that_decides():
    asked = Circumstances(comparisons=3, if_cut_off=[won(15, 5, 100)])
    assert won(15, 5, 100).sign == 1
    assert verdict(won(10, 8, 100), None, asked).suffixes == ()


def test_a_sentence_has_numbers_and_what_could_have_been_told():
    said = verdict(slightly(8, 30), 0.0078125, Circumstances(samples=4, trainings=1))
    assert said.sentence("steps", "direct") == (
        "steps minus direct: +6.7 points (95 %: -3.7 to +16.2), perhaps better; 30 questions × 4 replies, 1 training "
        "each, p = 0.0078: 80 % of such comparisons tell 12.4 points; these students, not yet these recipes"
    )


def test_the_sentence_of_one_question_and_of_nats():
    assert verdict(won(1, 0, 1), 1.0).sentence("b", "a") == (
        "b minus a: +100.0 points, too few questions; 1 question × 1 reply: no difference would have been told"
    )
    nats = verdict(interval(np.linspace(-1.5, -0.5, 40)), None).sentence("b", "a", unit="nats")
    assert nats.startswith("b minus a: -1 nats (95 %: -1.1 to -0.904), worse; 40 questions × 1 reply: 80 % of such")


def test_a_win_is_judged_around_the_half():
    assert verdict(interval(np.array([1.0] * 40 + [0.0] * 10) - 0.5, bounds=WIN), None).word == Word.BETTER
    assert verdict(interval(np.array([1.0, 0.0] * 25) - 0.5, bounds=WIN), None).word == Word.NOT_TOLD_APART


@pytest.mark.parametrize(
    ("p", "asked", "words"),
    [
        (0.01, {"trainings": 2}, "says nothing over several trainings"),
        (None, {"comparisons": 0}, "at least one sample"),
        (None, {"trainings": 0}, "at least one sample"),
        (None, {"samples": 0}, "at least one sample"),
    ],
)
def test_impossible_circumstances_are_an_error(p, asked, words):
    with pytest.raises(ValueError, match=words):
        verdict(won(6, 0, 30), p, Circumstances(**asked))
