"""How often one question passes from file to file of the package on its way through a build.

A reader who follows a question in the code jumps as often. The only question of a source is probed and answered once by
a scripted teacher under a profiler, which sees every call; what counts is each call whose function is in another file
of the package than the call before it in the same thread.

* ``moves_files``: files of the package in which something was called;
* ``moves``: changes of the file.

    python benchmarks/moves.py [--pairs 10]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import tunixhack
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


def one_question(folder: Path) -> Moves:
    """Build a dataset of one question with one answer, and count."""
    source, moves = folder / "question.jsonl", Moves()
    source.write_text(json.dumps({"question": "Write a poem about rain."}) + "\n", encoding="utf-8")
    # the length filter keeps its only candidate
    steps = [replace(step, keep=1.0) if hasattr(step, "keep") else step for step in creative.recipe.steps]
    recipe = creative.recipe.replace(source=str(source), samples=1, steps=tuple(steps))
    with ScriptedTeacher(process=True) as teacher:
        threading.setprofile(moves)
        sys.setprofile(moves)
        try:
            recipe.build(teacher.url, questions=1, out=str(folder / "run"), yes=True)
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
        moves = one_question(Path(folder))
    for (last, path), count in moves.pairs.most_common(asked.pairs):
        print(f"  {count} {last} -> {path}")
    print(f"moves_files: {len(moves.files)}")
    print(f"moves: {sum(moves.pairs.values())}")


if __name__ == "__main__":
    main()
