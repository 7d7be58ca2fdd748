"""Joining a Ray cluster: what is not there, does not answer or is not installed is a sentence, and soon."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from tests.commands import Command
from tunixhack.errors import MissingExtra, UserError
from tunixhack.launch.ray_cluster import check_reachable, imported_ray

WORDS = ["--", "build", "creative", "--out"]


def test_without_ray_the_extra_is_named_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tunixhack: Command
):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name, *more))
    with pytest.raises(MissingExtra, match=r"\[ray\]"):
        imported_ray()
    result = tunixhack("launch", "ray", *WORDS, str(tmp_path / "run"))
    assert result.code == 2
    assert "launching on a Ray cluster needs packages that are not installed" in result.sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["head", "ray://head", "http://head:x", ":6379", "head:99999999"])
def test_an_address_that_is_none_is_a_sentence(address: str):
    with pytest.raises(UserError, match="is no address of a cluster"):
        check_reachable(address)


def test_a_head_that_takes_no_connections_is_a_sentence_and_not_minutes_of_waiting():
    with socket.socket() as free:  # it is bound, and does not listen
        free.bind(("127.0.0.1", 0))
        for scheme in ("", "ray://"):
            address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
            with pytest.raises(UserError, match=f"the Ray cluster at {address} does not take connections"):
                check_reachable(address)


def test_a_machine_without_a_cluster_is_told_how_to_have_one(
    tmp_path: Path, tunixhack: Command, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("ray", reason="needs tunixhack[ray]")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    result = tunixhack("launch", "ray", *WORDS, str(tmp_path / "run"))
    assert result.code == 2
    assert "there is no Ray cluster on this machine: start one with ray start --head" in result.sentence
