"""Logs of an evaluation in the format of inspect-ai, whose viewer and analyses read them; it runs nothing here.

One file a task and arm: every reply with its score, why it ended, and its question. The format is version 2 of
inspect-ai's JSON logs (https://inspect.aisi.org.uk/eval-logs.html). It is written by hand, since inspect-ai cannot be
installed beside Curator.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from tunixhack._util.files import make_folder, write_json
from tunixhack._util.ids import digest
from tunixhack.evaluate.clusters import COLUMN, labels
from tunixhack.evaluate.evaluation import Evaluation
from tunixhack.evaluate.figures import by_question
from tunixhack.evaluate.statistics.intervals import mean_and_error
from tunixhack.formats import user_message

VERSION = 2
"""Of the format."""
SCORE = "right"
"""The name of the score."""
STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter", "tool_calls": "tool_calls"}
"""From a reply's finish_reason to inspect's; any other is unknown."""

Questions = Mapping[str, pl.DataFrame]
"""The questions of each task by its name, in the QUESTION schema."""


def write_logs(folder: Path, found: Evaluation, questions: Questions) -> list[Path]:
    """Write a log for each task and arm that has replies, in place of that of an earlier start.

    Args:
        folder: of the logs; those of other evaluations in it stay.
        found: the evaluation.
        questions: that were asked.

    Returns:
        The files.

    Raises:
        UserError: the folder cannot be written.
    """
    make_folder(folder)
    now, replies, written = datetime.now(UTC), found.replies, []
    for task in found.content["tasks"]:
        asked = {row["question_id"]: row for row in questions[task].iter_rows(named=True)}
        for arm in found.content["arms"]:
            of_arm = replies.filter(pl.col("task") == task, pl.col("arm") == arm["label"])
            if of_arm.is_empty():
                continue
            name = digest(str(found.folder.resolve()), task, arm["label"])[:16]
            # inspect finds logs by the time that their names begin with, and takes what follows apart at each _
            words = "_".join(part.replace("_", "-") for part in (task, arm["folder"], name))
            path = folder / f"{now.strftime('%Y-%m-%dT%H-%M-%S')}+00-00_{words}.json"
            write_json(path, _log(found, task, arm, of_arm, asked) | {"eval": _head(found, task, arm, name, now)})
            for earlier in folder.glob(f"*_{name}.json"):
                if earlier != path:
                    earlier.unlink(missing_ok=True)
            written.append(path)
    return written


def _head(found: Evaluation, task: str, arm: Mapping[str, Any], name: str, now: datetime) -> dict[str, Any]:
    told, order = found.content["tasks"][task], found.content["order"]
    return {
        "eval_id": name,
        "run_id": digest(str(found.folder.resolve()))[:16],
        "created": now.isoformat(timespec="seconds"),
        "task": task,
        "task_id": name,
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "dataset": {"name": told["source"]["path"], "samples": told["asked"], "shuffled": False},
        "model": _model(arm),
        "model_args": {},
        "config": {"epochs": order["samples"], "epochs_reducer": ["mean"]},
        "packages": {"tunixhack": found.content["tunixhack"]},
        "metadata": {"kind": arm["kind"], "scorer": told["scorer"], **{k: order[k] for k in ("temperature", "seed")}},
    }


def _log(
    found: Evaluation, task: str, arm: Mapping[str, Any], replies: pl.DataFrame, asked: Mapping[str, Any]
) -> dict[str, Any]:
    samples = [_sample(row, asked[row["question_id"]], _model(arm)) for row in replies.iter_rows(named=True)]
    means = by_question(replies, found.content["order"]["samples"])
    metrics = {}
    if not means.is_empty():
        mean, error, _ = mean_and_error(means["right"].to_numpy(), clusters=labels(means))
        known = {"accuracy": float(mean)} | ({"stderr": float(error)} if means.height > 1 else {})
        metrics = {name: {"name": name, "value": value, "params": {}} for name, value in known.items()}
    score = {"name": SCORE, "scorer": SCORE, "params": {}, "metrics": metrics}
    total = found.content["tasks"][task]["asked"] * found.content["order"]["samples"]
    return {
        "version": VERSION,
        "status": "success",
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {}},
        "results": {"total_samples": total, "completed_samples": len(samples), "scores": [score]},
        "stats": {"model_usage": {}},
        "samples": samples,
    }


def _sample(reply: Mapping[str, Any], question: Mapping[str, Any], model: str) -> dict[str, Any]:
    user = {"role": "user", "content": user_message(question["question"], question["context"])}
    said = {"role": "assistant", "content": reply["reply"], "source": "generate", "model": model}
    stop = STOPS.get(reply["finish_reason"], "unknown")
    tokens = {} if reply["tokens"] is None else {"usage": {"output_tokens": reply["tokens"]}}
    own = {"why": reply["why"], "form_ok": reply["form_ok"], "looping": reply["looping"], "seed": reply["seed"]}
    return {
        "id": reply["question_id"],
        "epoch": reply["sample"] + 1,
        "input": [user],
        "target": question["reference"] or "",
        "messages": [user, said],
        "output": {"model": model, "choices": [{"message": said, "stop_reason": stop}], **tokens},
        "scores": {SCORE: {"value": reply["right"], "answer": reply["claim"] or reply["answer"], "metadata": own}},
        "metadata": {COLUMN: reply.get(COLUMN) or reply["question_id"]},
    }


def _model(arm: Mapping[str, Any]) -> str:
    return f"tunixhack/{arm['label']}"
