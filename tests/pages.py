"""The documentation's pages as tests read them: their blocks of code, and the commands in these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str
    title: str
    """The file's name that stands above it; empty without one."""
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell's block; one that goes on behind a backslash is one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in its order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def save_files(page: Sequence[Block]) -> None:
    """Save the files that a page shows, under their names, in the current folder."""
    for block in page:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
