"""The notebook from questions to a verdict: its kernel is killed on the way, and it goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builds import asked, given_by_seed
from tests.kernels import ROOT, client_of, run_cell, sources, with_values
from tests.waiting import wait_for
from tunixhack.evaluate import Evaluation
from tunixhack.runs.run import Run
from tunixhack.testing import Faults, ScriptedTeacher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
INSTALL, CONSTANTS, CLOCK, DOCTOR, BUILD, TRAIN, EVALUATE, FIGURES = range(8)
QUESTIONS, TEST_QUESTIONS = 24, 6
DOMAIN = """
from tunixhack import Parse, Sample
from tunixhack.recipes import general

recipe = general.recipe.replace(domain="sums", source={source!r}, test={test!r}, steps=(Sample(), Parse()))
"""


def sums(folder: Path, name: str, first: int, count: int) -> str:
    rows = [{"question": f"What is {n} + 3?", "reference": str(n + 3)} for n in range(first, first + count)]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(folder / name)


def add(messages: Sequence[Any], seed: int | None) -> str:
    number = re.findall(r"What is (\d+) \+ 3", messages[-1]["content"])[-1]
    return f"<reasoning>I add 3 to {number}.</reasoning>\n<answer>{int(number) + 3}</answer>"


class Session:
    """A kernel, and what its cells say."""

    def __init__(self, manager: Any, client: Any, cells: list[str]) -> None:
        self.manager, self.client, self.cells = manager, client, cells

    def run(self, *numbers: int) -> str:
        """Run cells to their end; return what they show."""
        shown: list[str] = []

        def hook(message: Any) -> None:
            content = message["content"]
            shown.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        for number in numbers:
            reply = run_cell(self.client, self.cells[number], hook)
            assert reply["status"] == "ok", "\n".join([*shown, *reply.get("traceback", ())])
        return "\n".join(shown)

    def kill_in(self, number: int, happened: Any) -> None:
        """Begin a cell, and kill the kernel when something has happened."""
        self.client.execute(self.cells[number])
        wait_for(lambda: happened() or self.client.shell_channel.msg_ready())
        assert not self.client.shell_channel.msg_ready(), self.client.get_shell_msg()["content"]
        self.manager.signal_kernel(signal.SIGKILL)
        wait_for(lambda: not self.manager.is_alive())


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Tiny values for the notebook's constants, and an environment that its kernels are started in."""
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    pytest.importorskip("nbclient")
    from tunixhack.testing.student import write_tiny_student

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    domain = tmp_path / "sums.py"
    test = sums(tmp_path, "test.jsonl", 500, TEST_QUESTIONS)
    domain.write_text(DOMAIN.format(source=sums(tmp_path, "questions.jsonl", 10, 40), test=test), encoding="utf-8")
    return {
        "DOMAIN": str(domain),
        "QUESTIONS": QUESTIONS,
        "MODEL": str(write_tiny_student(tmp_path / "tiny", "llama")),
        "SETTINGS": {"epochs": 6, "batch_size": 2, "max_seq_len": 128, "save_every": 0.01}
        | {"validation_questions": 2, "samples": 1, "max_new_tokens": 8},
        "TEST": str(domain),
        "TEST_QUESTIONS": TEST_QUESTIONS,
        "OUT": str(tmp_path / "end-to-end"),
        "CLOCK": str(tmp_path / "session"),
        "CPU": True,
    }


def test_it_goes_on_wherever_its_kernel_is_killed_and_asks_nothing_twice(given: dict[str, Any], tmp_path: Path):
    cells, out = sources("kaggle_end_to_end"), tmp_path / "end-to-end"
    answered = 20
    with ScriptedTeacher(answer=add) as teacher:
        cells[INSTALL] = "pass"  # it is installed already
        cells[CONSTANTS] = with_values(cells[CONSTANTS], given | {"TEACHER": teacher.url})

        with client_of("python3", tmp_path) as kernel:  # killed while the teacher is asked
            session = Session(*kernel, cells)
            session.run(INSTALL, CONSTANTS, CLOCK)
            teacher.change(faults=Faults(script=("ok",) * answered, share={"hang": 1.0}))
            session.kill_in(BUILD, lambda: teacher.stats["requests"] > answered and all_kept(teacher, out / "dataset"))
        kept = stored_seeds(out / "dataset")
        assert 0 < len(kept) < QUESTIONS
        teacher.change(faults=Faults())

        with client_of("python3", tmp_path) as kernel:  # killed while the student learns
            session = Session(*kernel, cells)
            assert f"{QUESTIONS} rows to learn from" in session.run(*range(INSTALL, TRAIN))
            session.kill_in(TRAIN, lambda: list((out / "student").glob("actor/*/checksums.json")))
        by_seed = {int(key.rpartition(":")[2]): count for key, count in given_by_seed(teacher).items()}
        assert {by_seed[seed] for seed in kept} == {1}
        teacher.reset()

        with client_of("python3", tmp_path) as kernel:  # comes to its end
            session = Session(*kernel, cells)
            assert re.search(r"going on behind step [1-9]", session.run(*range(INSTALL, EVALUATE)))
            shown = session.run(EVALUATE, FIGURES)
        assert given_by_seed(teacher) == {}
    found = Evaluation.load(out / "evaluation")
    assert found.scores["n"].to_list() == [TEST_QUESTIONS, TEST_QUESTIONS]
    assert found.scores["low"].null_count() == 0
    assert found.verdicts[0] in re.sub(r"\s+", " ", shown)
    assert re.search(r"[0-9.]+ of 8\.5 hours are left", shown)


def all_kept(teacher: ScriptedTeacher, folder: Path) -> bool:
    """Tell whether all that was answered so far is on the disk, and that is something."""
    return 0 < asked(teacher) == Run(folder).store.received().answers


def stored_seeds(folder: Path) -> set[int]:
    store = Run.load(folder).store
    store.import_journal()  # as the next start does
    return set(store.answers().filter(step="sample")["seed"])
