"""The notebooks that build: each runs from top to bottom in ipykernel 6 and 7, and its interrupt button works."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builds import given_by_seed
from tests.kernels import MAJORS, ROOT, at_start, client_of, make_kernel, run_cell, sources, with_values
from tests.waiting import PATIENCE, wait_for
from tunixhack.errors import UserError
from tunixhack.runs.run import Run
from tunixhack.teachers.local.model_file import fetch_local
from tunixhack.testing import Faults, ScriptedTeacher

# one group: two processes would make the same kernel at once in pytest's cache
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
VERSION = "import ipykernel\n\nprint(ipykernel.__version__)"
MOST_OUTPUTS = 20

LMSTUDIO_AT = """
from dataclasses import replace

from tunixhack.teachers.registry.presets import PRESETS

PRESETS["lmstudio"] = replace(PRESETS["lmstudio"], url={url!r})
"""


@pytest.fixture(scope="module", params=MAJORS)
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a kernel of each ipykernel; pytest's cache keeps its environment for the next session."""
    pytest.importorskip("nbclient")
    name = f"ipykernel{request.param}-{sys.implementation.cache_tag}"
    cache = getattr(request.config, "cache", None)  # not with -p no:cacheprovider
    folder = cache.mkdir(name) if cache else tmp_path_factory.mktemp(name)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in make_kernel(folder, request.param).items():
            patch.setenv(name, value)
        yield f"ipykernel{request.param}"


@pytest.fixture
def ipython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An IPython folder of one test."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path / "ipython"


def run_all(name: str, kernel: str, folder: Path, given: dict[str, Any]) -> Any:
    """Run a notebook with other constants and without its installation; the last cell, added here, tells the kernel."""
    import nbclient
    import nbformat

    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source = "pass"  # it is installed already
    code[1].source = with_values(code[1].source, given)
    notebook.cells.append(nbformat.v4.new_code_cell(VERSION))
    place = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name=kernel, resources=place).execute()
    return notebook


def outputs(notebook: Any) -> list[list[str]]:
    """Return the outputs of each code cell, as text."""
    return [
        [output.get("text") or output.get("data", {}).get("text/plain") or str(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def check(notebook: Any, kernel: str) -> None:
    """Every cell ran, in the kernel that was meant, and none of them left a heap of outputs."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = outputs(notebook)
    assert re.fullmatch(r"ipykernel(\d)", kernel)[1] == shown[-1][0].split(".")[0]  # type: ignore[index]
    assert max(map(len, shown)) <= MOST_OUTPUTS


def test_the_quickstart_runs_from_top_to_bottom(kernel: str, tmp_path: Path, ipython: Path):
    with ScriptedTeacher() as teacher:
        given = {"TEACHER": teacher.url, "QUESTIONS": 3, "SAMPLES": 2}
        notebook = run_all("quickstart", kernel, tmp_path, given)
    assert len(notebook.cells) - 1 <= 12
    check(notebook, kernel)
    run = Run.load(tmp_path / "runs" / "quickstart")
    assert run.done
    assert run.train.height == 3 * 3, "two answers to each question, and then one more"
    assert (tmp_path / "runs" / "quickstart.jsonl").read_text(encoding="utf-8").count("\n") == 3 * 2
    _, _, built, looked, loaded, more, _ = ["\n".join(cell) for cell in outputs(notebook)]
    assert "0 answers reused, 6 to be asked" in built
    assert run.train["question"][0][:40] in looked
    assert loaded.startswith("6 rows: question_id, ")
    assert "6 answers reused, 3 to be asked" in more


@pytest.mark.embedded
def test_the_quickstart_runs_with_the_teacher_that_it_names(tmp_path: Path, ipython: Path):
    pytest.importorskip("nbclient")
    pytest.importorskip("xllamacpp")
    try:
        fetch_local()
    except UserError as error:
        pytest.skip(f"the embedded model cannot be fetched: {error}")
    notebook = run_all("quickstart", "python3", tmp_path, {"QUESTIONS": 1, "SAMPLES": 1})
    run = Run.load(tmp_path / "runs" / "quickstart")
    assert run.done
    assert run.store.answers().filter(step="sample").height == 2
    assert "A demonstration" in "".join(outputs(notebook)[3])


def test_the_notebook_for_lm_studio_runs_from_top_to_bottom(kernel: str, tmp_path: Path, ipython: Path):
    questions, samples = 12, 6
    about: dict[str, Any] = {"models": ("qwen3", "phi"), "loaded": ("qwen3",), "faults": Faults(latency=0.1)}
    with ScriptedTeacher(dialect="lmstudio", **about) as server:
        at_start(ipython, LMSTUDIO_AT.format(url=server.url))
        given = {"MODEL": "qwen3", "SOURCE": "shipped", "QUESTIONS": questions, "SAMPLES": samples}
        notebook = run_all("lmstudio", kernel, tmp_path, given)
        assert server.stats["max_concurrency"] <= 4
    check(notebook, kernel)
    run = Run.load(tmp_path / "runs" / "lmstudio")
    assert run.done
    assert run.train.height == questions * samples
    assert set(run.train["teacher"]) == {"lmstudio/qwen3"}
    _, _, listed, built, _, rows, _ = outputs(notebook)
    assert f"answers at {server.url}, loaded: qwen3; 1 more could be loaded" in listed[0]
    (told,) = [text for text in built if "sample:" in text]  # the bars and all sentences are one output
    assert "pilot: 16 of 16 answers would be kept" in told
    assert f"sample: 16 answers reused, {questions * samples - 16} to be asked of lmstudio/qwen3" in told
    assert told.count("█ sample: ") == 2, "the pilot's bar and the whole's, each as it was at its end"
    assert f"num_rows: {questions * samples}" in rows[-1]


def test_the_interrupt_button_keeps_what_was_received_and_the_same_cell_goes_on(
    kernel: str, tmp_path: Path, ipython: Path
):
    _, constants, building, *_ = sources("quickstart")
    questions, samples = 6, 10
    with ScriptedTeacher(seeds="own") as teacher, client_of(kernel, tmp_path) as (manager, client):
        given = {"TEACHER": teacher.url, "QUESTIONS": questions, "SAMPLES": samples}
        assert run_cell(client, with_values(constants, given))["status"] == "ok"
        # the length filter's probes come first; after some samples nothing is answered any more
        answered = 2 * questions + 26
        teacher.change(faults=Faults(script=("ok",) * answered, share={"hang": 1.0}))
        client.execute(building)
        wait_for(lambda: teacher.stats["requests"] > answered or client.shell_channel.msg_ready())
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=PATIENCE)["content"]
        assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")

        folder = tmp_path / "runs" / "quickstart"
        stopped = Run.load(folder)
        kept = stopped.store.answers().filter(step="sample")
        assert not stopped.done
        assert 0 < kept.height < questions * samples
        assert run_cell(client, "assert 1 + 1 == 2")["status"] == "ok", "the kernel is of use as before"

        teacher.change(faults=Faults())
        assert run_cell(client, building)["status"] == "ok"
        given_for_seed = {int(key.rpartition(":")[2]): count for key, count in given_by_seed(teacher).items()}
    assert Run.load(folder).done
    assert Run.load(folder).train.height == questions * samples
    assert {given_for_seed[seed] for seed in kept["seed"]} == {1}, "nothing that was kept is asked again"
