"""A run is published from disk: the card and the kept answers, nothing else, and each refusal is one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.builds import build, small_recipe, write_questions
from tests.commands import Command
from tests.hub_push import PushHub
from tests.waiting import PATIENCE
from tunixhack.errors import TeacherFailed, UserError
from tunixhack.publish.push import push
from tunixhack.runs.run import Run
from tunixhack.runs.tables import TableWriter, table_files
from tunixhack.testing import Faults, ScriptedTeacher

ROOT = Path(__file__).resolve().parents[2]
TOKEN, READER, OTHER = "hf_writes", "hf_reads", "hf_other"
NAME = "me/stories"
PUBLISHED = ("README.md", "train.parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("push")
    with ScriptedTeacher(faults=Faults(truncated=0.2)) as teacher:
        return build(small_recipe(write_questions(folder / "questions.jsonl", 20)), teacher, folder / "run")


@pytest.fixture
def unfinished(tmp_path: Path) -> Run:
    """A run whose last answers are missing: its files are written, and it goes on."""
    recipe = small_recipe(write_questions(tmp_path / "questions.jsonl", 20))
    faults = Faults(script=("ok",) * 18 + ("404",) * 40)
    with ScriptedTeacher(faults=faults) as teacher, pytest.raises(TeacherFailed):
        build(recipe, teacher, tmp_path / "run")
    return Run.load(tmp_path / "run")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushHub]:
    """A Hub of three accounts, which this process uses as the first of them."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    tokens = {TOKEN: "me", READER: "reader", OTHER: "other"}
    with PushHub({}, tokens=tokens, readers=frozenset({"reader"}), inbox=tmp_path / "hub") as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield server


def refused(run: Run, repo: str = NAME, **options: bool | str | None) -> str:
    with pytest.raises(UserError) as error:
        push(run, repo, **options)  # type: ignore[arg-type]
    said = str(error.value)
    assert "\n" not in said
    assert not any(token in said for token in (TOKEN, READER, OTHER))
    return said


# what is published


def test_the_hub_has_the_card_and_the_kept_answers_and_nothing_else_of_the_folder(run: Run, hub: PushHub):
    pushed = push(run.folder, NAME)
    files = hub.files(NAME)
    assert set(files) - {".gitattributes"} == set(PUBLISHED) == {"README.md", "train.parquet"}
    assert all(files[name] == (run.folder / name).read_bytes() for name in PUBLISHED)
    assert (pushed.page, pushed.rows) == (f"{hub.endpoint}/datasets/{NAME}", run.train.height)
    assert pushed.commit == hub.commit(NAME)
    assert str(pushed).endswith("to be seen by everybody")


def test_it_is_loaded_back_as_the_kept_answers(run: Run, hub: PushHub, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
    environment |= {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    load = f"import datasets; datasets.load_dataset({NAME!r})['train'].to_parquet('back.parquet')"
    for command in (["-m", "tunixhack", "push", str(run.folder), NAME, "--private"], ["-c", load]):
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "back.parquet").equals(run.train)
    assert NAME in hub.private


def test_the_same_name_again_takes_what_the_run_has_now(run: Run, hub: PushHub, unfinished: Run):
    push(unfinished, NAME, yes=True)
    push(run, NAME)
    assert hub.files(NAME)["train.parquet"] == (run.folder / "train.parquet").read_bytes()


def test_a_revision_is_a_branch_and_leaves_main_alone(run: Run, hub: PushHub):
    for _ in range(2):  # the second time the branch is there
        pushed = push(run, NAME, revision="draft")
    assert pushed.page.endswith(f"/{NAME}/tree/draft")
    assert "train.parquet" not in hub.files(NAME)
    assert set(hub.files(NAME, "draft")) == set(PUBLISHED)
    assert pushed.commit == hub.commit(NAME, "draft")


def test_a_private_one_stays_private_without_saying_so_again(run: Run, hub: PushHub):
    assert push(run, NAME, private=True).private
    again = push(run, NAME)
    assert again.private
    assert "you alone" in str(again)


def sharded(run: Run, folder: Path, bytes_each: int) -> list[str]:
    """Copy a run whose kept answers stand in several files; return their names."""
    shards = copied(run, folder)
    (folder / "train.parquet").unlink()
    with TableWriter(folder, "train", most_bytes=bytes_each) as writer:
        for rows in run.train.iter_slices(5):
            writer.add(rows)
    return [path.name for path in table_files(shards.folder, "train")]


def sent(hub: PushHub) -> int:
    return len(hub.objects)


def test_a_push_of_several_files_that_was_stopped_goes_on_with_those_that_are_missing(
    run: Run, hub: PushHub, tmp_path: Path
):
    names = sharded(run, tmp_path / "large", 6000)
    assert len(names) > 2
    push(run, NAME)
    before = hub.files(NAME)
    hub.broken_after = len(hub.objects) + 2
    assert "answers 403" in refused(Run.load(tmp_path / "large"))
    assert hub.files(NAME) == before, "nobody sees a half of them"
    hub.broken_after = None
    there = sent(hub)
    push(tmp_path / "large", NAME)
    assert sent(hub) - there == len(names) - 2
    files = hub.files(NAME)
    assert set(files) - {".gitattributes"} == {"README.md", *names}, "the one file of before is gone"
    assert all(files[name] == (tmp_path / "large" / name).read_bytes() for name in names)
    there = sent(hub)
    push(tmp_path / "large", NAME)
    assert sent(hub) == there, "what the Hub has is not sent again"


# what is refused


def test_an_unfinished_run_is_published_only_when_told_so(unfinished: Run, hub: PushHub):
    said = refused(unfinished)
    assert "is not finished" in said
    assert "--yes publishes" in said
    assert hub.asked == []
    assert push(unfinished, NAME, yes=True).rows == unfinished.train.height > 0


def test_a_run_without_files_or_rows_has_nothing_to_publish(run: Run, hub: PushHub, tmp_path: Path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "run.json").write_bytes((run.folder / "run.json").read_bytes())
    assert "has no README.md yet, so there is nothing to publish" in refused(Run.load(tmp_path / "bare"), yes=True)
    (tmp_path / "bare" / "README.md").touch()
    run.train.head(0).write_parquet(tmp_path / "bare" / "train.parquet")
    assert "train.parquet has no rows" in refused(Run.load(tmp_path / "bare"), yes=True)
    assert hub.asked == []


def copied(run: Run, folder: Path) -> Run:
    folder.mkdir()
    for name in ("run.json", *PUBLISHED):
        (folder / name).write_bytes((run.folder / name).read_bytes())
    return Run.load(folder)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_a_link_leads_to_is_not_published(name: str, run: Run, hub: PushHub, tmp_path: Path):
    linked = copied(run, tmp_path / "linked")
    (tmp_path / "diary.txt").write_text("dear diary")
    (linked.folder / name).unlink()
    for there in (tmp_path / "diary.txt", run.folder / name, tmp_path / "nowhere"):
        (linked.folder / name).symlink_to(there)
        assert f"{name} is a link, and what it leads to is no part of the run" in refused(linked, yes=True)
        (linked.folder / name).unlink()
    assert hub.asked == []


def test_a_folder_that_is_itself_linked_is_published(run: Run, hub: PushHub, tmp_path: Path):
    (tmp_path / "there").symlink_to(run.folder)
    assert push(tmp_path / "there", NAME).rows == run.train.height


def test_an_address_that_an_older_version_wrote_is_replaced_before_it_is_published(
    run: Run, hub: PushHub, tmp_path: Path
):
    (address,) = run.state()["teachers"]
    old = copied(run, tmp_path / "old")
    old.train.with_columns(teacher=pl.lit(address)).write_parquet(old.folder / "train.parquet")
    card = old.folder / "README.md"
    card.write_text(f"{card.read_text(encoding='utf-8')}- Teacher: {address} (scripted)\n", encoding="utf-8")
    assert push(old, NAME).rows == run.train.height
    assert old.train.equals(run.train)
    assert address not in card.read_text(encoding="utf-8")
    assert address in old.state()["teachers"], "the folder itself remembers who was asked"


def test_private_is_no_promise_where_the_dataset_is_public_already(run: Run, hub: PushHub):
    push(run, NAME)
    before = len(hub.asked)
    assert f"public, which --private does not change: change it at {hub.endpoint}/datasets/{NAME}/settings" in refused(
        run, private=True
    )
    assert not [asked for asked in hub.asked[before:] if asked.startswith(("POST", "PUT"))]


@pytest.mark.parametrize("repo", ["stories", "me/stories/1", "me/", "me/my stories", "https://hub/me/stories"])
def test_a_name_that_is_none_is_told_before_anything_is_asked(repo: str, run: Run, hub: PushHub):
    assert "which looks like user/name" in refused(run, repo)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "set HF_TOKEN to a token with the role write, from"),
        ("hf_unknown", "answers 401 for dataset me/stories: it does not take the token; set HF_TOKEN"),
        (READER, "answers 403 for dataset me/stories: the token may not write to http://127.0.0.1"),
        (OTHER, "of an account that may write as me"),
        ("hf two", "HF_TOKEN is no token"),
        ("hf_\x07", "HF_TOKEN is no token"),
        ("hf_é", "HF_TOKEN is no token"),
    ],
)
def test_a_token_that_does_not_do_is_one_sentence_that_never_has_it(
    token: str, says: str, run: Run, hub: PushHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    said = refused(run)
    assert says in said
    assert not token or token not in said
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("part", "status", "says"),
    [
        ("/repos/create", 500, "answers 500 for dataset me/stories: the same command tries again"),
        ("/commit/", 404, "answers 404 for dataset me/stories: see whether http://127.0.0.1"),
        ("/objects/batch", 403, "answers 403 for dataset me/stories: the token may not write"),
        ("/lfs/", 403, "answers 403 for dataset me/stories"),
    ],
)
def test_a_hub_that_fails_on_the_way_is_one_sentence(part: str, status: int, says: str, run: Run, hub: PushHub):
    hub.broken = {part: status}
    assert says in refused(run)


def test_a_card_that_the_hub_refuses_is_told_with_its_reason(run: Run, hub: PushHub, tmp_path: Path):
    for name in ("run.json", "train.parquet"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    (tmp_path / "README.md").write_text("---\nlicense: [1]\n---\n# Mine\n")
    assert '"license" must be a string' in refused(Run.load(tmp_path))
    assert "train.parquet" not in hub.files(NAME)


def test_no_hub_and_an_offline_one_are_one_sentence(run: Run, hub: PushHub, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://me:secret@127.0.0.1:{port}")
    said = refused(run)
    assert f"the Hub at 127.0.0.1:{port} cannot be reached to publish me/stories" in said
    assert "secret" not in said
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(run)


# the command


def test_the_command_says_where_it_is(run: Run, hub: PushHub, tunixhack: Command):
    done = tunixhack("push", run.folder, NAME)
    assert done.code == 0
    assert f"are at {hub.endpoint}/datasets/{NAME} (commit {hub.commit(NAME)[:12]})" in done.out
    assert tunixhack("push", run.folder, NAME, "--json").json["rows"] == run.train.height
    assert tunixhack("push", run.folder, "stories").code == 2
