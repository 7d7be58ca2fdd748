"""An ablation trains in a fixed order, leaves whole comparisons, and says the same however often it was stopped."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.ablate.conftest import WriteRows, run, tables
from tests.commands import Command
from tests.processes import Started, command
from tests.train import toy
from tunixhack.ablate import Ablation
from tunixhack.ablate.ablation import CURVE, FILE
from tunixhack.errors import UserError


@pytest.fixture
def order(copied: list[str]) -> list[str]:
    """What is trained, in its order; it takes no time."""
    return copied


# order, and whole comparisons


def test_the_smallest_rows_come_first_training_by_training_arm_by_arm(
    tiny: Path, arms: list[Path], exam: Path, order: list[str], tmp_path: Path
):
    found = run(arms, tiny, exam, tmp_path / "out", rows=(16, 32))
    assert order == [f"{arm}-{rows}-{seed}" for rows in (16, 32) for seed in (0, 1) for arm in ("right", "wrong")]
    assert sorted(path.name for path in (tmp_path / "out" / "students").iterdir()) == sorted(order)
    lines = found.scores.filter(found.scores["rows"].is_not_null())
    assert lines.select("rows", "arm", "trainings").rows() == [
        (16, "right", 2), (16, "wrong", 2), (32, "right", 2), (32, "wrong", 2),
    ]  # fmt: skip
    assert (found.exit_code, found.curve["arm"].to_list()) == (0, ["right", "wrong"])
    assert (tmp_path / "out" / CURVE).read_bytes().startswith(b"\x89PNG")
    order.clear()
    again = run(arms, tiny, exam, tmp_path / "out", rows=(16, 32))
    assert (order, tables(again)) == ([], tables(found))


def test_hours_end_between_trainings_and_leave_whole_comparisons(
    tiny: Path, arms: list[Path], exam: Path, order: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tunixhack.ablate import work

    whole = run(arms, tiny, exam, tmp_path / "whole", rows=(16, 32), trainings=1)
    order.clear()
    monkeypatch.setattr(work, "now", lambda: 3600.0 * (len(order) >= 3))
    found = run(arms, tiny, exam, tmp_path / "out", rows=(16, 32), trainings=1, hours=0.5)
    assert order == ["right-16-0", "wrong-16-0", "right-32-0"]
    assert found.exit_code == 3
    assert found.scores["rows"].to_list() == [16, 16]
    assert any("0.5 hours" in note for note in found.notes)
    monkeypatch.setattr(work, "now", lambda: 0.0)
    again = run(arms, tiny, exam, tmp_path / "out", rows=(16, 32), trainings=1)
    assert tables(again) == tables(whole)


def test_one_that_was_killed_says_the_same_as_one_that_was_not(
    tiny: Path, arms: list[Path], exam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = run(arms, tiny, exam, tmp_path / "whole")
    monkeypatch.chdir(tmp_path)
    words = ["ablate", *map(str, arms), "--model", str(tiny), "--rows", "16", "--on", str(exam), "--out", "killed"]
    words += ["--questions", "24", "--max-tokens", "8", "--max-seq-len", "128", "--batch-size", "4", "--epochs", "1"]
    words += ["--learning-rate", "1e-2", "--cpu"]
    for moment in ("students/wrong-16-0/student.json", "evals/choose/exam", "students/right-16-1/actor"):
        started = Started(tmp_path / "log", killed_at, tmp_path / "killed" / moment, words)
        assert started.wait() == -signal.SIGKILL, started.said
        assert (tmp_path / "killed" / moment).exists()
    found = run(arms, tiny, exam, tmp_path / "killed")
    assert tables(found) == tables(whole)


def killed_at(place: Path, words: list[str]) -> None:
    """Run a command, in a process of its own, that is killed where it opens a file once a place is there."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and place.exists():
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    command(*words)


# what is compared


def test_two_arms_of_the_same_data_are_not_told_apart(tiny: Path, write_rows: WriteRows, exam: Path, tmp_path: Path):
    found = run([write_rows("one"), write_rows("copy")], tiny, exam, tmp_path / "out")
    (line,) = found.content["differences"]
    assert (line["difference"], line["verdict"]) == (0, "not told apart")
    assert found.chosen == {"tiny": "one"}
    assert found.confirmed.is_empty()


@pytest.mark.usefixtures("copied")
def test_a_lone_arm_is_compared_with_its_base(tiny: Path, arms: list[Path], exam: Path, tmp_path: Path):
    found = run(arms[0], tiny, exam, tmp_path / "out", trainings=1)
    assert found.scores.select("arm", "rows").rows() == [("right", 16), ("base", None)]
    assert found.differences.select("arm", "baseline").rows() == [("right", "base")]
    assert "these students, not yet these recipes" in found.verdicts[0]


@pytest.mark.usefixtures("copied")
def test_what_is_evaluated_beside_is_compared_with_every_student(
    tiny: Path, arms: list[Path], exam: Path, tmp_path: Path
):
    found = run(arms, tiny, exam, tmp_path / "out", trainings=1, also="base")
    compared = found.differences.select("arm", "baseline").rows()
    assert compared == [("wrong", "right"), ("right", "base"), ("wrong", "base")]


@pytest.mark.usefixtures("copied")
def test_questions_of_the_data_are_asked_of_nobody_at_any_size(tiny: Path, write_rows: WriteRows, tmp_path: Path):
    rows = toy.sums()
    known = [{"question": row["prompt"], "reference": "1"} for row in rows[:100]]
    new = [{"question": f"What is {a} + 50?", "reference": str(a + 50)} for a in range(24)]
    found = run([write_rows("one"), write_rows("two")], tiny, write_rows("exam", known + new), tmp_path / "out")
    assert found.scores["n"].to_list() == [24, 24]


# other folders, other ablations


@pytest.mark.usefixtures("copied")
def test_another_ablation_in_the_folder_is_refused(tiny: Path, arms: list[Path], exam: Path, tmp_path: Path):
    run(arms, tiny, exam, tmp_path / "out", trainings=1)
    with pytest.raises(UserError, match=r"epochs was 1 and is 2.*another --out"):
        run(arms, tiny, exam, tmp_path / "out", trainings=1, epochs=2)
    arms[1].write_text(arms[0].read_text())
    with pytest.raises(UserError, match=r"the 16 rows of wrong was"):
        run(arms, tiny, exam, tmp_path / "out", trainings=1)
    with pytest.raises(UserError, match="the folder of a training"):
        run(arms, tiny, exam, tmp_path / "out" / "students" / "right-16-0")


def test_more_trainings_and_sizes_train_the_difference(
    tiny: Path, arms: list[Path], exam: Path, order: list[str], tmp_path: Path
):
    run(arms, tiny, exam, tmp_path / "out", trainings=1)
    order.clear()
    run(arms, tiny, exam, tmp_path / "out", rows=(16, 20), trainings=2)
    assert order == ["right-16-1", "wrong-16-1", "right-20-0", "wrong-20-0", "right-20-1", "wrong-20-1"]


def test_a_folder_that_is_in_use_is_refused(tiny: Path, arms: list[Path], exam: Path, tmp_path: Path):
    from tunixhack._util.lock import locked

    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
        run(arms, tiny, exam, tmp_path / "out")


@pytest.mark.usefixtures("copied")
def test_full_weights_of_arms_that_were_not_chosen_go_and_the_figures_stay(
    tiny: Path, arms: list[Path], exam: Path, tmp_path: Path
):
    options: dict[str, Any] = {"trainings": 1, "method": "full"}
    found = run(arms, tiny, exam, tmp_path / "out", **options)
    students = tmp_path / "out" / "students"
    assert found.chosen == {"tiny": "right"}
    assert list((students / "right-16-0" / "actor").iterdir())
    assert not list((students / "wrong-16-0" / "actor").iterdir())
    assert tables(run(arms, tiny, exam, tmp_path / "out", **options)) == tables(found)
    with pytest.raises(UserError, match="wrong-16-0 has no weights any more"):
        run(arms, tiny, exam, tmp_path / "out", questions=25, **options)


# bad input, before anything is trained


@pytest.mark.parametrize(
    ("what", "options", "sentence"),
    [
        ([], {}, "no arm is named"),
        (["right", "right"], {}, "named twice"),
        (["right", "nowhere"], {}, "there is no arm nowhere"),
        (["right", "nowhere.jsonl"], {}, "there is no file nowhere.jsonl"),
        (["right", "matth"], {}, "there is no arm matth"),
        (["right"], {"rows": 2000}, "asks for 2,000 rows of every arm, and right has 144"),
        (["right"], {"max_seq_len": 20}, "no row is left to learn from"),
        (["right"], {"trainings": 0}, "trainings=0"),
        (["right"], {"hours": 0}, "hours=0"),
        (["right"], {"match": "rows"}, "match='rows'"),
        (["right"], {"seed": 3}, "seed is not for you to give"),
        (["right"], {"epoch": 3}, "there is no setting 'epoch'"),
        (["right"], {"method": "lorra"}, "method 'lorra'"),
        (["right"], {"also": "base,base"}, "--also names base twice"),
        (["right"], {"also": "reference"}, "reference is no model"),
        (["right"], {"on": ""}, "names no task"),
        (["right"], {"on": "matth"}, "matth"),
        (["right"], {"samples": 2}, "at temperature 0"),
        (["right"], {"max_seq_len": 10_000}, "longer than tiny takes"),
        (["creative"], {}, "say who answers with --teacher"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    what: Sequence[str], options: dict[str, Any], sentence: str, tiny: Path, arms: list[Path], exam: Path,
    order: list[str], tmp_path: Path,
):  # fmt: skip
    named = [str(arms[0]) if one == "right" else one for one in what]
    with pytest.raises(UserError, match=re.escape(sentence)):
        run(named, tiny, exam, tmp_path / "out", **options)
    assert order == []


def test_the_command_says_what_it_found(
    tunixhack: Command, tiny: Path, arms: list[Path], exam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    found = tunixhack(
        "ablate", arms[0], f"worse={arms[1]}", "--model", tiny, "--rows", "16", "--trainings", "1", "--on", exam,
        "--questions", "24", "--max-tokens", "8", "--max-seq-len", "128", "--batch-size", "4", "--cpu",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert "worse minus right" in found.out
    assert (tmp_path / "ablations" / "right-worse" / FILE).exists()
    assert Ablation.load(tmp_path / "ablations" / "right-worse").chosen == {"tiny": "right"}
