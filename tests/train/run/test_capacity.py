"""A training that cannot fit is refused before its first step, and one that may not is begun with a warning."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train.toy import SETTINGS, write_toy
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.core import memory_estimate
from tunixhack.train.models.load import find
from tunixhack.train.run import capacity
from tunixhack.train.settings import settings


def test_a_gpu_without_room_is_told_with_the_share_of_it_that_jax_has(tmp_path, monkeypatch):
    rows, tiny = write_toy(tmp_path, count=24)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    monkeypatch.setattr(capacity.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(capacity, "free_memory", lambda: 1000)
    with pytest.raises(UserError, match=r"does not fit into 0\.0 MB \(three quarters .*XLA_PYTHON_CLIENT_MEM_FRACTION"):
        train.sft(rows, tiny, out=tmp_path / "out", **SETTINGS, report=Reporter(quiet=True))


def test_memory_is_refused_where_it_is_certain_and_warned_of_where_the_estimate_may_err(tmp_path, monkeypatch):
    tiny = write_tiny_student(tmp_path / "tiny", "llama")
    base, chosen, said = find(str(tiny)), settings(max_seq_len=1024), io.StringIO()
    shape = memory_estimate.shape_of(base.family.tensors(base.config), settings=chosen)
    plain, remat = (memory_estimate.estimate_memory(shape, chosen, remat=twice) for twice in (False, True))

    def checked(free):
        said.truncate(0)
        monkeypatch.setattr(capacity, "free_memory", lambda: int(free))
        return capacity.check_memory(base, chosen, 1, Reporter(said))

    for free in (1.01 * remat.least, 0.99 * remat.most):
        assert checked(free).config != base.config, "each layer is computed twice"
        assert "memory may not suffice" in said.getvalue()
        assert "give a max_seq_len of at most" in said.getvalue()
    assert checked(2 * plain.total).config == base.config
    assert "may not suffice" not in said.getvalue()
    with pytest.raises(
        UserError, match=r"a step needs about .* on each device, which has .*: give a max_seq_len of at"
    ):
        checked(0.99 * remat.least)
    with pytest.raises(UserError, match=r"does not fit into .* take lora or qlora, a smaller student"):
        checked(1000)
