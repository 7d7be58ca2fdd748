"""What all notebooks have in common; and those that train run from top to bottom, here and with a tiny student."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
EXPORTED = {
    "kaggle_tpu_sft": ["export/orbax/actor/*/model_params", "export/safetensors/model.safetensors"],
    "colab_sft": ["export/safetensors/model.safetensors", "export/gguf/*.gguf"],
}
"""What each that trains leaves behind, under its folder."""
BUILDING = {"lmstudio", "quickstart"}
"""Those that build: tests/test_notebooks_build.py runs them."""
END_TO_END = {"kaggle_end_to_end"}
"""Those that build, train and evaluate: tests/test_notebooks_end_to_end.py runs them."""


def cells(path: Path, kind: str = "code") -> list[str]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == kind]


def test_each_is_run_by_some_test():
    assert {path.stem for path in NOTEBOOKS} == set(EXPORTED) | BUILDING | END_TO_END


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_path_is_of_the_machine_it_was_written_on(path: Path):
    assert re.findall(r"/(?:home|root|Users|mnt|work)/", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_where_the_package_comes_from_is_one_constant_in_the_first_cell(path: Path):
    first, *others = cells(path)
    assert re.match(r'INSTALL = "[^"]+"\nEXTRAS = "[a-z,]+"\n\nPACKAGE = ', first)
    assert first.splitlines()[-1] == '%pip install --quiet "$PACKAGE"'
    assert not any("INSTALL" in cell or "pip install" in cell for cell in others)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("..", "..[{extras}]"),
        ("/kaggle/input/mine/tunixhack", "/kaggle/input/mine/tunixhack[{extras}]"),
        ("tunixhack-0.1.0-py3-none-any.whl", "tunixhack-0.1.0-py3-none-any.whl[{extras}]"),
        ("git+https://example.org/a/b@main", "tunixhack[{extras}] @ git+https://example.org/a/b@main"),
        ("https://example.org/tunixhack.whl", "tunixhack[{extras}] @ https://example.org/tunixhack.whl"),
        ("tunixhack", "tunixhack[{extras}]"),
    ],
)
def test_the_first_cell_takes_a_folder_a_wheel_an_address_and_a_name(path: Path, place: str, what: str):
    _, extras, _, compose, _ = cells(path)[0].splitlines()
    names: dict[str, str] = {"INSTALL": place}
    exec(f"{extras}\n{compose}", names)  # noqa: S102  # our own notebook
    assert names["PACKAGE"] == what.format(extras=names["EXTRAS"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_that_was_run_is_kept(path: Path):
    content = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem in EXPORTED], ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    from tunixhack.testing.student import write_tiny_student

    given: dict[str, Any] = {
        "MODEL": str(write_tiny_student(tmp_path / "tiny")),
        "SOURCE": "shipped",
        "QUESTIONS": 8,
        "SETTINGS": {
            "epochs": 1,
            "batch_size": 2,
            "max_seq_len": 1024,
            "validation_questions": 2,
            "samples": 1,
            "max_new_tokens": 64,
        },
        "HOURS": 1.0,
        "OUT": str(tmp_path / "student"),
        "SCRATCH": str(tmp_path / "scratch"),
        "EXPORT": str(tmp_path / "export"),
        "CPU": True,
    }
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source = ""  # it is installed already
    for name, value in given.items():
        code[1].source = re.sub(
            rf"^{name} = .*$", lambda _, v=value, n=name: f"{n} = {v!r}", code[1].source, flags=re.M
        )
    # what a shell command of the notebook finds, and where the package is imported from
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    runner = nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}})
    runner.execute()
    assert all(list(tmp_path.glob(pattern)) for pattern in EXPORTED[path.stem])
    shown = [output.get("text", "") for cell in code for output in cell.outputs if output.output_type == "stream"]
    assert any("ready to train" in text for text in shown)
