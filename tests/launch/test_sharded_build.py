"""The commands of a build's parts, and what no part can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunixhack.errors import UserError
from tunixhack.launch.sharded_build import ShardedBuild


def whole(*words: str, shards: int = 2) -> ShardedBuild:
    return ShardedBuild(words=words, shards=shards, launcher="ray")


@pytest.mark.parametrize("out", [["--out", "runs/a b"], ["--out=runs/a b"]])
def test_each_part_is_the_command_that_a_person_would_type(out: list[str]):
    build = whole("build", "creative", *out, "--no-seed", shards=12)
    assert build.prepare() == ["prepare", "creative", *out, "--no-seed"]
    assert [build.shard(which)[-2:] for which in build.numbers()][8:10] == [["--shard", "9/12"], ["--shard", "10/12"]]
    assert build.merge() == ["merge", "runs/a b", "--out", "runs/a b-whole"]
    assert build.whole == Path("runs/a b-whole")


@pytest.mark.parametrize("address", ["http://me:s3cret@gpu:8000/v1#m", "https://gpu/v1?api_key=s3cret"])
def test_a_password_in_an_address_is_refused_since_commands_are_written_down(address: str):
    with pytest.raises(UserError, match=r"has a password or key in it.*--teacher @servers\.txt") as refused:
        whole("build", "creative", "--teacher", address, "--out", "runs/a")
    assert "s3cret" not in str(refused.value)


def test_an_option_without_its_value_is_none():
    build = whole("build", "creative", "--out", "runs/a", "--teacher")
    assert build.option("--teacher") is None
    assert build.option("--source") is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "runs/a"], "launch ray --shards 16 -- build creative"),
        (["build"], "behind -- stands the build"),
        (["build", "creative"], "names no --out"),
        (["build", "creative", "--out", "x", "--shard", "1/2"], "--shard has no place .* each part has its own"),
        (["build", "creative", "--out", "x", "--accepted=5"], "--accepted has no place"),
        (["build", "creative", "--out", "x", "--preview"], "--preview has no place"),
    ],
)
def test_what_no_shard_can_do_is_a_sentence(words: list[str], told: str):
    with pytest.raises(UserError, match=told):
        whole(*words)
    with pytest.raises(UserError, match="--shards 0: give at least one"):
        whole("build", "creative", "--out", "x", shards=0)
