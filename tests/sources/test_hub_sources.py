"""Every domain's default source from a small Hub, open, gated and private, in the files and columns of the real one.

A row of our own in each; where the real rows lie beside the checkout, those too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.hub import Hub
from tests.other_process import OtherProcess
from tunixhack.domain_files import domains, find
from tunixhack.errors import UserError
from tunixhack.sources.source import Source

MEMBER, STRANGER = "hf_member", "hf_stranger"


def instruction(words: str) -> dict[str, Any]:
    return {"instruction": words, "input": "The bridge is shut.", "output": "It is closed."}


ROWS: dict[str, dict[str, Any]] = {
    "brainstorm": instruction("Name three uses of a closed bridge."),
    "code": {
        "task_id": 1, "text": "Write a function to add two numbers.", "code": "def add(a, b):\r\n    return a + b",
        "test_list": ["assert add(1, 2) == 3"], "test_setup_code": "", "challenge_test_list": [],
    },
    "creative": {"conversations": [{"from": "human", "value": "Write about a bridge."}]},
    "general": {
        "instruction": "Why is the bridge shut?", "context": "The bridge is being painted.", "response": "For paint.",
        "category": "closed_qa",
    },
    "math": {"question": "A bridge has 2 towers of 3 m. How many metres?", "answer": "2 * 3 = <<2*3=6>>6 #### 6"},
    "rewrite": instruction("Say it more formally."),
    "science": {
        "question": "What rusts?", "distractor3": "gold", "distractor1": "glass", "distractor2": "wood",
        "correct_answer": "iron", "support": "Iron rusts in wet air.",
    },
    "summarize": {"article": "The bridge is shut. It is painted.", "highlights": "A bridge is painted .", "id": "1"},
}  # fmt: skip
"""A row of each, in its real columns."""


def serve(domain: str, folder: Path, real: Path | None) -> Path:
    """Write a domain's dataset as a repository: data files, and configs in the card where it has several."""
    source = find(domain).source
    name = source.name or "data"
    (folder / name).mkdir(parents=True)
    if real is None:
        file = folder / name / "train.parquet"
        pl.DataFrame([ROWS[domain]]).write_parquet(file)
    else:
        file = Path(shutil.copy(real, folder / name))
    if source.name:
        other = f"- config_name: other\n  data_files: [{{split: train, path: {name}/none.jsonl}}]\n"
        files = f"[{{split: train, path: {name}/{file.name}}}]"
        card = f"---\nconfigs:\n- config_name: {source.name}\n  data_files: {files}\n{other}---\n"
    else:
        card = ""
    # no other test's folder has this commit
    (folder / "README.md").write_text(f"{card}Served from {folder}.\n")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with Hub({}) as server:
        yield server


def elsewhere(server: Hub, home: Path) -> OtherProcess:
    """A process whose Hub this is: the Hub's libraries read where it is when they are imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return OtherProcess(clean | {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"})


@pytest.fixture(scope="module")
def online(server: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    with elsewhere(server, tmp_path_factory.mktemp("home")) as process:
        yield process


@pytest.fixture
def hub(server: Hub, tmp_path: Path) -> Hub:
    """A Hub with all of them, the accounts that own them, and two more."""
    server.repos = {find(domain).source.path: serve(domain, tmp_path / domain, None) for domain in on_the_hub()}
    owners = {f"hf_{owner(path)}": owner(path) for path in server.repos}
    server.tokens = {MEMBER: "member", STRANGER: "stranger"} | owners
    server.accepted, server.gated, server.private = frozenset({"member"}), frozenset(), set()
    return server


def on_the_hub() -> list[str]:
    """Name the domains whose questions come from the Hub: all but the one that makes them."""
    return [name for name in domains() if isinstance(find(name).source, Source)]


def owner(path: str) -> str:
    return path.split("/")[0]


def load_as(token: str) -> dict[str, dict[str, Any]]:
    """Load every domain's source with a token; for another process."""
    os.environ["HF_TOKEN"] = token
    return {domain: load_one(domain) for domain in on_the_hub()}


def load_one(domain: str) -> dict[str, Any]:
    try:
        loaded = find(domain).source.load(domain)
    except UserError as error:
        return {"error": str(error)}
    row = loaded.rows.row(0, named=True)
    return {"row": row, "rejected": loaded.rejected.height, "resolved": loaded.resolved}


def load(online: OtherProcess, *tokens: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a token, a domain's dataset and what became of it."""
    for token in tokens:
        found = online(load_as, token)
        assert sorted(found) == on_the_hub()
        for domain in on_the_hub():
            said = found[domain].get("error", "")
            assert "\n" not in said
            assert not token or token not in said
            yield token, find(domain).source.path, found[domain] | {"domain": domain}


def test_every_default_source_is_read_at_its_commit_as_from_a_file(hub: Hub, online: OtherProcess):
    assert sum(as_from_a_file(hub, path, found) for _, path, found in load(online, "")) == len(on_the_hub())


def test_every_default_source_that_is_here_is_read_in_its_real_rows(
    hub: Hub, online: OtherProcess, tmp_path: Path, shared_data: Path
):
    served = dict(hub.repos)
    for domain in on_the_hub():
        path = find(domain).source.path
        real = next((shared_data / path.split("/")[1]).glob("train.*"), None)
        if real is not None:
            served[path] = serve(domain, tmp_path / "real" / domain, real)
    hub.repos = served
    assert sum(as_from_a_file(hub, path, found) for _, path, found in load(online, "")) == len(on_the_hub())


def as_from_a_file(hub: Hub, path: str, found: dict[str, Any]) -> bool:
    recipe = find(found["domain"])
    assert "resolved" in found, found
    assert found["resolved"]["commit"] == hub.commit(path)
    assert found["resolved"]["columns"] == "own"
    (file,) = (hub.repos[path] / (recipe.source.name or "data")).iterdir()
    direct = recipe.replace(source=file).source.load(recipe.domain)
    assert found["row"] == direct.rows.row(0, named=True) | {"source": path}
    assert found["resolved"]["rows"] == direct.resolved["rows"]
    return bool(found["rejected"] == direct.rejected.height)


def test_a_gated_source_names_the_page_to_accept_and_is_read_once_its_terms_are(hub: Hub, tmp_path: Path):
    hub.gated = frozenset(hub.repos)
    with elsewhere(hub, tmp_path / "home") as process:  # what was loaded by others would come from the cache
        for token, path, found in load(process, "", STRANGER, MEMBER):
            page = f"{hub.endpoint}/datasets/{path}"
            says = f"dataset {path} is gated: accept its terms at {page}, then set HF_TOKEN"
            assert ("row" in found) if token == MEMBER else (says in found["error"])


def test_a_private_source_names_its_page_and_the_token_and_is_read_by_its_owner(hub: Hub, online: OtherProcess):
    hub.private = set(hub.repos)
    owners = [token for token, account in hub.tokens.items() if account in map(owner, hub.repos)]
    for token, path, found in load(online, "", STRANGER, *owners):
        says = f"there is no dataset {path} on the Hub at 127.0.0.1"
        where = f"see {hub.endpoint}/datasets/{path}, and set HF_TOKEN"
        if hub.tokens.get(token) == owner(path):
            assert "row" in found, found
        else:
            assert says in found["error"]
            assert where in found["error"]


def test_a_token_that_the_hub_does_not_know_is_one_sentence(hub: Hub, online: OtherProcess):
    for _, path, found in load(online, "hf_unknown"):
        said = f"answers 401 for dataset {path}: set HF_TOKEN to a token that may read {hub.endpoint}/datasets/{path}"
        assert said in found["error"]
