"""What inspect-ai reads in a folder of logs, as JSON; runs in an environment of its own, without tunixhack.

python benchmarks/common/inspect_reader.py FOLDER
"""

from __future__ import annotations

import json
import sys
from typing import Any

from inspect_ai.log import list_eval_logs, read_eval_log
from inspect_ai.scorer import SampleScore, mean_score, stderr, value_to_float


def read(name: str) -> dict[str, Any]:
    log = read_eval_log(name)
    to_float, samples, by_id = value_to_float(), [], {}
    for sample in log.samples or []:
        score = sample.scores["right"]
        by_id.setdefault(sample.id, []).append((score, sample.metadata))
        samples.append(
            {
                "question_id": sample.id,
                "sample": sample.epoch - 1,
                "reply": sample.output.completion,
                "right": to_float(score.value),
                "stop": str(sample.output.stop_reason),
            }
        )
    reduce = mean_score()
    means = [
        SampleScore(score=reduce([one for one, _ in several]), sample_id=name, sample_metadata=several[0][1])
        for name, several in by_id.items()
    ]
    return {
        "task": log.eval.task,
        "model": log.eval.model,
        "samples": samples,
        "stderr": float(stderr()(means)),
        "stderr_cluster": float(stderr(cluster="cluster")(means)),
        "metrics": {name: metric.value for name, metric in log.results.scores[0].metrics.items()},
    }


if __name__ == "__main__":
    print(json.dumps([read(info.name) for info in list_eval_logs(sys.argv[1])]))
