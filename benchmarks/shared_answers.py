"""Three arms that are recipes with other answer steps: how many answers does it take more than one of them alone?

The scripted teacher, a process of its own, answers the same toy questions for three recipes: one keeps every answer
that can be read, one the shortest and one the longest of each question. Each is built, as an ablation builds its arms,
until the same number of answers is kept, so that the arms keep other answers and need unequally many. What two of them
ask alike is asked once, so that all three cost what the one that needs the most costs alone.

    shared_answers         answers paid for three arms, over those of the dearest of them built alone (goal: 1.0)
    shared_answers_apart   share of the answers that any arm keeps which not all three keep (over 0: the arms differ)

Ends with 1 where the goal is missed.

    python benchmarks/shared_answers.py [--answers 60] [--samples 4]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # how answers are counted is in tests/builds.py

from tests.builds import QUIET, asked, write_questions
from tunixhack import DedupAnswers, ExactDedup, KeepAnswers, Parse, Sample
from tunixhack.ablate.arms import TrainedArm, read_arms
from tunixhack.ablate.builds import build
from tunixhack.ablate.options import Options
from tunixhack.recipe import Recipe
from tunixhack.runs.run import Run
from tunixhack.testing import ScriptedTeacher


def recipes(source: Path, samples: int) -> dict[str, Recipe]:
    """Return the three arms, which ask the same and keep other answers.

    Args:
        source: of the questions.
        samples: answers to each question.
    """
    from tunixhack.recipes import creative

    def arm(*chosen: KeepAnswers) -> Recipe:
        steps = (ExactDedup(), Sample(), Parse(), DedupAnswers(), *chosen)
        return creative.recipe.replace(source=source, samples=samples, steps=steps)

    return {"all": arm(), "shortest": arm(KeepAnswers(1)), "longest": arm(KeepAnswers(1, by="longest"))}


def paid(arms: dict[str, Recipe], answers: int, folder: Path, teacher: ScriptedTeacher) -> tuple[int, list[Run]]:
    """Build arms; returns the answers that the teacher was asked for, and their runs."""
    teacher.reset()
    options = Options(models=("none",), rows=(answers,), on=("none",), teacher=teacher.url)
    built: Sequence[TrainedArm] = build(read_arms(arms), answers, options, folder, QUIET, None)
    return asked(teacher), [one.place for one in built if isinstance(one.place, Run)]


def kept(run: Run) -> set[tuple[str, int]]:
    """Return the answers that a run keeps."""
    return set(run.train.select("question_id", "sample").iter_rows())


def main() -> int:
    """Build each arm alone, then all three, and print what both cost."""
    options = argparse.ArgumentParser(description="Answers that the arms of an ablation share.")
    options.add_argument("--answers", type=int, default=60)
    options.add_argument("--samples", type=int, default=4)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name, ScriptedTeacher(process=True) as teacher:
        folder = Path(name)
        source = write_questions(folder / "questions.jsonl", 4 * given.answers)
        arms = recipes(source, given.samples)
        alone = {label: paid({label: arm}, given.answers, folder / label, teacher) for label, arm in arms.items()}
        together, runs = paid(arms, given.answers, folder / "together", teacher)
        told = ", ".join(f"{label} {cost:,}" for label, (cost, _) in alone.items())
        print(f"  paid: {told} alone; together {together:,}; {', '.join(str(len(kept(run))) for run in runs)} kept")
        same = all(kept(run) == kept(one) for run, (_, (one,)) in zip(runs, alone.values(), strict=True))
        print(f"  each arm keeps the same as alone: {'yes' if same else 'no'}")
        sets = [kept(run) for run in runs]
        apart = 1 - len(set.intersection(*sets)) / len(set.union(*sets))
        ratio = together / max(cost for cost, _ in alone.values())
        print(f"shared_answers: {ratio:.3f}")
        print(f"shared_answers_apart: {apart:.2f}")
        return 0 if ratio == 1 and same and apart else 1


if __name__ == "__main__":
    sys.exit(main())
