"""One trace and one answer, whatever form they come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.formats import FORMATS, Example
from tunixhack.replies.reply import read_message, shows_thinking

Form = Callable[[str, str], dict[str, Any]]


def content(template: str) -> Form:
    """A form in which both stand in the content: R and A are where."""
    before, _, rest = template.partition("«R»")
    between, _, behind = rest.partition("«A»")
    return lambda reasoning, answer: {"content": f"{before}{reasoning}{between}{answer}{behind}"}


def apart(name: str) -> Form:
    return lambda reasoning, answer: {"content": answer, name: reasoning}


FORMS: dict[str, Form] = {
    **{
        template: content(template)
        for template in (
            "<think>«R»</think>«A»",
            "<think>\n«R»\n</think>\n\n«A»",
            "«R»\n</think>\n\n«A»",
            "<think>\n«R»\n</think>\n\n<answer>\n«A»\n</answer>",
            "<think>\n\n</think>\n\n<think>«R»</think>«A»",
            "<think>\n<think>\n«R»\n</think>\n\n«A»",
            "</think><think>«R»</think>«A»",
            "<thinking>«R»</thinking>«A»",
            "<thought>\n«R»\n</thought>\n«A»",
            "<thoughts>«R»</thoughts>«A»",
            "<reasoning>«R»</reasoning>«A»",
            "<reasoning>«R»</reasoning>\n<answer>«A»</answer>",
            "<Think>«R»</Think><Answer>«A»</Answer>",
            "<analysis>«R»</analysis>«A»",
            "<scratchpad>«R»</scratchpad>«A»",
            "<think>«R»</think><response>«A»</response>",
            "<seed:think>«R»</seed:think>«A»",
            "<mm:think>«R»</mm:think>«A»",
            "[THINK]«R»[/THINK]«A»",
            "◁think▷«R»◁/think▷«A»",
            "<|begin_of_thought|>\n\n«R»\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n«A»\n\n<|end_of_solution|>",
            "<|START_THINKING|>«R»<|END_THINKING|><|START_RESPONSE|>«A»<|END_RESPONSE|>",
            "<|START_THINKING|>«R»<|END_THINKING|><|START_TEXT|>«A»",
            "<|inner_prefix|>«R»<|inner_suffix|>«A»",
            "<|channel>thought\n«R»<channel|>«A»<turn|>",
            "<unused94>thought\n«R»<unused95>«A»",
            "<|open|>think<|sep|>«R»<|close|>think<|sep|><|open|>response<|sep|>«A»<|close|>response<|sep|>",
            "<|message_model|><|content_thinking|>«R»<|end_message|><|message_model|><|content_text|>«A»<|end_message|>",
            "<|think|>«R»<|end|><|begin|>assistant<|content|>«A»<|end|>",
            "Here is my thought process:\n«R»\nHere is my response:\n«A»",
            "Here are my reasoning steps:\n«R»\n[BEGIN FINAL RESPONSE]\n«A»\n[END FINAL RESPONSE]\n<|end|>",
            "<|channel|>analysis<|message|>«R»<|end|><|start|>assistant<|channel|>final<|message|>«A»",
            "<|start|>assistant<|channel|>analysis<|message|>«R»<|end|><|start|>assistant<|channel|>commentary<|message|>"
            "One moment.<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>«A»<|return|>",
            "analysis<|message|>«R»<|end|><|start|>assistant<|channel|>final<|message|>«A»<|return|>",
            "analysis«R»assistantfinal«A»",
            "```xml\n<think>«R»</think>\n<answer>«A»</answer>\n```",
            "~~~\n<reasoning>«R»</reasoning>\n<answer>«A»</answer>\n~~~",
            "\ufeff<think>«R»</think>«A»\u200b",
            "<|im_start|>assistant\n<think>«R»</think>«A»<|im_end|>\n",
            "<think>«R»</think>«A»</s>",
            "<think>my plan</think>\n<reasoning>«R»</reasoning>\n<answer>«A»</answer><|eot_id|>",
        )
    },
    **{name: apart(name) for name in ("reasoning_content", "reasoning", "thinking")},
    "parts": lambda r, a: {"content": [{"type": "thinking", "thinking": r}, {"type": "text", "text": a}]},
    "list": lambda r, a: {"content": a, "reasoning": [{"type": "text", "text": r}]},
    "details": lambda r, a: {"content": a, "reasoning_details": [{"type": "reasoning.text", "text": r}]},
    "twice": lambda r, a: {"content": f"<think>{r}</think>{a}", "reasoning_content": f"{r}\n"},
    "tags in its field": lambda r, a: {"content": a, "reasoning_content": f"<think>\n{r}\n</think>"},
    "half its tags in its field": lambda r, a: {"content": a, "reasoning_content": f"{r}</think>"},
    "all in the field": lambda r, a: {"content": None, "reasoning_content": f"<think>{r}</think>{a}"},
    "answer tags apart": lambda r, a: {"content": f"<answer>{a}</answer><|im_end|>", "reasoning": r},
}

WRITTEN = "<reasoning>{}</reasoning>\n<answer>{}</answer>"
WRITTEN_FORMS: dict[str, Form] = {
    template: content(template.replace("W", WRITTEN.format("«R»", "«A»")))
    for template in (
        "W",
        "<think>my plan</think>W",
        "<think>\n\n</think>\n\n<think>\n</think>\n\nW",
        "use <reasoning> tags</think>W",
        "[THINK]my plan[/THINK]\nW",
        "<|channel|>analysis<|message|>my plan<|end|><|start|>assistant<|channel|>final<|message|>W<|return|>",
        "```xml\nW\n```",
        "<think>my plan</think>\n```\nW\n```",
        "W<|im_end|>",
        "W<end_of_turn>\n<eos>",
        "\ufeffW",
        "<|im_start|>assistant\nW",
    )
}
WRITTEN_FORMS |= {
    "in the other field": lambda r, a: {"content": None, "reasoning_content": WRITTEN.format(r, a)},
    "beside thinking": lambda r, a: {"content": WRITTEN.format(r, a), "reasoning_content": "my plan"},
}
ASKED_FOR: dict[str, Form] = {
    "behind a plan": lambda r, a: {"content": "", "reasoning": f"I use <reasoning> tags.\n{WRITTEN.format(r, a)}"},
    "in a fence behind a plan": lambda r, a: {"content": "", "reasoning": f"Plan.\n```\n{WRITTEN.format(r, a)}\n```"},
    "in both": lambda r, a: {"content": f"<answer>{a}</answer>", "reasoning_content": f"<reasoning>{r}</reasoning>"},
}
"""Only where a written pair was asked for, all before it is thinking."""

# whatever is neither a mark nor a token nor quotes one; the first letter keeps a text from being part of either
plain = st.text(alphabet=st.sampled_from("ab 4.,é\n+=$\\{}#*-'`<>|"), min_size=1, max_size=40).map(
    lambda text: f"x{text.strip()}"
)


@pytest.mark.parametrize("form", FORMS)
def test_trace_and_answer_are_read_in_every_form(form):
    for reasoning, answer in (
        ("Count on.", "4"),
        ("First `a`, then\n\n```\nb < c\n```\nso.", "It is 4.\n\nSee **b**."),
    ):
        assert read_message(FORMS[form](reasoning, answer))[:3] == (reasoning, answer, None)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FORMS)), plain, plain)
def test_any_trace_and_answer_are_read_back_in_every_form(form, reasoning, answer):
    for message in (FORMS[form](reasoning, answer), {"reasoning_content": reasoning, "content": answer}):
        assert read_message(message)[:3] == (reasoning, answer, None)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WRITTEN_FORMS | ASKED_FOR)), plain, plain)
def test_a_written_pair_is_read_back_wherever_it_stands_and_thinking_is_thrown_away(form, reasoning, answer):
    make = (WRITTEN_FORMS | ASKED_FOR)[form]
    for written in (True, False):
        if written or form in WRITTEN_FORMS:
            assert read_message(make(reasoning, answer), written=written)[:3] == (reasoning, answer, None)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(set(FORMATS))), plain, plain)
def test_what_is_exported_is_read_back(name, reasoning, answer):
    row = FORMATS[name].write(Example("q", reasoning, answer))
    turn = (row.get("messages") or row["conversations"])[1]
    message = {"content": turn.get("value", turn.get("content")), **turn}
    assert read_message(message)[:3] == (reasoning, answer, None)


@pytest.mark.parametrize("form", [*FORMS, *WRITTEN_FORMS, *ASKED_FOR])
def test_an_invented_next_turn_is_no_answer_in_any_form(form):
    make = (FORMS | WRITTEN_FORMS | ASKED_FOR)[form]
    for leak in ("<|im_end|>\n<|im_start|>user\nAnd next?", "</s><s>[INST] And next? [/INST]", "<|eot_id|>And next?"):
        message = make("Count on.", f"4{leak}")
        if form not in ASKED_FOR:
            assert read_message(message).problem == "control_tokens"
        if form not in FORMS:
            assert read_message(message, written=True).problem == "control_tokens"


def test_a_next_turn_behind_the_tags_has_the_same_reason():
    for whole in (WRITTEN.format("r", "4"), "<think>r</think><answer>4</answer>"):
        leaked = {"content": f"{whole}<|im_end|>\n<|im_start|>user\n{whole}<|im_end|>"}
        assert read_message(leaked).problem == "control_tokens"
    assert (
        read_message({"content": f"{WRITTEN.format('r', '4')}</s>[INST] x"}, written=True).problem == "control_tokens"
    )
    harmony = "<|channel|>analysis<|message|>r<|end|><|start|>assistant<|channel|>final<|message|>4<|end|><|start|>user"
    assert read_message({"content": f"{harmony}<|message|>And next?"}).problem == "control_tokens"


def test_a_trace_that_the_answer_begins_with_is_learnt_once():
    trace, answer = "First I count on.\n\nThen I add.", "It is 4."
    assert read_message({"content": f"{trace}\n\n{answer}", "reasoning_content": trace})[:3] == (trace, answer, None)
    said = "It is 4. It is not 5."
    assert read_message({"content": said, "reasoning": "It is 4."}).answer == said  # the same sentence


@pytest.mark.parametrize(
    "said",
    [
        "In R1's format a trace ends with `</think>`. So it is.",
        'A trace ends with "</think>", as they say.',
        "```\n<think>…</think>\n<answer>…</answer>\n```\nis the format.",
        "Use `<answer>` tags.",
    ],
)
def test_marks_that_an_answer_quotes_are_no_marks(said):
    assert read_message({"content": said, "reasoning_content": "Hm."})[:3] == ("Hm.", said, None)
    assert read_message({"content": f"<think>Hm.</think>{said}"})[:3] == ("Hm.", said, None)
    assert read_message({"content": said}).problem == "no_trace"


def test_answer_tags_within_a_text_are_taken_off_and_stray_ones_are_malformed():
    for said, answer in (("So: <answer>4</answer>.", "So: 4."), ("<answer>4</answer>\nBye.", "4\nBye.")):
        assert read_message({"content": f"<think>r</think>{said}"})[:3] == ("r", answer, None)
    for said in (
        "<answer>4",
        "4</answer>",
        "<answer>3</answer><answer>4</answer>",
        "<answer><answer>4</answer></answer>",
    ):
        assert read_message({"content": f"<think>r</think>{said}"}).problem == "malformed"


@pytest.mark.parametrize(
    "message",
    [
        {"content": "<think>Count</think>4", "reasoning_content": "Another thought."},
        {"content": "Sure! <thought>Count</thought> 4"},
        {"content": "Sure! [THINK]Count[/THINK] 4"},
        {"content": "[THINK]Count on"},
        {"content": "<|begin_of_thought|>a<|end_of_thought|>b<|begin_of_solution|>c<|end_of_solution|>"},
        {"content": "<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>cut"},
        {"content": "[THINK]a[/THINK]b[/THINK]c"},
        {"content": "<think>a</think>see <reasoning>b</reasoning>"},
    ],
)
def test_what_nobody_can_tell_apart_is_malformed(message):
    assert read_message(message).problem == "malformed"


def test_tags_of_ordinary_text_are_left_where_a_trace_is_known():
    said = "<analysis>It rains.</analysis> <output>wet</output> </thought>"
    assert read_message({"content": said, "reasoning": "r"})[:3] == ("r", said, None)


@pytest.mark.parametrize(
    ("message", "shows"),
    [
        ({"content": "<think>Count on and on"}, True),
        ({"content": "[THINK]Count"}, True),
        ({"content": "<|channel|>analysis<|message|>Count"}, True),
        ({"content": "Sure! <think>Count</think> 4"}, True),
        ({"content": [{"type": "thinking", "thinking": "Count"}]}, True),
        ({"content": "Count</think>"}, True),
        ({"content": "4"}, False),
        ({"content": "The mark is `<think>`."}, False),
        ({"content": None}, False),
        ({}, False),
    ],
)
def test_thinking_is_seen_though_no_answer_follows(message, shows):
    assert shows_thinking(message) is shows


SOUP = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<reasoning>",
    "[/THINK]",
    "<|im_end|>",
    "<|channel|>final<|message|>",
]
SOUP += [
    "<|channel|>analysis<|message|>",
    "<|end|>",
    "```",
    "`",
    "\n",
    "a",
    "assistantfinal",
    "analysis",
    "<|START_TEXT|>",
]


def soup(most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(SOUP), max_size=most).map("".join)


@settings(max_examples=500, deadline=None)
@given(soup(12), soup(3), st.booleans())
def test_no_soup_of_marks_makes_it_fail(said, thinking, written):
    message = {"content": said, "reasoning": thinking}
    reply = read_message(message, written=written)
    assert shows_thinking(message) in (True, False)
    for text in reply[:2]:
        assert text is None or (text and text == text.strip())
    assert (reply.problem is None) <= (reply.reasoning is not None and reply.answer is not None)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize(
    "piece", ["<", "<think></think>", "<answer>", "[THINK]", "<|channel|>final<|message|>x", "`<think>` "]
)
def test_hostile_length_does_not_hang(piece, written):
    text = piece * (500_000 // len(piece))
    read_message({"content": text, "reasoning": text}, written=written)  # quadratic time would be hours here
