"""Data can be rendered, read and tokenised where nothing could be trained."""

from __future__ import annotations

import subprocess
import sys
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
import tunixhack.train.chat, tunixhack.train.chat_template, tunixhack.train.epochs
from tunixhack.testing import ByteTokenizer
from tunixhack.train.chat import GEMMA, Renderer
from tunixhack.train.datasets import read
from tunixhack.train.tokens import tokenise

print(len(tokenise([read(sys.argv[1])], Renderer(GEMMA, ByteTokenizer()), max_seq_len=999)))
"""


def test_data_is_tokenised_without_jax_tunix_or_curator(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"prompt": "q", "response": "<think>r</think>a"}\n')
    command = [sys.executable, "-c", CODE, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"
