"""Every format can be read back, or refuses."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixhack.errors import UserError
from tunixhack.formats import FORMATS, HACKATHON, OPENTHOUGHTS_SYSTEM, Example, export, user_message

TAGS = sorted({tag for format in FORMATS.values() for tag in format.tags})
STRADDLING = [tag[:cut] for tag in TAGS for cut in (1, len(tag) - 1)] + [tag[1:] for tag in TAGS]
tagged = st.lists(st.sampled_from([*TAGS, *STRADDLING, "a", "\n", "\n\n", " ", "\r"])).map("".join)
texts = st.text() | tagged


def table(pairs, question="2 + 2?", context=None):
    schema = dict.fromkeys(("question", "context", "reasoning", "answer"), pl.String)
    return pl.DataFrame([(question, context, *pair) for pair in pairs], schema=schema, orient="row")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), texts, texts, texts, st.none() | texts)
def test_round_trip_gives_the_same_pair_or_the_row_is_rejected(name, reasoning, answer, question, context):
    written, rejected = export(table([(reasoning, answer)], question, context), name)
    assert len(written) + rejected.height == 1
    if written:
        stored = json.loads(json.dumps(written[0]))
        assert FORMATS[name].read(stored) == (user_message(question, context), reasoning, answer)
    else:
        assert rejected["reason"].to_list() == ["tag_in_text"]
        evidence = json.loads(rejected["evidence"][0])
        assert evidence["tag"] in {"reasoning": reasoning, "answer": answer}[evidence["column"]]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("pair", [("a < b", "x</i>"), ("\n a\n\n", "\n\nb\n"), ("", ""), ("<think", "</answer")])
def test_text_without_tags_is_never_rejected(name, pair):
    assert export(table([pair]), name).rejected.is_empty()


def test_only_the_formats_own_tags_are_refused():
    rows = table([("use <think>", "4"), ("a", "</answer>"), ("a", "b")])
    assert len(export(rows, "messages").rows) == 3
    assert export(rows, "think").rejected["reasoning"].to_list() == ["use <think>"]
    assert export(rows, "hackathon").rejected["answer"].to_list() == ["</answer>"]


def test_formats_are_what_other_tools_read():
    rows = table([("r", "a")], "q")
    users = [{"role": "user", "content": "q"}, {"from": "human", "value": "q"}, {"from": "user", "value": "q"}]
    assert [export(rows, name).rows[0] for name in FORMATS] == [
        {"messages": [users[0], {"role": "assistant", "reasoning_content": "r", "content": "a"}]},
        {"messages": [users[0], {"role": "assistant", "content": "<think>\nr\n</think>\n\na"}]},
        {"conversations": [users[1], {"from": "gpt", "value": "<think>\nr\n</think>\n\na"}]},
        {
            "system": OPENTHOUGHTS_SYSTEM,
            "conversations": [
                users[2],
                {
                    "from": "assistant",
                    "value": "<|begin_of_thought|>\n\nr\n\n<|end_of_thought|>\n\n"
                    "<|begin_of_solution|>\n\na\n\n<|end_of_solution|>",
                },
            ],
        },
        {
            "messages": [
                users[0],
                {"role": "assistant", "content": "<reasoning>r</reasoning>\n<answer>a</answer>"},
            ]
        },
    ]


def test_others_rows_with_less_whitespace_can_be_read():
    turns = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "<think>r</think>a"}]
    assert FORMATS["sharegpt"].read({"conversations": turns}) == Example("q", "r", "a")
    assert HACKATHON.read(" <reasoning>r</reasoning><answer>a</answer>\n") == ("r", "a")


def test_a_null_that_arrow_adds_to_the_user_turn_does_not_matter():
    row = pl.DataFrame(export(table([("r", "a")], "q"), "messages").rows).row(0, named=True)
    assert "reasoning_content" in row["messages"][0]
    assert FORMATS["messages"].read(row) == Example("q", "r", "a")


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "<reasoning>r</reasoning>a",
        "<reasoning>r</reasoning> so <answer>a</answer>",
        "<reasoning>r</reasoning><answer>a</answer> bye",
        "hi <reasoning>r</reasoning><answer>a</answer>",
        "<reasoning>r<reasoning></reasoning><answer>a</answer>",
        "<answer>a</answer><reasoning>r</reasoning>",
        "<reasoning>r</reasoning><answer>a<answer></answer>",
    ],
)
def test_text_that_could_be_taken_apart_in_two_ways_is_not_read(text):
    assert HACKATHON.read(text) is None


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"messages": "hello"},
        {"messages": [{"role": "user", "content": "q"}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "no tags"}]},
    ],
)
@pytest.mark.parametrize("name", FORMATS)
def test_a_row_of_another_format_is_one_sentence(name, row):
    with pytest.raises(UserError):
        FORMATS[name].read(row)


def test_unknown_format_names_the_nearest():
    with pytest.raises(UserError, match="did you mean sharegpt"):
        export(table([]), "shargpt")


def test_missing_and_null_texts_are_one_sentence():
    with pytest.raises(UserError, match="no column context"):
        export(table([("r", "a")]).drop("context"), "think")
    with pytest.raises(UserError, match=r"row 1 .* no answer"):
        export(table([("r", "a"), ("r", None)]), "think")


@pytest.mark.parametrize("context", [None, "", " \n"])
def test_without_context_the_question_is_the_message(context):
    assert user_message("q", context) == "q"


def test_order_of_rows_is_kept():
    rows = table([(str(i), "<think>" if i % 3 == 0 else "a") for i in range(20)])
    written, rejected = export(rows, "think")
    assert [FORMATS["think"].read(row).reasoning for row in written] == [str(i) for i in range(20) if i % 3]
    assert rejected.height == 7
    assert rejected["step"].unique().to_list() == ["export"]
