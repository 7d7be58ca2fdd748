"""What is read from whom, and what is left out and why."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import build
from tests.hub import Hub
from tunixhack._util.ids import question_id
from tunixhack.errors import UserError
from tunixhack.formats import FORMATS
from tunixhack.formats import Example as Pair
from tunixhack.runs.run import Run
from tunixhack.train.data.datasets import Dataset, read, read_all, split_weight
from tunixhack.train.data.rows import REASONS, TrainingExample

ROOT = Path(__file__).resolve().parents[3]
TAGGED = "<reasoning>r</reasoning><answer>a</answer>"


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run_folder(folder: Path, rows: pl.DataFrame, **state: Any) -> Path:
    folder.mkdir()
    rows.write_parquet(folder / "train.parquet")
    state = {"domain": "d", "source": {}, "state": "done", "funnel": [], "command": "tunixhack build d"} | state
    (folder / "run.json").write_text(json.dumps(state))
    return folder


def texts(dataset: Dataset) -> list[tuple[str | None, str, str, str]]:
    return [(one.system, one.question, one.reasoning, one.answer) for one in dataset.examples]


def left_out(dataset: Dataset) -> dict[str, tuple[int, int]]:
    return {one.reason: (one.rows, one.first) for one in dataset.left_out}


def test_a_run_is_read_as_it_was_built(recipe, teacher, tmp_path):
    run = build(recipe, teacher, tmp_path / "run")
    for place in (run, run.folder, str(run.folder)):
        dataset = read(place)
        assert [one.question_id for one in dataset.examples] == run.train["question_id"].to_list()
        assert [one.answer for one in dataset.examples] == run.train["answer"].to_list()
        assert {one.domain for one in dataset.examples} == {"creative"}
        assert (dataset.left_out, dataset.notes) == ((), ())
        assert dataset.name == str(run.folder)


def test_a_question_comes_with_its_context(tmp_path):
    row = {"question": "Shorten this.", "context": "It rained.", "reasoning": " r ", "answer": "a\n", "domain": "d"}
    (one,) = read(jsonl(tmp_path / "x.jsonl", row)).examples
    assert one == TrainingExample(
        question_id("d", "Shorten this.", "It rained."), "d", None, "Shorten this.\n\nIt rained.", "r", "a"
    )
    assert one.messages() == [{"role": "user", "content": "Shorten this.\n\nIt rained."}]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "json"])
def test_every_format_that_is_exported_is_read_back(name, kind, tmp_path):
    pairs = [Pair(f"q{n}", f"r{n}\n\nmore", f"a{n}") for n in range(3)]
    rows = [FORMATS[name].write(pair) for pair in pairs]
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps(rows))
    else:
        jsonl(path, *rows)
    # a system text that asks for OpenThoughts' tags would be wrong before a reply without them
    assert texts(read(path)) == [(None, *pair) for pair in pairs]


def test_columns_that_nobody_reads_are_not_converted(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    far = pa.array([2**60], pa.int64()).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"prompt": ["q"], "response": [TAGGED], "created": far}), tmp_path / "x.parquet")
    assert texts(read(tmp_path / "x.parquet")) == [(None, "q", "r", "a")]


def test_json_lines_are_read_whatever_they_are_called(tmp_path):
    rows = [{"prompt": "q1", "response": TAGGED}, {"prompt": "q2", "response": TAGGED}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("x.json", "x.jsonl", "x.ndjson"):
        (tmp_path / name).write_text(lines)
        dataset = read(tmp_path / name)
        assert [one.question for one in dataset.examples] == ["q1", "q2"]
        assert dataset.examples[0].domain == "x"


def test_columns_of_prompt_and_response_are_read_with_their_category(tmp_path):
    path = tmp_path / "creative_writing.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["prompt", "response", "category"], ["q, 1", TAGGED, "poem"], ["q2", TAGGED + "\n", ""]])
    dataset = read(path)
    assert texts(dataset) == [(None, "q, 1", "r", "a"), (None, "q2", "r", "a")]
    assert [one.domain for one in dataset.examples] == ["poem", "creative_writing"]


def test_system_texts_are_kept_apart(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": TAGGED}]
    (tmp_path / "x.jsonl").touch()
    rows = [
        {"messages": [{"role": "system", "content": "Be brief."}, *turns]},
        {"system": "Be kind.", "messages": turns},
        {"system": "Be fast.", "prompt": "q", "response": TAGGED},
        {"conversations": [{"from": "system", "value": "Be good."}, {"from": "human", "value": "q"},
                           {"from": "gpt", "value": "<think>r</think>a"}]},
    ]  # fmt: skip
    dataset = read(jsonl(tmp_path / "x.jsonl", *rows))
    assert texts(dataset) == [(f"Be {word}.", "q", "r", "a") for word in ("brief", "kind", "fast", "good")]
    assert dataset.examples[0].messages()[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("reply", ["<think>r</think>a", " <think>\nr\n</think>\n\na\n", "r\n</think>a", TAGGED])
def test_replies_of_others_are_taken_apart(reply, tmp_path):
    assert texts(read(jsonl(tmp_path / "x.jsonl", {"prompt": "q", "response": reply}))) == [(None, "q", "r", "a")]


def test_rows_that_cannot_be_learnt_from_are_counted_with_their_reason(tmp_path):
    good = {"prompt": "q", "response": TAGGED}
    user, assistant = {"role": "user", "content": "q"}, {"role": "assistant", "content": TAGGED}
    bad = [
        ("no_trace", {"prompt": "q", "response": "4"}),
        ("no_trace", {"prompt": "q", "response": "<reasoning> </reasoning><answer>a</answer>"}),
        ("no_answer", {"prompt": "q", "response": "<think>r</think>"}),
        ("no_answer", {"prompt": "q", "response": None}),
        ("no_question", {"prompt": " ", "response": TAGGED}),
        ("no_question", {"question": None, "context": "c", "reasoning": "r", "answer": "a"}),
        ("broken_tags", {"prompt": "q", "response": "<reasoning>r</reasoning><answer>a"}),
        ("broken_tags", {"prompt": "q", "response": f"So: {TAGGED}"}),
        ("broken_tags", {"prompt": "q", "response": "<think>r"}),
        ("broken_tags", {"prompt": "q", "response": "<think>r</think></think>a"}),
        ("control_tokens", {"prompt": "q", "response": f"{TAGGED}<|im_end|>\n<|im_start|>user\nAnd next?"}),
        ("turns", {"messages": [user, assistant, user, assistant]}),
        ("turns", {"messages": [user]}),
        ("turns", {"messages": "q"}),
        ("turns", {"messages": [user, {"role": "tool", "content": "x"}, assistant]}),
        ("not_unicode", {"prompt": "\ud800", "response": TAGGED}),
        ("columns", {"text": "q"}),
    ]
    dataset = read(jsonl(tmp_path / "x.jsonl", good, *(row for _, row in bad), good))
    assert len(dataset.examples) == 2
    reasons = [reason for reason, _ in bad]
    assert left_out(dataset) == {reason: (reasons.count(reason), 1 + reasons.index(reason)) for reason in reasons}
    assert set(reasons) == set(REASONS)
    assert "2 rows; 4 left out because the tags around" in dataset.summary()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("<think>r</think>a"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "from", "content", "value", "text"]), inner, max_size=3)
    ),
    max_leaves=8,
)
columns = ["messages", "conversations", "prompt", "response", "question", "reasoning", "answer", "context", "system"]


@given(st.lists(st.dictionaries(st.sampled_from(columns), json_values, max_size=5), max_size=4))
def test_no_row_however_broken_is_more_than_left_out(tmp_path_factory, rows):
    good = {"prompt": "q", "response": TAGGED}
    dataset = read(jsonl(tmp_path_factory.getbasetemp() / "any.jsonl", good, *rows))
    assert len(dataset.examples) + sum(one.rows for one in dataset.left_out) == len(rows) + 1
    for one in dataset.examples:
        assert all(text.strip() for text in (one.question, one.reasoning, one.answer, one.domain))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "is empty"),
        ([{"text": "q", "label": 1}], "has the columns text, label; a student learns from rows with messages"),
        ([{"prompt": "q", "response": "4"}] * 3, "3 left out because there is no trace in it"),
    ],
)
def test_a_dataset_without_any_trace_is_one_sentence(rows, said, tmp_path):
    with pytest.raises(UserError, match=said):
        read(jsonl(tmp_path / "x.jsonl", *rows))


def test_places_that_are_none_are_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.json").write_text('[{"a": 1}, 2]')
    for place, said in [
        (tmp_path / "empty", "is not the folder of a run"),
        (tmp_path / "nothing.jsonl", "there is no file"),
        (tmp_path / "nothing.json", "there is no file"),
        (tmp_path / "x.json", r"item 1 \(from 0\): a JSON object is needed"),
        ("what is this?", "is no source"),
    ]:
        with pytest.raises(UserError, match=said):
            read(place)


def test_runs_without_answers_or_traces_are_one_sentence(tmp_path):
    row = {"question_id": "0" * 16, "question": "q", "context": None, "reasoning": "r", "answer": "a", "domain": "d"}
    table = pl.DataFrame([row])
    for folder, rows, said in [
        ("none", table.clear(), "has no answers to learn from"),
        ("column", table.drop("reasoning"), "has no column reasoning"),
        ("null", table.with_columns(reasoning=pl.lit(None, pl.String)), "there is no trace in it"),
    ]:
        with pytest.raises(UserError, match=said):
            read(run_folder(tmp_path / folder, rows))
    unbuilt = run_folder(tmp_path / "unbuilt", table, state="stopped")
    (unbuilt / "train.parquet").unlink()
    with pytest.raises(UserError, match=r"has no train.parquet yet: not finished"):
        read(unbuilt)


def test_what_a_user_should_know_of_a_run_is_noted(tmp_path):
    rows = pl.DataFrame([{"question": "q", "reasoning": "r", "answer": "a"}])
    assert read(run_folder(tmp_path / "good", rows, teachers={"lmstudio/qwen3": {}})).notes == ()
    (note,) = read(run_folder(tmp_path / "local", rows, teachers={"local": {}})).notes
    assert "embedded teacher" in note
    assert str(tmp_path) not in note, "the student's card has it"
    stopped = {"state": "stopped", "why": "http://10.0.0.7/v1 is away", "command": "tunixhack build x --out /home/me"}
    (note,) = read(Run.load(run_folder(tmp_path / "part", rows, **stopped))).notes
    assert note == "part is not finished"


def test_a_published_runs_folder_needs_its_table_alone(tmp_path):
    folder = run_folder(tmp_path / "poems", pl.DataFrame([{"question": "q", "reasoning": "r", "answer": "a"}]))
    (folder / "run.json").unlink()
    assert read(folder).examples[0].domain == "poems"


def test_several_datasets_have_their_weights(tmp_path):
    one, two = (jsonl(tmp_path / f"{name}.jsonl", {"prompt": "q", "response": TAGGED}) for name in ("one", "two"))
    assert [(data.name, data.weight) for data in read_all([f"{one}=0.5", str(two)])] == [(str(one), 0.5), (str(two), 1)]
    assert [data.weight for data in read_all({str(one): 2, str(two): 3.5})] == [2, 3.5]
    assert read_all([read(one), str(two)])[0] == read(one)
    assert [data.weight for data in read_all(str(one))] == [data.weight for data in read_all(one)] == [1]
    with pytest.raises(UserError, match="named twice"):
        read_all([str(one), f"{one}=2"])
    with pytest.raises(UserError, match="no dataset"):
        read_all([])
    for weight in ("0", "-1", "nan", "inf"):
        with pytest.raises(UserError, match="must be above 0"):
            read_all([f"{one}={weight}"])


def test_a_folder_whose_name_ends_like_a_weight_is_that_folder(tmp_path):
    (tmp_path / "lr=2").mkdir()
    assert split_weight(f"{tmp_path}/lr=2") == (f"{tmp_path}/lr=2", 1.0)
    assert split_weight("lr=2") == ("lr", 2.0)


def test_a_dataset_of_the_hub_is_read_by_its_id(tmp_path):
    jsonl((tmp_path / "repo").mkdir() or tmp_path / "repo" / "test.jsonl", {"prompt": "q", "response": TAGGED})
    with Hub({"user/poems": tmp_path / "repo"}) as hub:
        home = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
        }
        code = "from tunixhack.train.data.datasets import read; print(read('user/poems:test').examples[0])"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | home,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "domain='poems', system=None, question='q', reasoning='r', answer='a'" in done.stdout
