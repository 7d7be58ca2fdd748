"""The logs for inspect-ai say what the evaluation kept; benchmarks/inspect_reads.py has them read by inspect-ai."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.builds import QUIET
from tests.commands import Command
from tests.evaluate.conftest import WriteTask, sums
from tunixhack.errors import UserError
from tunixhack.evaluate import evaluate
from tunixhack.evaluate.statistics.intervals import interval
from tunixhack.testing import Faults, ScriptedTeacher

SAID = f"<reasoning>{hostile.ALL}</reasoning>\n<answer>It is 20.</answer>"


@pytest.fixture
def teacher() -> Iterator[ScriptedTeacher]:
    with ScriptedTeacher(answer=lambda messages, seed: SAID, faults=Faults(truncated=0.3, filtered=0.2)) as found:
        yield found


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def test_a_log_has_every_reply_of_a_task_and_arm(teacher: ScriptedTeacher, write_task: WriteTask, tmp_path: Path):
    rows = [row | {"cluster": at // 2} for at, row in enumerate(sums(range(3)))]
    found = evaluate(
        [teacher.url], str(write_task(rows)), samples=2, temperature=1.0, out=tmp_path / "out",
        inspect_logs=tmp_path / "logs", report=QUIET,
    )  # fmt: skip
    (log,) = read(tmp_path / "logs")
    assert (log["version"], log["status"], log["eval"]["task"]) == (2, "success", "sums")
    assert log["eval"]["model"] == f"tunixhack/{teacher.url}"
    assert log["eval"]["config"]["epochs"] == 2
    replies = {(row["question_id"], row["sample"] + 1): row for row in found.replies.iter_rows(named=True)}
    assert len(log["samples"]) == len(replies) == 24
    stops = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
    for sample in log["samples"]:
        kept = replies[sample["id"], sample["epoch"]]
        (choice,) = sample["output"]["choices"]
        assert choice["message"]["content"] == kept["reply"]
        assert choice["stop_reason"] == stops[kept["finish_reason"]]
        assert sample["scores"]["right"]["value"] == kept["right"]
        assert sample["metadata"]["cluster"] == kept["cluster"]
        assert sample["target"] in {str(total) for total in range(20, 26)}
        assert sample["messages"][0]["content"].startswith("What is ")
    means = found.questions
    ours = interval(means["right"].to_numpy(), clusters=means["cluster"].to_list())
    told = {name: metric["value"] for name, metric in log["results"]["scores"][0]["metrics"].items()}
    assert told == pytest.approx({"accuracy": ours.mean, "stderr": ours.error})


def test_logs_are_found_by_their_time_and_replaced_by_later_ones(
    tunixhack: Command, teacher: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    task, logs = write_task(), tmp_path / "logs"
    logs.mkdir()
    (logs / "mine.json").write_text("{}")
    for questions, out in (("4", "one"), ("6", "one"), ("6", "other")):
        arguments = ("--on", task, "--questions", questions, "--out", tmp_path / out, "--inspect-logs", logs)
        assert tunixhack("evaluate", teacher.url, *arguments).code == 0
    names = sorted(path.name for path in logs.iterdir())
    assert names.pop() == "mine.json"
    assert [bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\+00-00_sums_[^_]+_[^_]+\.json", one)) for one in names]
    assert [len(log["samples"]) for log in read(logs) if log] == [6, 6]


def test_a_folder_that_cannot_be_written_is_one_sentence(
    teacher: ScriptedTeacher, write_task: WriteTask, tmp_path: Path
):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(UserError, match="logs"):
        evaluate(
            [teacher.url], str(write_task(sums(range(1)))), out=tmp_path / "out", inspect_logs=tmp_path / "logs",
            report=QUIET,
        )  # fmt: skip
