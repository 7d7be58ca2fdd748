"""Faults that are planted among good rows are found, good rows are left alone, and what can be mended is."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data_files.lint.rows import PLANTED, SHAPES, lines, said, turns
from tests.examples import ONE_FIXTURE
from tunixhack.data_files.lint.asked_checks import contamination, over_long, wrong_language
from tunixhack.data_files.lint.kinds import KINDS, MENDED
from tunixhack.data_files.lint.lint import Report, lint
from tunixhack.data_files.lint.turn_table import turn_table
from tunixhack.replies.reply import read_message

GOOD = [{"messages": turns(number)} for number in range(60)]
ASKED = {"over_long", "contamination", "wrong_language"}


def found(report: Report) -> dict[str, list[int]]:
    return {one.kind.name: one.first for one in report.faults}


def looked_over(path: Path, rows: list, **options) -> Report:
    path.write_bytes(lines(rows))
    return lint(path, quiet=True, **options)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.name not in ASKED])
def test_a_planted_fault_is_found_in_its_row_and_nothing_else(tmp_path: Path, kind: str):
    rows = [*GOOD[:40], PLANTED[kind], *GOOD[40:]]
    report = looked_over(tmp_path / "rows.jsonl", rows)
    assert report.rows == 61
    assert found(report) == {kind: [40]}


@pytest.mark.parametrize("shape", SHAPES)
def test_good_rows_of_every_shape_have_no_fault(tmp_path: Path, shape: str):
    report = looked_over(tmp_path / "rows.jsonl", [SHAPES[shape](number) for number in range(100)])
    assert found(report) == {}
    assert list(report.shapes.values()) == [100]


def test_calls_of_tools_are_in_order(tmp_path: Path):
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    user, assistant = turns(1)
    for said_by_tools in (
        [call],
        [call, {"role": "tool", "content": "4"}],
        [assistant, {"role": "tool", "content": ""}],
    ):
        report = looked_over(tmp_path / "rows.jsonl", [{"messages": [user, *said_by_tools, assistant]}])
        assert found(report) == {}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_what_is_mended_is_found_no_more_and_good_rows_stay_as_they_are(tmp_path: Path, name: str):
    planted = [*GOOD[:30], *PLANTED.values(), *GOOD[30:]]
    report = looked_over(tmp_path / "rows.jsonl", planted, fix=tmp_path / f"clean.{name.rpartition('.')[2]}")
    assert report.fixed is not None
    assert report.fixed.left + report.fixed.changed + report.fixed.dropped == report.rows == 60 + len(PLANTED)
    again = lint(report.fixed.path, quiet=True)
    assert not MENDED.intersection(found(again))
    assert again.rows == report.fixed.left + report.fixed.changed
    if name == "rows.jsonl":
        assert report.fixed.path.read_bytes().startswith(lines(GOOD[:30]))


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("control_tokens", "<think>It has to be so.</think>Because it is."),
        ("tags_twice", "<think>It has to be so.</think>Because it is."),
        ("wrong_encoding", "<think>It has to be so.</think>In the café it’s warm."),
        ("invisible_characters", "<think>It has to be so.</think>It is solid and warm."),
    ],
)
def test_a_text_is_mended(tmp_path: Path, kind: str, answer: str):
    clean = tmp_path / "clean.jsonl"
    looked_over(tmp_path / "rows.jsonl", [PLANTED[kind]], fix=clean)
    assert json.loads(clean.read_text())["messages"][1]["content"] == answer


def test_a_parquet_file_is_mended_in_its_own_types(tmp_path: Path):
    path, clean = tmp_path / "rows.parquet", tmp_path / "clean.parquet"
    rows = [*GOOD[:3], PLANTED["control_tokens"], PLANTED["empty_reply"]]
    table = pl.DataFrame({"messages": [row["messages"] for row in rows], "day": [1, 2, 3, 4, 5]}).with_columns(
        pl.from_epoch("day", time_unit="d").cast(pl.Date)
    )
    table.write_parquet(path)
    report = lint(path, fix=clean, quiet=True)
    fixed = pl.read_parquet(clean)
    assert report.fixed is not None
    assert (report.fixed.left, report.fixed.changed, report.fixed.dropped) == (3, 1, 1)
    assert fixed.schema == table.schema
    assert fixed.head(3).equals(table.head(3))
    assert fixed["messages"][3][1]["content"] == "<think>It has to be so.</think>Because it is."


PIECES = ["<think>", "</think>", "<answer>", "</answer>", "<|im_end|>", "[INST]", "</s>", "```"]
PIECES += ["\u200b", "\x00", "\u00c3\u00a9", "word", " ", "\n"]
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
)
ROWS = st.one_of(
    st.builds(said, TEXTS, TEXTS),
    st.fixed_dictionaries({"question": TEXTS, "answer": TEXTS}, optional={"reasoning": TEXTS, "context": TEXTS}),
    st.fixed_dictionaries({"messages": st.lists(st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "x"]), "content": st.none() | TEXTS}), max_size=4)}),
    st.fixed_dictionaries({"text": TEXTS}),
)  # fmt: skip


@settings(suppress_health_check=ONE_FIXTURE, max_examples=150)
@given(rows=st.lists(ROWS, min_size=1, max_size=5))
def test_mending_twice_is_mending_once_whatever_the_rows(tmp_path: Path, rows: list[dict]):
    once, twice = tmp_path / "once.jsonl", tmp_path / "twice.jsonl"
    looked_over(tmp_path / "rows.jsonl", rows, fix=once, replace=True)
    report = lint(once, fix=twice, replace=True, quiet=True)
    assert not MENDED.intersection(found(report))
    assert once.read_bytes() == twice.read_bytes()


@settings(max_examples=300)
@given(text=TEXTS, thinking=st.just("") | TEXTS)
def test_thought_and_answer_are_those_that_the_reader_of_replies_finds(text: str, thinking: str):
    message = {"role": "assistant", "content": text, "reasoning_content": thinking}
    reply = read_message(message)
    table = turn_table([{"messages": [{"role": "user", "content": "Why?"}, message]}]).turns
    [read] = table.filter(pl.col("speaker") == "assistant").select("thought", "answer").rows()
    if reply.problem in (None, "no_trace", "empty"):
        assert read == (reply.reasoning, reply.answer)


def test_rows_too_long_for_a_student_are_found(tmp_path: Path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    rows = [said("Why so?", "Because."), said("Why?", "word " * 50), said("How?", "So.")]
    report = looked_over(tmp_path / "rows.jsonl", rows, checks=[over_long(str(tmp_path), 40)])
    assert found(report)["over_long"] == [1]


def test_questions_of_a_benchmark_are_found_in_any_shape(tmp_path: Path):
    (tmp_path / "bench.jsonl").write_text(json.dumps({"question": "How many eggs do three ducks lay in a week?"}))
    rows = [*GOOD[:5], said("Say, how many eggs do three ducks lay in a week?", "<think>Three.</think>Nine.")]
    report = looked_over(tmp_path / "rows.jsonl", rows, checks=[contamination((str(tmp_path / "bench.jsonl"),))])
    assert found(report) == {"contamination": [5]}


ANSWERS = {
    "en": "The house is old, and it was built by people that you have not met, in a time of war and of peace for it.",
    "de": "Das Haus ist alt, und es wurde von Leuten gebaut, die man nicht mehr kennt, und ist nicht neu.",
    "fr": "La maison est vieille et elle est dans une rue qui est sur le fleuve, avec des gens que nous avons.",
    "zh": "这座房子很古老是由我们不认识的人建造的" * 5,
}


@pytest.mark.parametrize("language", ANSWERS)
def test_answers_in_another_language_are_found(tmp_path: Path, language: str):
    rows = [said(f"Why {name}?", answer) for name, answer in ANSWERS.items()]
    report = looked_over(tmp_path / "rows.jsonl", rows, checks=[wrong_language(language)])
    assert found(report) == {"wrong_language": [at for at, name in enumerate(ANSWERS) if name != language]}


def test_real_questions_have_no_fault_but_those_seen_by_hand(shared_data: Path):
    for name in ("gsm8k", "Explore_Instruct_Rewriting_10k", "databricks-dolly-15k"):
        assert found(lint(shared_data / name / "train.jsonl", quiet=True)) == {}
    prompts = found(lint(shared_data / "Explore_Instruct_Brainstorming_10k/train.jsonl", quiet=True))
    assert prompts.keys() == {"empty_reply"}  # its outputs are all blank
