"""Choices as servers really send them, broken ones, and tag soup."""

import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.steps.base import Context, judge
from tunixhack.steps.parse import TRACES, Parse, Parsed, read_choice


def choice(content=None, finish_reason="stop", **message):
    return {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish_reason}


@pytest.mark.parametrize(
    "sent",
    [
        choice("4", reasoning_content="Count on."),
        choice("\n\n4\n", reasoning="Count on.\n"),
        choice("4", reasoning_content=None, reasoning="Count on."),
        choice("4", reasoning_content="  ", reasoning="Count on."),
        choice("<think>\nCount on.\n</think>\n\n4"),
        choice("\n <think>Count on.</think>4"),
        choice("Count on.\n</think>\n4"),
        choice("<think>Count on.</think> 4", reasoning_content="Count on."),
        choice("<think>\n\n</think>4", reasoning_content="Count on."),
        choice([{"type": "text", "text": "4"}], reasoning_content="Count on."),
    ],
)
def test_native_trace_is_found_wherever_the_server_puts_it(sent):
    assert read_choice(sent, "native") == ("Count on.", "4", None)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (choice("<think>Count on and on"), "malformed"),
        (choice("Sure! <think>Count on.</think> 4"), "malformed"),
        (choice("<think>a</think>b</think>c"), "malformed"),
        (choice("<think>a<think>b</think>c"), "malformed"),
        (choice("4<|im_end|>\n<|im_start|>user\nAnd next?", reasoning_content="a"), "control_tokens"),
        (choice("a</think>4", reasoning_content="Another thought."), "malformed"),
        (choice("4"), "no_trace"),
        (choice("4", reasoning_content=" "), "no_trace"),
        (choice("<think> </think>4"), "empty"),
        (choice("<think>Count on.</think>  "), "empty"),
        (choice(None, reasoning_content="Count on."), "empty"),
        (choice(None), "empty"),
        (choice(" \n"), "empty"),
        (choice("half a pair: \ud83d", reasoning_content="a"), "malformed"),
    ],
)
def test_native_problem_is_named(sent, problem):
    assert read_choice(sent, "native").problem == problem


@pytest.mark.parametrize("trace", ["written", "guided"])
@pytest.mark.parametrize(
    "sent",
    [
        choice("<reasoning>a < b > c</reasoning>\n<answer>4</answer>"),
        choice("\n<reasoning>\na < b > c\n</reasoning><answer> 4\n</answer>\n\n"),
        choice("<think>my plan</think>\n<reasoning>a < b > c</reasoning>\n<answer>4</answer>"),
        choice("use <reasoning> tags</think><reasoning>a < b > c</reasoning>\n<answer>4</answer>"),
        choice("<reasoning>a < b > c</reasoning>\n<answer>4</answer>", reasoning_content="my plan"),
    ],
)
def test_written_trace_is_read_from_its_tags_and_thinking_is_thrown_away(trace, sent):
    assert read_choice(sent, trace) == ("a < b > c", "4", None)


@pytest.mark.parametrize(
    "content",
    [
        "4",
        "Here: <reasoning>a</reasoning><answer>4</answer>",
        "<reasoning>a</reasoning><answer>4</answer> Hope it helps!",
        "<reasoning>a</reasoning> so <answer>4</answer>",
        "<reasoning>a</reasoning><reasoning>b</reasoning><answer>4</answer>",
        "<reasoning>a</reasoning><answer>3</answer><answer>4</answer>",
        "<reasoning>a<reasoning>b</reasoning></reasoning><answer>4</answer>",
        "<reasoning>a<answer>3</answer></reasoning><answer>4</answer>",
        "<reasoning>a<answer>4</reasoning></answer>",
        "<answer>4</answer><reasoning>a</reasoning>",
        "<reasoning>a</reasoning><answer>4",
        "<reasoning>a<answer>4</answer>",
        "<think><reasoning>a</reasoning><answer>4</answer>",
        "<reasoning><think>a</think></reasoning><answer>4</answer>",
    ],
)
def test_written_answer_that_is_not_exactly_one_trace_and_one_answer_is_malformed(content):
    assert read_choice(choice(content), "written").problem == "malformed"


@pytest.mark.parametrize("finish_reason", ["stop", "end_turn", "STOP", "eos_token", None])
def test_a_whole_answer_is_kept_by_whatever_word_it_ended(finish_reason):
    whole = choice("4", finish_reason, reasoning_content="Two and two.")
    assert read_choice(whole, "native") == ("Two and two.", "4", None)


def test_a_choice_that_an_error_ended_is_no_answer_whatever_it_says_of_its_end():
    for finish_reason in ("error", "stop", None):
        half = choice("It is sev", finish_reason, reasoning="I look") | {"error": {"code": 502}}
        assert read_choice(half, "native").problem == "failed"


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize(
    ("finish_reason", "problem"),
    [
        ("length", "truncated"),
        ("MAX_TOKENS", "truncated"),
        ("content_filter", "filtered"),
        ("SAFETY", "filtered"),
        ("error", "failed"),
        ("abort", "failed"),
        ("a word that is new", "failed"),
    ],
)
def test_cut_short_wins_over_every_other_problem(trace, finish_reason, problem):
    for content in ("<think>Count", "", None, "<reasoning>a</reasoning><answer>4</answer>"):
        assert read_choice(choice(content, finish_reason), trace).problem == problem


def test_truncated_answer_keeps_what_could_be_read():
    assert read_choice(choice(None, "length", reasoning="Count"), "native") == ("Count", None, "truncated")


def test_blank_written_part_is_empty():
    assert read_choice(choice("<reasoning> </reasoning><answer>4</answer>"), "written") == (None, "4", "empty")
    assert read_choice(choice(None, reasoning_content="plan"), "written").problem == "empty"


def test_unknown_trace_names_the_nearest():
    with pytest.raises(UserError, match="did you mean native"):
        read_choice(choice("4"), "nativ")


TAGS = ["<think>", "</think>", "<reasoning>", "</reasoning>", "<answer>", "</answer>"]
soup = st.lists(st.sampled_from([*TAGS, "a", " ", "\n", "<", ">", "</", "<think", "é", "\ud800"])).map("".join)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | soup,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(soup | st.sampled_from(["text"]), inner, max_size=3),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {}, optional={"content": soup | anything, "reasoning_content": soup | anything, "reasoning": anything}
)
choices = st.fixed_dictionaries(
    {}, optional={"message": fields | anything, "finish_reason": st.sampled_from(["stop", "length"]) | anything}
)


def assert_whole_or_problem(parsed: Parsed):
    for text in (parsed.reasoning, parsed.answer):
        assert text is None or (text and text == text.strip())
        assert text is None or text.encode()
    if parsed.problem is None:
        assert parsed.reasoning
        assert parsed.answer
    else:
        assert parsed.problem in {"truncated", "filtered", "failed", "malformed", "control_tokens", "empty", "no_trace"}


@settings(max_examples=300, deadline=None)
@given(choices, st.sampled_from(TRACES))
def test_any_choice_ends_as_a_whole_pair_or_as_one_problem(sent, trace):
    assert_whole_or_problem(read_choice(sent, trace))


@settings(max_examples=300, deadline=None)
@given(soup, soup)
@example(reasoning="<think>a", answer="a")  # a prompt that ends in the tag, and a model that writes it as well
def test_a_pair_is_never_read_with_a_stray_tag_in_it(reasoning, answer):
    written = read_choice(choice(f"<reasoning>{reasoning}</reasoning><answer>{answer}</answer>"), "written")
    if written.problem is None:
        assert not any(tag in text for tag in TAGS[2:] for text in written[:2])
    native = read_choice(choice(f"<think>{reasoning}</think>{answer}"), "native")
    if native.problem is None and not any(tag in reasoning + answer for tag in TAGS):
        assert native[:2] == (reasoning.strip(), answer.strip())
    if native.problem is None:
        assert not any(tag in text for tag in TAGS[:2] for text in native[:2])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TRACES), choices.map(json.dumps) | st.text() | st.none()), max_size=5))
def test_the_step_judges_every_row_and_can_be_carried_out(pairs):
    traces, raw = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    columns = {"trace": traces, "choice": raw, "finish_reason": [None] * len(raw)}
    rows = pl.DataFrame(columns, schema={"trace": pl.String, "choice": pl.String, "finish_reason": pl.String})
    judged = judge(Parse(), rows, Parse()(rows, Context()))
    assert judged.kept.height + judged.rejected.height == rows.height
    assert judged.kept.select(pl.col("reasoning", "answer").is_null().any()).row(0) in {(False, False), (None, None)}


def test_the_step_shows_why_a_row_was_rejected():
    leaked = f"{'y' * 300}<|im_end|>And next?"
    sent = [choice("<think>a</think>4"), choice("x" * 500, "length"), choice("4", None)]
    sent.append(choice(leaked, reasoning_content="a"))
    rows = pl.DataFrame(
        {
            "trace": ["native"] * 6,
            "choice": [*map(json.dumps, sent), "{broken", "[" * 200_000],
            "finish_reason": ["stop", "length", "content_filter", "stop", None, None],
        }
    )
    judged = judge(Parse(), rows, Parse()(rows, Context()))
    assert judged.kept.select("reasoning", "answer").rows() == [("a", "4")]
    reasons = ["truncated", "filtered", "control_tokens", "malformed", "malformed"]
    assert judged.rejected["reason"].to_list() == reasons
    evidence = [json.loads(text) for text in judged.rejected["evidence"]]
    assert evidence[0] == {"finish_reason": "length", "characters": 500, "text": "x" * 200}
    assert evidence[1]["finish_reason"] == "content_filter"
    assert evidence[2]["text"] == f"{'y' * 190}<|im_end|>"  # where the answer should have ended
    assert evidence[3]["text"] == "{broken"


def test_an_empty_table_stays_a_table():
    rows = pl.DataFrame(schema={"trace": pl.String, "choice": pl.String, "finish_reason": pl.String})
    assert judge(Parse(), rows, Parse()(rows, Context())).kept.columns[-2:] == ["reasoning", "answer"]


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize(
    "piece", ["<", "<think>", "<think></think>", "<reasoning>", "</answer>", " ", "<reasoning>\n<"]
)
def test_hostile_length_does_not_hang(trace, piece):
    read_choice(choice(piece * (500_000 // len(piece))), trace)  # quadratic time would be hours here


LOOP = "And so it goes on and on, my friend. " * 9


@pytest.mark.parametrize(("reasoning", "answer"), [(f"First. {LOOP}At last: 4.", "4"), ("Count on.", f"4. {LOOP}")])
def test_a_repetition_loop_in_trace_or_answer_is_rejected_unless_told_otherwise(reasoning: str, answer: str):
    sent = choice(f"<reasoning>{reasoning}</reasoning><answer>{answer}</answer>")
    rows = pl.DataFrame({"trace": ["written"], "choice": [json.dumps(sent)], "finish_reason": ["stop"]})
    judged = judge(Parse(), rows, Parse()(rows, Context()))
    assert judged.rejected["reason"].to_list() == ["looping"]
    evidence = json.loads(judged.rejected["evidence"][0])
    assert evidence["where"] == ("answer" if answer != "4" else "reasoning")
    assert (evidence["times"], len(evidence["text"])) == (9, 37)
    assert Parse(reject_looping=False)(rows, Context()).keep.to_list() == [True]


def test_a_loop_that_the_limit_cut_off_is_truncated():
    sent = choice(f"<reasoning>{LOOP}", "length")
    rows = pl.DataFrame({"trace": ["written"], "choice": [json.dumps(sent)], "finish_reason": ["length"]})
    assert Parse()(rows, Context()).reason.to_list() == ["truncated"]  # type: ignore[union-attr]
