"""Scripts for Slurm, run by a stand-in for sbatch that carries out one job after the other."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builds import build, equal
from tests.commands import Command
from tunixhack.errors import UserError
from tunixhack.launch.slurm import SlurmJob
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher

SBATCH = r"""#!/bin/sh
# carries out a script at once, each task of its array; prints a number as sbatch does
for last; do :; done
tasks=$(sed -n 's/^#SBATCH --array=1-//p' "$last")
for task in $(seq 1 "${tasks:-1}"); do SLURM_ARRAY_TASK_ID=$task sh "$last" >&2 || exit 1; done
echo 7
"""


def job(*more: str, shards: int = 3) -> SlurmJob:
    return SlurmJob(build=["build", "creative", "--out", "runs/large", *more], shards=shards)


MIXTURE = """
from tunixhack import Mixture, Part
from tunixhack.recipes import creative

part = Part(recipe=creative.recipe.replace(source={source!r}), questions=6)
mixture = Mixture(name="evening", parts=(part,))
"""


@pytest.mark.slow
@pytest.mark.parametrize("of_a_mixture", [False, True])
def test_what_is_submitted_gives_the_run_of_an_unsharded_build(
    of_a_mixture: bool, recipe: Recipe, source: Path, teacher: ScriptedTeacher, tunixhack: Command, tmp_path: Path
):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "sbatch": SBATCH,
        "tunixhack": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tunixhack "$@"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    out = tmp_path / "a build's folder"
    words = f"build creative --source {source} --teacher {teacher.url} --samples 4 --questions 6"
    if of_a_mixture:
        (tmp_path / "evening.py").write_text(MIXTURE.format(source=str(source)))
        words = f"build {tmp_path / 'evening.py'} --teacher {teacher.url} --samples 4"
    told = json.loads(
        tunixhack("launch", "slurm", "--shards", "2", "--json", "--", *words.split(), "--out", str(out)).out
    )
    subprocess.run(
        ["sh", told["submit"]], check=True, env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    )
    whole = Run.load(told["whole"])
    assert equal(*(whole.parts() or [whole]), build(recipe, teacher, tmp_path / "unsharded"))


def test_every_word_is_quoted_and_every_job_has_the_options():
    scripts = SlurmJob(
        build=["build", "my recipe.py", "--system", "Be $(brief).", "--out", "runs/a b"],
        shards=2,
        options=["--partition=cpu"],
    ).scripts()
    assert set(scripts) == {"prepare.sh", "shards.sh", "merge.sh", "submit.sh"}
    assert "'my recipe.py' --system 'Be $(brief).' --out 'runs/a b'" in scripts["shards.sh"]
    assert [name for name, text in scripts.items() if "#SBATCH --partition=cpu" in text] == [
        "prepare.sh",
        "shards.sh",
        "merge.sh",
    ]


def test_of_a_build_at_an_address_the_scripts_alone_are_in_a_folder():
    at = SlurmJob(build=["build", "creative", "--out", "s3://bucket/runs/large"], shards=2)
    assert (at.out, at.whole) == (Path("runs/large"), "s3://bucket/runs/large-whole")
    scripts = at.scripts()
    assert scripts["prepare.sh"].endswith("exec tunixhack prepare creative --out s3://bucket/runs/large\n")
    assert "exec tunixhack merge s3://bucket/runs/large --out s3://bucket/runs/large-whole" in scripts["merge.sh"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "runs/a"], "behind -- stands the build"),
        (["build"], "behind -- stands the build"),
        (["build", "creative"], "names no --out"),
        (["build", "creative", "--out", "x", "--shard", "1/2"], "--shard has no place .* each part has its own"),
        (["build", "creative", "--out", "x", "--accepted=5"], "--accepted has no place"),
    ],
)
def test_what_no_shard_can_do_is_a_sentence(words: list[str], told: str):
    with pytest.raises(UserError, match=told):
        SlurmJob(build=words, shards=2)
    with pytest.raises(UserError, match="--shards 0: give at least one"):
        job(shards=0)
