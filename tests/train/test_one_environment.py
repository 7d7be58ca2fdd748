"""Curator and Tunix in one environment: pip finds nothing wrong with versions that fail at import."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")


@pytest.mark.parametrize("order", [("bespokelabs.curator", "tunix"), ("tunix", "bespokelabs.curator")])
def test_curator_and_tunix_are_imported_by_one_process(order):
    code = "; ".join(f"import {name}" for name in order)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_trainer_does_not_import_curator():
    code = (
        "import sys, tunixhack.train.core.loss, tunixhack.train.data.packing, tunixhack.train.models.gemma3\n"
        "sys.exit(any(name.split('.')[0] in ('bespokelabs', 'litellm') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
