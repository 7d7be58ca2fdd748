"""The Hub, over real HTTP from a server of our own: what is loaded at which commit, and what each failure says.

Loads run in processes of their own, because the Hub's libraries read their environment when they are imported.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.hub import Hub
from tests.other_process import OtherProcess
from tunixhack.errors import UserError
from tunixhack.sources.source import Source

README = """---
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train.jsonl}
  - {split: test, path: main/test.jsonl}
---
"""
CREATIVE = "sam-paech/essays-creative-writing-prompts"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("repos")
    (folder / "creative").mkdir()
    conversations = [[{"from": "human", "value": text}] for text in ("A door hums.", " ", "A cat votes.")]
    pl.DataFrame({"conversations": conversations}).write_parquet(folder / "creative" / "train.parquet")
    (folder / "plain" / "main").mkdir(parents=True)
    (folder / "plain" / "README.md").write_text(README)
    for split in ("train", "test"):
        (folder / "plain" / "main" / f"{split}.jsonl").write_text(json.dumps({"question": f"{split}?"}) + "\n")
    repos = {CREATIVE: folder / "creative", "user/plain": folder / "plain", "user/gated": folder / "plain"}
    with Hub(repos, gated=frozenset({"user/gated"}), status={"user/closed": 403, "user/broken": 502}) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def elsewhere(hub: Hub, home: Path, **environment: str) -> OtherProcess:
    """A process whose Hub this is, and that keeps what it loads in ``home``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    return OtherProcess(clean | environment, cwd=home)


@pytest.fixture(scope="module")
def online(hub: Hub, home: Path) -> Iterator[OtherProcess]:
    with elsewhere(hub, home) as process:
        yield process


def load(spec: str) -> dict[str, Any]:
    """Load a place in the stead of a domain's source; for other processes."""
    return loaded(Source("user/other", columns={"question": "prompt"}).override(spec))


def load_default() -> dict[str, Any]:
    """Load a domain's own source; for other processes."""
    from tunixhack.recipes import creative

    return loaded(creative.recipe.source)


def loaded(source: Source) -> dict[str, Any]:
    try:
        found = source.load("creative")
    except UserError as error:
        return {"error": str(error)}
    questions, rejected = found.rows["question"].to_list(), found.rejected["source_row"].to_list()
    return {"resolved": found.resolved, "questions": questions, "rejected": rejected}


def test_a_domains_default_source_comes_from_the_hub_at_its_commit(hub: Hub, online: OtherProcess) -> None:
    pytest.importorskip("bespokelabs.curator")
    found = online(load_default)
    assert found["questions"] == ["A door hums.", "A cat votes."]
    assert found["rejected"] == [1]
    assert found["resolved"] == {
        "path": CREATIVE, "name": None, "split": "train", "revision": None, "commit": hub.commit(CREATIVE),
        "sha256": None, "columns": "own", "rows": 3,
    }  # fmt: skip
    files = [path for path in hub.asked if f"{CREATIVE}/resolve/" in path]
    assert files
    assert all(hub.commit(CREATIVE) in path for path in files)  # never of a branch, which may have moved on since


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_what_was_loaded_comes_from_the_cache(switch: str, hub: Hub, home: Path, online: OtherProcess) -> None:
    found = online(load, "user/plain")
    asked = len(hub.asked)
    with elsewhere(hub, home, **{switch: "1"}) as process:
        assert process(load, "user/plain") == found
        assert len(hub.asked) == asked
        assert "user/none is not in the cache" in process(load, "user/none")["error"]
        missing = "a" * 40
        error = process(load, f"user/plain@{missing}")["error"]
    assert missing in error
    assert hub.commit("user/plain") in error, "the cache is not taken for another commit"


def test_config_split_and_revision_are_what_is_loaded(hub: Hub, online: OtherProcess) -> None:
    commit = hub.commit("user/plain")
    test = online(load, f"user/plain:main/test@{commit}")
    assert test["questions"] == ["test?"]
    assert (test["resolved"]["revision"], test["resolved"]["commit"]) == (commit, commit)
    assert test["resolved"]["columns"] == "plain"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("user/none", "there is no dataset user/none on the Hub at 127.0.0.1"),
        ("user/plain@nowhere", "dataset user/plain has no revision nowhere"),
        ("user/plain:valid", "has no split 'valid': it has train, test"),
        ("user/plain:other/train", "BuilderConfig 'other' not found. Available: ['main']"),
        ("user/gated", "is gated: accept its terms at http://127.0.0.1"),
        ("user/closed", "answers 403 for dataset user/closed: set HF_TOKEN"),
        ("user/broken", "answers 502 for dataset user/broken"),
        ("user--name", "'user--name' is no dataset's id"),
    ],
)
def test_each_failure_is_one_sentence_that_says_what_to_do(online: OtherProcess, spec: str, says: str) -> None:
    error = online(load, spec)["error"]
    assert says in error
    assert "\n" not in error


def test_a_hub_that_is_not_there_is_one_sentence_without_its_password(hub: Hub, home: Path) -> None:
    with elsewhere(hub, home, HF_ENDPOINT="http://me:secret@127.0.0.1:9") as process:
        error = process(load, "user/plain")["error"]
    assert "the Hub at 127.0.0.1:9 cannot be reached for dataset user/plain" in error
    assert "secret" not in error


def test_a_hub_that_never_answers_is_given_up(hub: Hub, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with elsewhere(hub, home, HF_ENDPOINT=endpoint) as process:
            error = process(load, "user/plain")["error"]
    assert "cannot be reached" in error


def test_a_folder_of_the_same_name_is_not_taken_for_the_dataset(online: OtherProcess, home: Path) -> None:
    (home / "user" / "plain").mkdir(parents=True)
    try:
        assert "user/plain is a folder here" in online(load, "user/plain")["error"]
    finally:
        (home / "user" / "plain").rmdir()
