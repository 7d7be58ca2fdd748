"""The script that measures an accelerator goes on, whatever becomes of an experiment, and ends in a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from benchmarks.accelerator import __main__ as script
from benchmarks.accelerator import table
from benchmarks.accelerator.experiments import EXPERIMENTS
from benchmarks.accelerator.figures import useful_flops
from benchmarks.accelerator.process import run_limited
from benchmarks.accelerator.shapes import AROUND, LONGEST, MEAN, SHAPES, made_rows
from benchmarks.accelerator.work import KINDS
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
WRITE = "import json, sys; json.dump({'tokens_per_second': 5.0}, open(sys.argv[1], 'w'))"


def child(code: str, folder: Path, limit: float = 60) -> dict[str, object]:
    result = folder / "result.json"
    return run_limited([sys.executable, "-c", code, str(result)], result, limit)


def test_a_process_that_ends_well_has_its_result(tmp_path: Path):
    found = child(WRITE, tmp_path)
    assert (found["ended"], found["tokens_per_second"]) == ("well", 5.0)


@pytest.mark.parametrize(
    ("code", "limit", "ended"),
    [
        ("import os; os.kill(os.getpid(), 9)", 60, "killed by signal 9"),
        ("import time; time.sleep(1000)", 0.5, "killed after its limit of 0 s"),
        ("print('no memory'); raise SystemExit(3)", 60, "failed with exit code 3"),
    ],
)
def test_what_a_process_wrote_before_it_failed_is_kept(tmp_path: Path, code: str, limit: float, ended: str):
    found = child(f"{WRITE}\n{code}" if limit > 1 else code, tmp_path, limit)
    assert found["ended"] == ended
    assert found.get("tokens_per_second") == (5.0 if limit > 1 else None)
    assert isinstance(found["log"], list)
    if "no memory" in code:
        assert found["log"] == ["no memory"]


def test_a_process_takes_its_own_processes_with_it(tmp_path: Path):
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); raise SystemExit(1)"
    (pid,) = child(code, tmp_path)["log"]  # type: ignore[misc]
    state = Path(f"/proc/{pid}/stat")
    wait_for(lambda: not state.exists() or state.read_text().split()[2] == "Z")


def test_rows_have_the_lengths_that_they_stand_for():
    lengths = [sum(map(len, row.values())) + AROUND for row in made_rows()]
    assert abs(mean(lengths) - MEAN) < 8
    assert max(lengths) <= LONGEST
    assert made_rows(3) == made_rows(3)


def test_a_learnt_weight_takes_half_as_much_again_as_a_frozen_one():
    sizes = SHAPES["1b"]
    full, lora = (useful_flops(sizes, method, 1000, 600) for method in ("full", "lora"))
    assert 1.4 < full / lora < 1.5


def test_every_experiment_can_be_made_and_has_a_name_of_its_own():
    assert {one.kind for one in EXPERIMENTS} <= set(KINDS)
    assert len({one.name for one in EXPERIMENTS}) == len(EXPERIMENTS)


def test_a_table_says_what_was_not_measured_and_why():
    results = {
        "device": {"name": "NVIDIA H200", "count": 1, "versions": {"jax": "0.10.2"}, "product_tflops": 677.0},
        "lora-4x2048": {"rows": 4, "length": 2048, "tokens_per_second": 80_000.0, "step_ms": 98.0, "ended": "well"},
        "lora-4x2048-dense": {"rows": 4, "length": 2048, "tokens_per_second": 40_000.0, "ended": "well"},
        "full-4x2048": {"ended": "killed by signal 9", "log": ["so far"]},
        "transformers-lora": {"ended": "well", "skipped": "torch not installed"},
    }
    text = table.markdown(results, EXPERIMENTS)
    (ours,) = [line for line in text.splitlines() if line.startswith("| lora-4x2048 |")]
    assert "80,000" in ours
    assert "2.00 ×" in ours
    assert "65,000" in ours  # the goal
    assert "- full-4x2048: killed by signal 9: so far" in text
    assert "- transformers-lora: skipped: torch not installed" in text


def test_what_there_is_no_time_for_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert script.main(["--minutes", "0", "--only", "generate", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["generate"]["skipped"] == "0 s were left, and it needs 45"
    assert "generate: skipped" in (tmp_path / "table.md").read_text()
    assert "results.json" in capsys.readouterr().out


def test_an_unknown_experiment_is_named(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        script.main(["--only", "everything"])
    assert "no experiment 'everything': take some of make, device" in capsys.readouterr().err


def test_the_whole_of_it_on_a_processor(tmp_path: Path):
    """Half a minute: several processes import jax, and one trains, as none but the script itself can show."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    names = "lora-4x2048,lora-4x2048-dense,lora-4x2048-one-by-one,transformers-lora,attention"
    options = ["--shape", "tiny", "--minutes", "30", "--only", names, "--out", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "benchmarks.accelerator", *options], cwd=ROOT, check=True, timeout=1200)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [results[name]["ended"] for name in ("make", "device", *names.split(","))] == ["well"] * 7
    trained = results["lora-4x2048"]
    assert trained["tokens_per_second"] > 0
    assert trained["first_step_seconds"] > 0
    assert trained["told"].endswith("B")
    assert len(trained["losses"]) == 6
    np.testing.assert_allclose(results["lora-4x2048-one-by-one"]["losses"], trained["losses"], rtol=1e-2)
    for name in names.split(",")[1:]:
        assert "skipped" in results[name] or {"tokens_per_second", "paths"} & set(results[name])
    assert "| lora-4x2048 |" in (tmp_path / "table.md").read_text()
