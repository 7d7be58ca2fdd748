"""Data can be rendered, read and tokenised where nothing could be trained."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CODE = """
import sys

BANNED = {"jax", "jaxlib", "flax", "tunix", "grain", "qwix", "optax", "orbax", "torch", "bespokelabs", "litellm"}


class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BANNED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NotInstalled())
import tunixhack.train.data.chat, tunixhack.train.data.chat_template, tunixhack.train.data.epochs
from tunixhack.testing import ByteTokenizer
from tunixhack.train.data.chat import GEMMA, Renderer
from tunixhack.train.data.datasets import read
from tunixhack.train.data.tokenize import tokenise

print(len(tokenise([read(sys.argv[1])], Renderer(GEMMA, ByteTokenizer()), max_seq_len=999)))
"""


def test_data_is_tokenised_without_jax_tunix_or_curator(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"prompt": "q", "response": "<think>r</think>a"}\n')
    command = [sys.executable, "-c", CODE, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"


def imported(tree: ast.AST) -> Iterator[str]:
    """Name what is imported anywhere in a module, within functions too, but for what types alone need."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{one.name}" for one in node.names)
        yield from imported(node)


def test_no_module_of_the_training_needs_one_that_needs_it():
    package = ROOT / "tunixhack" / "train"
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    needs = {name: {one for one in imported(tree) if one in modules} for name, tree in modules.items()}
    assert needs["tunixhack.train.handle"] >= {"tunixhack.train.student", "tunixhack.train.export.export"}
    TopologicalSorter(needs).prepare()  # raises where there is a circle
