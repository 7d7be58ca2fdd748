"""What replies are like: exactly one trace and one answer, how often, and how sure that is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixhack._util.proportions import Share
from tunixhack.errors import UserError
from tunixhack.train.data.chat import LAYOUTS
from tunixhack.train.inference.format_compliance import (
    ReplyStatistics,
    StudentReply,
    check,
    looping,
    measure,
    repetition,
)

GOOD = "<reasoning>2 + 2</reasoning>\n<answer>4</answer>"
FORMATS = st.sampled_from(sorted(LAYOUTS))
PIECES = st.sampled_from([*(tag for layout in LAYOUTS.values() for tag in layout.tags), "a", " ", "\n", "\n\n", "4"])
TEXTS = st.text() | st.lists(PIECES).map("".join)


def plain(text):
    return bool(text.strip()) and "<" not in text


@given(FORMATS, st.text().filter(plain), st.text().filter(plain))
def test_what_a_student_is_trained_to_write_is_compliant(format, reasoning, answer):
    assert check(LAYOUTS[format].text(reasoning, answer), format)


@given(FORMATS, TEXTS)
def test_a_compliant_text_is_one_trace_and_one_answer_and_nothing_else(format, text):
    if check(text, format):
        layout = LAYOUTS[format]
        assert all(text.count(tag) == 1 for tag in layout.tags)
        assert text.startswith(layout.tags[0])
        assert text == layout.text(*layout.read(text))


@given(FORMATS, TEXTS.filter(bool))
def test_anything_before_it_or_a_second_one_behind_it_is_not(format, more):
    good = LAYOUTS[format].text("2 + 2", "4")
    assert not check(more + good, format)
    assert not check(good + good, format)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("", "tags"),
        ("4", "tags"),
        (GOOD + "\n", "tags"),
        (GOOD + " I hope this helps!", "tags"),
        (GOOD.replace("\n", ""), "tags"),
        (GOOD.replace("\n", "\n\n"), "tags"),
        (GOOD.replace("4", " "), "tags"),
        (GOOD.replace("2 + 2", "\n"), "tags"),
        (GOOD.replace("2 + 2", "<answer>"), "tags"),
        (GOOD.removesuffix("</answer>"), "tags"),
        (GOOD, "think"),
        ("<think>2 + 2</think>4", "think"),
        ("<think>\n2 + 2\n</think>\n\n", "think"),
        ("2 + 2\n</think>\n\n4", "think"),
        ("<think>\n2 + 2\n</think>\n\n4", "tags"),
    ],
)
def test_not_compliant(text, format):
    assert not check(text, format)


def test_repetition_is_the_share_of_4_grams_seen_before():
    assert repetition("") == 0
    assert repetition("a b c") == 0
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)  # abcd bcda cdab dabc abcd
    assert repetition("a\nb, c" * 200) > 0.95


@given(TEXTS)
def test_repetition_is_a_share(text):
    assert 0 <= repetition(text) < 1


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=9), st.text(alphabet="xyz .\n"))
def test_a_phrase_three_times_at_the_end_is_a_loop_and_text_behind_it_ends_it(phrase, before):
    text = f"{before} {' '.join(phrase * 3)}"
    assert looping(text)
    assert not looping(f"{text} Done now, finally")


def test_no_loop():
    assert not looping("")
    assert not looping("no no no")  # one word three times is no phrase three times
    assert not looping("to be or not to be or not")
    assert looping("- - - - - -")
    assert looping("-" * 9)


def test_a_reply_that_was_cut_off_in_a_word_may_still_be_in_a_loop():
    cut = "it rains and it rains and it rains and i"
    assert not looping(cut)
    assert looping(cut, finished=False)


def test_replies_are_counted():
    replies = [
        StudentReply(GOOD, 20, True),
        StudentReply(GOOD, 30, False),  # reads whole, but nobody knows what it would have gone on to say
        StudentReply("the cat the cat the cat", 700, False),
        StudentReply("4", 2, True),
    ]
    found = measure(replies, "tags", 768)
    assert found.compliant == Share(1, 4)
    assert found.unfinished == Share(2, 4)
    assert found.looping == Share(1, 4)
    assert found.mean_tokens == 188
    assert found.longest == 700
    assert found.repetition == pytest.approx(sum(repetition(reply.text) for reply in replies) / 4)
    assert str(found.compliant) == "0.25 (1 of 4; 0.05 to 0.70)"


REPLIES = st.lists(st.builds(StudentReply, TEXTS, st.integers(0, 768), st.booleans()), max_size=5)


@given(REPLIES, FORMATS)
def test_what_was_measured_survives_json(replies, format):
    found = measure(replies, format, 768)
    written = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert ReplyStatistics.from_dict(written) == found
    low, high = found.compliant.interval
    assert (written["compliant"]["low"], written["compliant"]["high"]) == (low, high)


def test_without_replies_nothing_is_known():
    found = measure([], "tags", 768)
    assert found.compliant.value is found.repetition is found.mean_tokens is found.longest is None
    assert str(found.compliant) == "unknown (of 0)"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"compliant": None},
        {"format": "xml"},
        {"compliant": {"count": 3, "of": 2}},
        {"repetition": "often"},
        {"longest": []},
    ],
)
def test_what_is_damaged_of_it_is_a_sentence(broken):
    content = measure([], "tags", 768).as_dict()
    with pytest.raises(UserError, match=r"student\.json"):
        ReplyStatistics.from_dict({**content, **broken} if broken else {})
