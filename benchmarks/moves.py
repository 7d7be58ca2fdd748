"""How often one question passes from file to file of the package on its way through a build.

A reader who follows a question in the code jumps as often. One question is answered by a scripted teacher under a
profiler, which sees every call; what counts is each call whose function is in another file of the package than the
call before it in the same thread.

* ``moves_files``: files of the package in which something was called;
* ``moves``: changes of the file.

    python benchmarks/moves.py [--pairs 10]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import tunixhack
from tunixhack import Recipe
from tunixhack.recipes import creative
from tunixhack.testing import ScriptedTeacher

PACKAGE = str(Path(tunixhack.__file__).parent)


class Moves:
    """Counts changes of the file, thread by thread."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self._last = threading.local()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Look at one event of the profiler."""
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(PACKAGE) or frame.f_code.co_name == "<module>":
            return
        last = getattr(self._last, "path", path)
        self._last.path = path
        self.files.add(path)
        if path != last:
            self.pairs[(last[len(PACKAGE) + 1 :], path[len(PACKAGE) + 1 :])] += 1


def one_question(recipe: Recipe, folder: str) -> Moves:
    """Build a dataset of one question with one answer, and count."""
    moves = Moves()
    with ScriptedTeacher(process=True) as teacher:
        threading.setprofile(moves)
        sys.setprofile(moves)
        try:
            recipe.build(teacher.url, questions=1, out=folder, yes=True)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]  # None ends it
    return moves


def main() -> None:
    """Count, and print the figures and the pairs of files with the most moves."""
    options = argparse.ArgumentParser(description="Moves between files on the way of one question.")
    options.add_argument("--pairs", type=int, default=10, help="pairs of files to print")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        moves = one_question(creative.recipe.replace(source="shipped", samples=1), folder)
    for (last, path), count in moves.pairs.most_common(asked.pairs):
        print(f"  {count} {last} -> {path}")
    print(f"moves_files: {len(moves.files)}")
    print(f"moves: {sum(moves.pairs.values())}")


if __name__ == "__main__":
    main()
