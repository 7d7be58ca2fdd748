"""Questions that are made: their spelling, their number, and that train and test share none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunixhack.errors import MissingExtra, UserError
from tunixhack.sources.gym import MOST, GymSource, families, split_of
from tunixhack.sources.source import Source
from tunixhack.verifiers import gym_family


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what these tests make out of the user's cache, and what is in that out of these tests."""
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "cache"))


needed = pytest.mark.skipif(not pytest.importorskip("importlib.util").find_spec("reasoning_gym"), reason="needs [gym]")


@pytest.mark.parametrize(
    "source",
    [
        GymSource(),
        GymSource(split="test", size=7),
        GymSource(families=("gcd", "chain_sum"), difficulty="easy", size=300),
    ],
)
def test_a_spelling_names_the_same_source(source: GymSource):
    assert GymSource(families=("dice",), split="train").override(source.spelling()) == source


def test_what_a_spelling_leaves_out_stays():
    base = GymSource(families=("gcd",), difficulty="easy", size=9)
    assert base.override("gym") == base
    assert base.override("gym@hard") == GymSource(families=("gcd",), difficulty="hard", size=9)
    assert base.override("gym/test") == GymSource(families=("gcd",), difficulty="easy", size=9, split="test")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("gym:chain_summ", "did you mean chain_sum"),
        ("gym:gcd@esy", "did you mean easy"),
        ("gym:gcd/tset", "did you mean test"),
        ("gym:gcd,gcd", "names one twice"),
        ("gym:gcd:0", "between 1 and"),
        ("gym:gcd:1000000000", "between 1 and"),
        ("gym:gcd@", "has no difficulty ''"),
        ("gym:gcd:many", "is no source"),
        ("gym:spiral_matrix", "is unknown"),
        ("shipped", "ships no questions"),
        ("gone.jsonl", "no file"),
    ],
)
def test_a_slip_is_one_sentence(spec: str, said: str):
    with pytest.raises(UserError, match=said):
        GymSource().override(spec)


@pytest.mark.parametrize("size", [0, -1, MOST + 1, True, 2.0, "9"])
def test_a_size_out_of_bounds_is_told(size):
    with pytest.raises(UserError, match="size="):
        GymSource(size=size)


def test_a_family_without_a_difficulty_says_which_it_has():
    family, has = next((one, has) for one, has in families().items() if "hard" not in has)
    with pytest.raises(UserError, match=f"{family} has no questions at difficulty hard: it has {', '.join(has)}"):
        GymSource(families=(family,), difficulty="hard")


def test_a_dataset_of_the_hub_is_still_one():
    assert isinstance(GymSource().override("user/gym:main/train"), Source)


def test_without_the_extra_the_sentence_says_what_brings_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gym_family, "installed_version", lambda distribution: None)
    with pytest.raises(MissingExtra, match=r"\[gym\]"):
        GymSource().load("gym")


@needed
def test_train_and_test_share_no_text_even_where_a_family_has_few():
    texts = {}
    for split in ("train", "test"):
        loaded = GymSource(families=("chain_sum",), difficulty="easy", split=split, size=3000).load("gym")
        texts[split] = set(loaded.rows["question"])
        assert loaded.rows.height == len(texts[split]) < 3000  # it is used up
        assert loaded.resolved["repeated"] > 0
        assert loaded.resolved["of_other_split"] > 0
        assert {split_of(text) for text in texts[split]} == {split}
    assert len(texts["test"]) > 20
    assert not texts["train"] & texts["test"]


@needed
def test_an_item_whose_answer_is_empty_or_refused_by_its_own_verifier_is_left_out(monkeypatch: pytest.MonkeyPatch):
    def made(family: str, difficulty: str, number: int) -> dict[str, object]:
        return {"question": f"Which of the {number}?", "answer": "7" if number % 2 else " ", "refused": number % 3 == 1}

    monkeypatch.setattr("tunixhack.sources.gym.item", made)
    monkeypatch.setattr("tunixhack.sources.gym.score", lambda family, difficulty, answer, one: 1 - one["refused"])
    loaded = GymSource(families=("gcd",), size=20).load("gym")
    assert set(loaded.rows["reference"]) == {"7"}
    assert loaded.rows.height == 20
    assert loaded.resolved["without_answer"] > 0
    assert loaded.resolved["refused_answer"] > 0
    assert all(number % 3 != 1 for number in loaded.rows["source_row"])


@needed
def test_a_smaller_source_is_the_beginning_of_a_larger_one():
    small, large = (GymSource(families=("chain_sum", "dice", "gcd"), size=size).load("gym").rows for size in (50, 80))
    assert small.equals(large.head(50))


@needed
def test_another_process_makes_the_same(tmp_path: Path):
    code = (
        "from tunixhack.sources.gym import GymSource\n"
        "from tunixhack._util.ids import digest\n"
        "print(digest(GymSource(size=160).load('gym').rows.to_dicts()))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-O", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "TUNIXHACK_CACHE": str(tmp_path / seed)},
        ).stdout
        for seed in ("3", "4")
    }
    assert len(said) == 1


@needed
def test_another_version_is_another_source(monkeypatch: pytest.MonkeyPatch):
    before = GymSource().describe()
    monkeypatch.setattr("tunixhack.sources.gym.version", lambda: "0.2.0")
    after = GymSource().describe()
    assert before != after
    assert after["version"] == "0.2.0"


@needed
def test_a_second_start_makes_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = GymSource(families=("chain_sum", "gcd"), size=30)
    first = source.load("gym")

    def made(*_: object) -> dict[str, object]:
        raise AssertionError("a question was made again")

    monkeypatch.setattr("tunixhack.sources.gym.item", made)
    second = source.load("gym")
    assert second.rows.equals(first.rows)
    assert second.resolved == first.resolved
    others = [
        GymSource(families=("chain_sum",), size=30),
        GymSource(families=("chain_sum", "gcd"), size=31),
        GymSource(families=("chain_sum", "gcd"), size=30, split="test"),
        GymSource(families=("chain_sum", "gcd"), size=30, difficulty="easy"),
    ]
    for other in others:
        with pytest.raises(AssertionError, match="made again"):
            other.load("gym")
    monkeypatch.setattr("tunixhack.sources.gym.version", lambda: "0.2.0")
    with pytest.raises(AssertionError, match="made again"):
        source.load("gym")


@needed
def test_a_cache_that_is_damaged_or_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = GymSource(families=("gcd",), size=9)
    whole = source.load("gym")
    (file,) = (tmp_path / "cache" / "gym").iterdir()
    for content in (b"", b"no parquet", file.read_bytes()[:-9]):
        file.write_bytes(content)
        assert source.load("gym").rows.equals(whole.rows)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TUNIXHACK_CACHE", str(tmp_path / "file"))
    assert source.load("gym").rows.equals(whole.rows)
