"""Whatever a server sends, a build ends in a sentence, and every answer is kept, rejected or missing.

`benchmarks/fuzz.py` sends twenty times as much.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing import fuzz


@pytest.mark.parametrize(("seed", "samples"), [(1, 1), (2, 1), (3, 4), (4, 4)])
def test_odd_answers_are_kept_rejected_or_missing_and_read_again(seed: int, samples: int, tmp_path: Path):
    done = fuzz(seed, tmp_path, questions=40, samples=samples, chat=0.95)
    assert done.odd > 20
    assert set(done.codes) <= {0, 3, 4}


@pytest.mark.parametrize("seed", range(4))
def test_an_odd_preflight_or_list_of_models_ends_in_a_sentence_or_is_read(seed: int, tmp_path: Path):
    for number in range(5):
        for kind in ({"preflight": 1.0, "chat": 0.0}, {"models": 1.0, "chat": 0.0}):
            folder = tmp_path / f"{number} {next(iter(kind))}"
            folder.mkdir()
            fuzz(100 * seed + number, folder, questions=2, samples=2, **kind)
