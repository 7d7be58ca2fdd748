"""Samples before and after, in their file and on a terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.hostile import obeyed
from tunixhack.errors import UserError
from tunixhack.train.inference.format_compliance import StudentReply
from tunixhack.train.report import samples
from tunixhack.train.report.samples import ComparedReplies, printable, side_by_side

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
REPLIES = st.none() | st.builds(StudentReply, TEXTS, st.integers(0, 768), st.booleans())
SAMPLES = st.lists(
    st.builds(ComparedReplies, question=TEXTS, domain=st.none() | TEXTS, before=REPLIES, after=REPLIES), max_size=4
)


@given(SAMPLES)
def test_samples_come_back_from_their_file(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("samples")
    samples.write(folder, written)
    assert samples.read(folder) == written


def test_a_folder_without_samples_has_none(tmp_path):
    assert samples.read(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    ["{", "[3]", '[{"question": "q"}]', '[{"question": 1, "domain": null, "before": null, "after": null}]', '"x"'],
)
def test_a_damaged_file_is_a_sentence(tmp_path, content):
    (tmp_path / samples.FILE).write_text(content)
    with pytest.raises(UserError, match=r"samples\.json"):
        samples.read(tmp_path)


def test_before_and_after_stand_side_by_side():
    text = side_by_side(
        [
            ComparedReplies(
                question="What is 2 + 2?",
                domain="math",
                before=StudentReply("Who knows?\nNobody.", 7, False),
                after=StudentReply("<reasoning>Count.</reasoning>\n<answer>4</answer>", 15, True),
            )
        ],
        width=80,
    )
    lines = text.splitlines()
    assert lines[0] == "question 1 (math): What is 2 + 2?"
    assert any("before: 7 tokens, cut off" in line and "after: 15 tokens" in line for line in lines)
    assert any("Who knows?" in line and "<reasoning>Count.</reasoning>" in line for line in lines)
    assert any("Nobody." in line and "<answer>4</answer>" in line for line in lines)


def test_without_a_reply_after_there_is_one_column():
    text = side_by_side([ComparedReplies(question="Why?", before=StudentReply("Because.", 2, True))])
    assert "before: 2 tokens" in text
    assert "after" not in text


def test_a_very_long_reply_is_shortened_and_says_so():
    text = side_by_side([ComparedReplies(question="?", before=StudentReply("ha" * 4000, 768, False))])
    assert "(7,200 more characters)" in text
    assert text.count("h") < 1000


@given(SAMPLES, st.integers(40, 120))
def test_nothing_in_a_sample_breaks_the_lines_or_the_terminal(shown, width):
    text = side_by_side(shown, width=width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert not obeyed(text)


def test_markup_is_text():
    text = side_by_side([ComparedReplies(question="[bold]q[/bold]", after=StudentReply("[red]x \x1b[31m", 3, True))])
    assert "[bold]q[/bold]" in text
    assert "[red]x \ufffd[31m" in text


@given(st.text())
def test_printable_text_keeps_its_length(text):
    assert len(printable(text)) == len(text)
    assert json.dumps(printable(text)).isascii()
    printable(text).encode()
