"""Checkpoints that something happened to: which one is used instead, and that it is said."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tests.train import kills
from tunixhack import train
from tunixhack._util.progress import Reporter
from tunixhack.errors import UserError
from tunixhack.train import record
from tunixhack.train.core import checkpoints, checksums

BATCH = kills.OPTIONS["batch_size"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Data, student, and a training of them with the checkpoints 12, 9 and 6, and what came of it."""
    folder = tmp_path_factory.mktemp("trained")
    toy = kills.write_student(folder)
    kills.run(*toy, folder / "out")
    return toy, folder / "out", kills.outcome(folder / "out")


@pytest.fixture
def out(trained, tmp_path):
    """A copy of its folder."""
    return shutil.copytree(trained[1], tmp_path / "out")


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def weights(place):
    return largest(place / "model_params")


def optimizer(place):
    return largest(place / "optimizer_state")


def manifest(place):
    return place / "model_params" / "manifest.ocdbt"


def names(place):
    return place / "optimizer_state" / "_METADATA"


def metadata(place):
    return place / "_CHECKPOINT_METADATA"


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zero(file):
    file.write_bytes(bytes(file.stat().st_size))


def empty(file):
    file.write_bytes(b"")


def garbage(file):
    file.write_bytes(b"{" * file.stat().st_size)


def remove(file):
    file.unlink()


def unseal(out):
    """Make checkpoints what earlier versions wrote: the same, without checksums."""
    for place in checkpoints.saved(out / "actor"):
        (place / checksums.FILE).unlink()


def problem(place):
    return checkpoints.training_problem(place, BATCH)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("damage", [cut, zero, empty, garbage, remove])
@pytest.mark.parametrize("file", [weights, optimizer, manifest, names, metadata])
def test_no_damage_is_taken_for_whole(out, sealed, damage, file):
    if not sealed:
        unseal(out)
    newest = checkpoints.latest(out / "actor")
    assert problem(newest) is None
    damage(file(newest))
    assert problem(newest) is not None
    # the weights alone are as good as they were, unless it is they that were damaged
    assert (checkpoints.weights_problem(newest) is None) == (file in (optimizer, names, metadata))


@pytest.mark.parametrize(
    "place",
    [
        None,
        {},
        [],
        "12",
        {"parent": {"next_index": 3}, "next_row": 0, "counter": 11 * BATCH},
        {"parent": {"next_index": -3}, "next_row": 0, "counter": 12 * BATCH},
        {"parent": {}, "next_row": 0, "counter": 12 * BATCH},
        {"parent": {"next_index": 3}, "next_row": 0, "counter": True},
    ],
)
def test_the_place_in_the_data_is_that_of_the_step(out, place):
    unseal(out)
    newest = checkpoints.latest(out / "actor")
    told = json.loads(metadata(newest).read_text())
    metadata(newest).write_text(json.dumps(told | {"custom_metadata": {"place": place}}))
    assert problem(newest) == "_CHECKPOINT_METADATA has no place in the data behind 12 steps"


def test_it_goes_on_from_the_newest_whole_one_to_the_same_end(trained, out, capsys):
    toy, _, whole = trained
    cut(weights(out / "actor" / "12"))
    # Tunix would go on from another place in the data than that of the step
    told = json.loads(metadata(out / "actor" / "6").read_text())
    metadata(out / "actor" / "9").write_text(json.dumps(told))
    said = kills.run(*toy, out)["said"]
    assert "12 is damaged or incomplete, since model_params/" in said
    assert "9 is damaged or incomplete, since _CHECKPOINT_METADATA has no place in the data behind 9 steps" in said
    assert said.count(": step 6 is used") == 2
    assert "going on behind step 6 of 12" in said
    assert kills.same(kills.outcome(out), whole)
    assert problem(out / "actor" / "12") is None
    aside = {place.name for place in (out / "actor").iterdir() if not place.name.isdigit()}
    assert aside == {"damaged-12", "damaged-9"}


def test_where_none_is_whole_it_says_so_and_changes_nothing(trained, out):
    toy, _, _ = trained
    for place, damage in zip(checkpoints.saved(out / "actor"), (cut, empty, remove), strict=True):
        damage(optimizer(place))
    before = {path: path.stat().st_mtime_ns for path in (out / "actor").rglob("*")}
    with pytest.raises(UserError, match=r"none of its checkpoints is intact: step 12: .*; step 9: .*; step 6: .*"):
        kills.run(*toy, out)
    with pytest.raises(UserError, match=r"none of its checkpoints is intact"):
        kills.run(*toy, out.with_name("new"), resume_from=out)
    assert {path: path.stat().st_mtime_ns for path in (out / "actor").rglob("*")} == before
    assert record.read(out).status == "finished"


def test_another_folder_goes_on_from_the_newest_whole_one_and_leaves_the_damaged_one(trained, out):
    toy, _, whole = trained
    zero(optimizer(out / "actor" / "12"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    new = out.with_name("new")
    said = kills.run(*toy, new, resume_from=out)["said"]
    assert "going on behind step 9 of 12" in said
    assert kills.same(kills.outcome(new), whole)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_asked_and_exported_is_the_newest_one_whose_weights_are_whole(trained, out, tmp_path, capsys):
    cut(weights(out / "actor" / "12"))
    cut(optimizer(out / "actor" / "9"))  # which nothing of this needs
    student = train.Student.load(out)
    assert "12 is damaged or incomplete, since model_params" in capsys.readouterr().err
    assert student.step == 9
    student.export(tmp_path / "export", ("orbax",), check=False, say=str)
    assert (tmp_path / "export" / "orbax" / "actor" / "9" / "model_params").is_dir()


def test_with_no_whole_weights_there_is_no_student(out, tunixhack):
    for place in checkpoints.saved(out / "actor"):
        remove(manifest(place))
    done = tunixhack("generate", out, "why?", "--cpu")
    assert done.code == 2
    assert "has no intact checkpoint" in done.sentence
    assert "12" in done.sentence
    assert "manifest.ocdbt is missing" in done.sentence


def test_of_two_folders_the_whole_copy_is_taken(out, tmp_path):
    scratch = tmp_path / "large"
    shutil.copytree(out / "actor", scratch / "actor")
    cut(weights(out / "actor" / "12"))
    found = checkpoints.newest(out, str(scratch), problem)
    assert found.place == scratch / "actor" / "12"
    remove(metadata(scratch / "actor" / "12"))
    assert checkpoints.newest(out, str(scratch), problem).place.name == "9"


def test_a_half_written_checkpoint_is_no_checkpoint(out):
    (out / "actor" / "15.orbax-checkpoint-tmp").mkdir()
    (out / "actor" / "15").write_text("a file")
    assert [place.name for place in checkpoints.saved(out / "actor")] == ["12", "9", "6"]
    (out / "actor" / "18").mkdir()  # somebody's, or what a copy left
    found = checkpoints.newest(out, None, problem)
    assert found.place.name == "12"
    assert found.messages == [
        f"the checkpoint {out / 'actor' / '18'} is damaged or incomplete, since model_params is missing: "
        "step 12 is used"
    ]


def test_reporting_goes_where_the_caller_wants_it(out):
    import io

    cut(weights(out / "actor" / "12"))
    told = io.StringIO()
    assert train.Student.load(out, report=Reporter(told)).step == 9
    assert "WARNING: the checkpoint" in told.getvalue()
