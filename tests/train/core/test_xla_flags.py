"""Flags of XLA's that are set before jax starts, and those that are left alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.train.core import xla_flags
from tunixhack.train.core.xla_flags import FLAGS, SWITCH, set_xla_flags


@pytest.fixture
def not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xla_flags.xla_bridge, "backends_are_initialized", lambda: False)


@pytest.mark.usefixtures("not_started")
@pytest.mark.parametrize(
    ("gpus", "environ"),
    [
        (0, {}),
        (1, {}),
        (8, {SWITCH: "0"}),
        (8, {"JAX_PLATFORMS": "cpu"}),
        (8, {"JAX_PLATFORMS": "tpu,cpu"}),
        (8, {"XLA_FLAGS": "--xla_gpu_enable_latency_hiding_scheduler=false"}),
    ],
)
def test_nothing_is_set_for_one_gpu_nor_where_the_user_wants_something_else(gpus: int, environ: dict[str, str]):
    before = dict(environ)
    assert set_xla_flags(gpus, environ) is None
    assert environ == before


@pytest.mark.usefixtures("not_started")
def test_for_several_gpus_flags_are_added_to_the_users_own_and_told():
    environ = {"XLA_FLAGS": "--xla_dump_to=dump", "JAX_PLATFORMS": "cuda"}
    told = set_xla_flags(2, environ)
    assert told is not None
    assert FLAGS[0] in told
    assert f"{SWITCH}=0" in told
    assert environ["XLA_FLAGS"] == f"--xla_dump_to=dump {FLAGS[0]}"
    assert set_xla_flags(2, environ) is None  # a second training in the same process


def test_nothing_is_set_where_a_backend_has_started():
    import jax

    jax.devices()
    environ: dict[str, str] = {}
    assert set_xla_flags(8, environ) is None
    assert environ == {}


def test_the_installed_xla_knows_the_flags():
    """One that it does not know would end the process."""
    done = subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices()"],
        env=os.environ | {"XLA_FLAGS": " ".join(FLAGS), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
