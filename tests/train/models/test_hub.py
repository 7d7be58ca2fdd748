"""Students of the Hub, over real HTTP from a server of our own: what is downloaded, and what each failure says.

Each is looked for in a fresh process, because the Hub's library reads its environment when it is imported.
"""

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.hub import Hub
from tests.waiting import PATIENCE
from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.models.hub import HUB_ID, needed_files

ROOT = Path(__file__).resolve().parents[3]
FIND = textwrap.dedent(
    """
    import json, sys
    from tunixhack.errors import UserError
    from tunixhack.train.models import hub
    said = []
    try:
        folder = hub.download(*json.loads(sys.argv[1]), said.append)
    except UserError as error:
        print("ANSWER" + json.dumps({"error": str(error)}))
    else:
        files = sorted(path.name for path in folder.rglob("*") if path.is_file())
        print("ANSWER" + json.dumps({"folder": str(folder), "files": files, "said": said}))
    """
)
STUDENT = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repos")
    tiny = write_tiny_student(folder / "tiny")
    (tiny / "pytorch_model.bin").write_bytes(bytes(1000))
    (tiny / "original").mkdir()
    (tiny / "original" / "model.safetensors").write_bytes(bytes(1000))
    bare = folder / "bare"
    bare.mkdir()
    (bare / "config.json").write_text("{}")
    repos = {"user/tiny": tiny, "user/gated": tiny, "user/bare": bare}
    with Hub(repos, gated=frozenset({"user/gated"}), status={"user/closed": 403, "user/broken": 502}) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def look_for(hub, home, repo, revision=None, **environment):
    """Download in a fresh process, and check that it ended without a traceback."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    clean |= {"HF_HUB_DISABLE_XET": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FIND, json.dumps([repo, revision])],
        env=clean | environment, cwd=home, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("ANSWER")[2])


def test_only_what_a_student_needs_is_downloaded_at_one_commit(hub, home):
    found = look_for(hub, home, "user/tiny")
    assert found["files"] == STUDENT
    assert Path(found["folder"]).name == hub.commit("user/tiny")
    assert len(found["said"]) == 1
    again = look_for(hub, home, "user/tiny", HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    assert again["folder"] == found["folder"]
    at_commit = look_for(hub, home, "user/tiny", hub.commit("user/tiny"))
    assert at_commit["folder"] == found["folder"]


def test_offline_and_not_in_the_cache(hub, home):
    found = look_for(hub, home, "user/never", HF_HUB_OFFLINE="1")
    assert "user/never is not in the cache: go online once" in found["error"]


@pytest.mark.parametrize(
    ("repo", "revision", "sentence"),
    [
        ("user/gated", None, "is gated: accept its terms at {endpoint}/user/gated, then set HF_TOKEN"),
        ("user/none", None, "there is no model user/none on the Hub at {host}"),
        ("user/none", None, "or it is private or gated: see {endpoint}/user/none, and set HF_TOKEN"),
        ("user/tiny", "v9", "has no revision v9: see {endpoint}/user/tiny/commits/main"),
        ("user/closed", None, "answers 403 for user/closed: accept the terms at {endpoint}/user/closed"),
        ("user/broken", None, "answers 502 for user/broken"),
        ("user/bare", None, "has no tokenizer.json and no *.safetensors"),
    ],
)
def test_a_failure_is_one_sentence(hub, tmp_path, repo, revision, sentence):
    found = look_for(hub, tmp_path, repo, revision)
    host = hub.endpoint.removeprefix("http://")
    assert sentence.format(endpoint=hub.endpoint, host=host) in found["error"]
    assert "\n" not in found["error"]


def test_a_hub_that_is_not_there(hub, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = look_for(hub, tmp_path, "user/tiny", HF_ENDPOINT=f"http://127.0.0.1:{free.getsockname()[1]}")
    assert "cannot be reached for user/tiny" in found["error"]


def test_the_parts_of_an_index_are_needed_and_other_weights_are_not():
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"
    other = ["consolidated.safetensors", "pytorch_model.bin", "onnx/model.onnx", "README.md", "LICENSE"]
    found = needed_files([*parts, index, *other, "config.json", "tokenizer.json"], "u/m")
    assert found == sorted([*parts, index, "LICENSE", "README.md", "config.json", "tokenizer.json"])


def test_an_adapter_is_told_of_before_it_is_downloaded():
    with pytest.raises(UserError, match="it is a LoRA adapter"):
        needed_files(["adapter_config.json", "adapter_model.safetensors"], "u/m")


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("google/gemma-3-1b-it", ("google/gemma-3-1b-it", None)),
        ("user/name@v1.0", ("user/name", "v1.0")),
        ("user/name@refs/pr/3", ("user/name", "refs/pr/3")),
        ("a/b/c", None),
        ("../up", None),
        ("name", None),
    ],
)
def test_what_is_an_id(spec, parts):
    match = HUB_ID.fullmatch(spec)
    assert (match and (match["repo"], match["revision"])) == parts
