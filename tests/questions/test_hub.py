"""The Hub, over real HTTP from a server of our own: what is loaded at which commit, and what each failure says.

Each load runs in a fresh process, because the Hub's libraries read their environment when they are imported.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.hub import Hub

ROOT = Path(__file__).resolve().parents[2]
LOAD = textwrap.dedent(
    """
    import json, sys
    from tunixhack.errors import UserError
    from tunixhack.recipes import creative
    spec, source = json.loads(sys.argv[1]), creative.recipe.source
    try:
        source = source.override(spec) if spec else source
        loaded = source.load("creative")
    except UserError as error:
        print("ANSWER" + json.dumps({"error": str(error)}))
    else:
        questions = loaded.rows["question"].to_list()
        rejected = loaded.rejected["source_row"].to_list()
        print("ANSWER" + json.dumps({"resolved": loaded.resolved, "questions": questions, "rejected": rejected}))
    """
)
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


def load(hub: Hub, home: Path, spec: str | None = None, **environment: str) -> dict[str, Any]:
    """Load in a fresh process, and check that it ended without a traceback."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(spec)],
        env=clean | environment, cwd=home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.split("ANSWER", 1)[1])
    return answer


def test_a_domains_default_source_comes_from_the_hub_and_again_from_the_cache(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("bespokelabs.curator")
    online = load(hub, tmp_path)
    assert online["questions"] == ["A door hums.", "A cat votes."]
    assert online["rejected"] == [1]
    assert online["resolved"] == {
        "path": CREATIVE, "name": None, "split": "train", "revision": None, "commit": hub.commit(CREATIVE),
        "sha256": None, "columns": "own", "rows": 3,
    }  # fmt: skip
    files = [path for path in hub.asked if f"{CREATIVE}/resolve/" in path]
    assert files
    assert all(hub.commit(CREATIVE) in path for path in files)  # never of a branch, which may have moved on since
    for switch in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        asked = len(hub.asked)
        assert load(hub, tmp_path, **{switch: "1"}) == online
        assert len(hub.asked) == asked


def test_config_split_and_revision_are_what_is_loaded(hub: Hub, home: Path) -> None:
    commit = hub.commit("user/plain")
    test = load(hub, home, f"user/plain:main/test@{commit}")
    assert test["questions"] == ["test?"]
    assert (test["resolved"]["revision"], test["resolved"]["commit"]) == (commit, commit)
    assert test["resolved"]["columns"] == "plain"


def test_the_cache_is_not_taken_for_another_commit(hub: Hub, home: Path) -> None:
    load(hub, home, "user/plain")
    missing = "a" * 40
    error = load(hub, home, f"user/plain@{missing}", HF_HUB_OFFLINE="1")["error"]
    assert missing in error
    assert hub.commit("user/plain") in error


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
def test_each_failure_is_one_sentence_that_says_what_to_do(hub: Hub, home: Path, spec: str, says: str) -> None:
    error = load(hub, home, spec)["error"]
    assert says in error
    assert "\n" not in error


def test_a_hub_that_is_not_there_is_one_sentence_without_its_password(hub: Hub, home: Path) -> None:
    error = load(hub, home, "user/plain", HF_ENDPOINT="http://me:secret@127.0.0.1:9")["error"]
    assert "the Hub at 127.0.0.1:9 cannot be reached for dataset user/plain" in error
    assert "secret" not in error


def test_a_hub_that_never_answers_is_given_up(hub: Hub, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        error = load(hub, home, "user/plain", HF_ENDPOINT=endpoint)["error"]
    assert "cannot be reached" in error


def test_offline_without_a_copy_is_one_sentence(hub: Hub, home: Path) -> None:
    assert "user/none is not in the cache" in load(hub, home, "user/none", HF_HUB_OFFLINE="1")["error"]


def test_a_folder_of_the_same_name_is_not_taken_for_the_dataset(hub: Hub, home: Path) -> None:
    (home / "user" / "plain").mkdir(parents=True)
    try:
        assert "user/plain is a folder here" in load(hub, home, "user/plain")["error"]
    finally:
        (home / "user" / "plain").rmdir()
