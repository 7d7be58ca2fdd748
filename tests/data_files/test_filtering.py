"""Files out of which rows are left: what is kept is as it stood, and what is not is listed with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds import QUIET
from tests.commands import Command
from tests.steps.test_decontaminate import EDITED, LONG, MIDDLE, UNRELATED
from tunixhack.data_files import reading
from tunixhack.data_files.dedup import dedup_file
from tunixhack.steps.exact_dedup import normalise


def write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def chat(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "So."}]}


def test_equal_questions_go_and_the_lines_of_the_others_stay_as_they_are(tunixhack: Command, tmp_path: Path):
    odd = '{"question":"Why?",   "id": 1.0}'
    rows = [odd, {"question": "How?"}, "{broken", {"question": "  why? "}, {"other": 7}, {"question": "How?", "n": 2}]
    file = write(tmp_path / "train.jsonl", rows)
    done = tunixhack("dedup", file, "--json")
    assert done.code == 0, done.err
    assert (done.json["rows"], done.json["kept"], done.json["removed"]) == (5, 3, 2)
    assert (done.json["without_question"], done.json["unreadable"]) == (1, 1)
    assert "line 3" in done.json["unreadable_why"][0]
    assert (tmp_path / "train.dedup.jsonl").read_text().splitlines()[0] == odd
    assert [(one["row"], one["reason"], one["evidence"]) for one in read(tmp_path / "train.dedup-removed.jsonl")] == [
        (3, "duplicate_question", {"kept": 0}),
        (5, "duplicate_question", {"kept": 1}),
    ]
    again = tunixhack("dedup", file)
    assert (again.code, "is there already, and is not replaced: delete it, or" in again.err) == (2, True)
    assert "--replace" not in again.err, "which this verb does not have"


def test_nearly_equal_questions_go_where_it_is_asked_for(tunixhack: Command, tmp_path: Path):
    near = LONG.replace("barn", "bran")
    file = write(tmp_path / "chats.jsonl", [chat(LONG), chat(MIDDLE), chat(near), chat(LONG)])
    assert tunixhack("dedup", file, "--out", tmp_path / "exact.jsonl", "--json").json["removed"] == 1
    done = tunixhack("dedup", file, "--fuzzy", "--out", tmp_path / "fuzzy.jsonl")
    assert "near_duplicate" in done.out
    assert read(tmp_path / "fuzzy.jsonl") == [chat(LONG), chat(MIDDLE)]
    (equal,) = [one for one in read(tmp_path / "fuzzy.dedup-removed.jsonl") if one["reason"] == "near_duplicate"]
    assert (equal["row"], equal["evidence"]["kept"], equal["content"]) == (2, 0, chat(near))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_benchmark_questions_go_out_of_files_of_all_kinds(ending: str, tunixhack: Command, tmp_path: Path):
    benchmark = write(tmp_path / "tests.jsonl", [{"question": LONG}, {"question": MIDDLE}])
    table = pl.DataFrame({"id": range(4), "task": [EDITED[LONG], UNRELATED[0], None, MIDDLE]})
    file = tmp_path / f"train.{ending}"
    getattr(table, {"csv": "write_csv", "parquet": "write_parquet", "jsonl": "write_ndjson"}[ending])(file)
    unknown = tunixhack("decontaminate", file, "--against", benchmark)
    assert (unknown.code, "name the one with the questions by --column" in unknown.err) == (2, True)
    done = tunixhack("decontaminate", file, "--against", benchmark, "--column", "task", "--json")
    assert done.code == 0, done.err
    kept = Path(done.json["kept_file"])
    assert kept.name == f"train.decontaminated.{'jsonl' if ending == 'csv' else ending}"
    found = pl.read_parquet(kept) if ending == "parquet" else pl.read_ndjson(kept)
    assert [str(one) for one in found["id"]] == ["1", "2"]
    evidence = [(one["row"], one["evidence"]["row"], one["evidence"]["rule"]) for one in read(
        Path(done.json["removed_file"]))]  # fmt: skip
    assert evidence == [(0, 0, "similar"), (3, 1, "exact")]
    assert done.json["note"] == "compared with 2 of tests.jsonl"


@pytest.mark.parametrize(("against", "says"), [("default", "of no domain"), ("none", "nothing"), ("gsm8", "gsm8k")])
def test_a_file_has_no_benchmarks_of_its_own(against: str, says: str, tunixhack: Command, tmp_path: Path):
    done = tunixhack("decontaminate", write(tmp_path / "t.jsonl", [{"question": "Why?"}]), "--against", against)
    assert (done.code, says in done.err) == (2, True)


@given(st.lists(st.sampled_from(["a", "A ", "b", "ä", "a\u0308", "", "c d", "c  d"]), max_size=30))
def test_what_stays_is_the_first_of_each_in_any_number_of_batches(tmp_path_factory: Any, texts: list[str]):
    folder = tmp_path_factory.mktemp("dedup")
    file = write(folder / "t.jsonl", [{"question": "first of all"}, *({"question": text} for text in texts)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BATCH_ROWS", 3)
        found = dedup_file(file, report=QUIET)
    seen: dict[str, str] = {}
    for text, key in zip(texts, normalise(pl.Series(texts, dtype=pl.String)), strict=True):
        if text:
            seen.setdefault(key, text)
    left = [row["question"] for row in read(folder / "t.dedup.jsonl")][1:]
    assert [text for text in left if text] == list(seen.values())
    assert found.kept + found.removed == found.rows == len(texts) + 1
