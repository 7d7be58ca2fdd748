"""The command line's verbs for students: what they hand on, what they print, and one sentence for what is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.commands import Command
from tunixhack.errors import MissingExtra
from tunixhack.train import optional_imports
from tunixhack.train.export.exported import Exported
from tunixhack.train.inference.format_compliance import StudentReply
from tunixhack.train.machine import doctor
from tunixhack.train.machine.facts import Device, Facts
from tunixhack.train.machine.versions import TESTED
from tunixhack.train.old_names import OPTIONS


class Parrot:
    """A student that says back what it is asked, in capitals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: dict[str, Any] = {}

    def generate_all(self, questions: list[str], **options: Any) -> list[StudentReply]:
        self.told = options
        return [StudentReply(f"\x1b[1m{question.upper()}", len(question), True) for question in questions]

    def export(self, out: Path, formats: list[str], say: Callable[[str], object]) -> Exported:
        self.told = {"out": out, "formats": formats}
        say("exported")
        return Exported(folder=out)


@pytest.fixture
def student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parrot:
    """What stands for training, loading and devices."""
    parrot = Parrot(tmp_path / "student")
    parrot.folder.mkdir()
    told = {"base": {"name": "m", "fingerprint": "f"}, "settings": {}, "data": {"key": "k", "datasets": []}}
    (parrot.folder / "student.json").write_text(json.dumps(told | {"status": "finished"}))

    def sft(*given: Any, **told: Any) -> Parrot:
        parrot.told = {"given": given} | told
        return parrot

    fakes = SimpleNamespace(sft=sft, StudentHandle=SimpleNamespace(load=lambda folder, accept_terms: parrot))
    monkeypatch.setattr(optional_imports, "import_optional", lambda module, what: fakes)
    monkeypatch.setattr(doctor, "require_device", lambda cpu: parrot.told.update(cpu=cpu))
    return parrot


def test_train_hands_on_what_it_is_told_and_nothing_else(tunixhack: Command, student: Parrot):
    done = tunixhack(
        "train", "runs/a", "runs/b=0.5", "--model", "m", "--method", "full", "--epochs", "3", "--hours", "8.5",
        "--learning-rate", "1e-4", "--format", "think", "--accept-terms", "--cpu",
    )  # fmt: skip
    assert done.code == 0
    given = {name: value for name, value in student.told.items() if value is not None}
    assert given == {
        "given": (["runs/a", "runs/b=0.5"], "m", "full"),
        "epochs": 3,
        "hours": 8.5,
        "learning_rate": 1e-4,
        "format": "think",
        "samples": 10,
        "max_new_tokens": 768,
        "check_attention": False,
        "accept_terms": True,
        "cpu": True,
    }
    assert done.out.splitlines()[-1].strip() == f"tunixhack export {student.folder} DIR"


def test_train_as_json_is_the_record_of_the_training(tunixhack: Command, student: Parrot):
    done = tunixhack("train", "runs/a", "--model", "m", "--json")
    assert (done.json["folder"], done.json["status"]) == (str(student.folder), "finished")


def test_train_hands_on_every_setting_that_it_names():
    import inspect

    from tunixhack.cli import train as cli_train
    from tunixhack.train.settings import Settings

    settings = {field.name for field in dataclasses.fields(Settings)}
    named = set(inspect.signature(cli_train.train).parameters)
    assert settings - named == {"warmup_ratio", "max_grad_norm", "weight_decay", "compute"}, "from Python only"


OLD = [(old, new.removeprefix("--").replace("-", "_")) for old, new in OPTIONS.items()]
"""Options of version 0.1, and the arguments of today."""


@pytest.mark.parametrize(
    ("option", "setting"), [("--micro-batch-size", "micro_batch_size"), *OLD],
)  # fmt: skip
def test_options_have_the_fields_names_and_keep_their_old_ones(
    tunixhack: Command, student: Parrot, option: str, setting: str
):
    assert tunixhack("train", "runs/a", "--model", "m", option, "4").code == 0
    assert student.told[setting] == 4


def test_the_help_tells_the_defaults_and_shows_flags_without_a_type(
    tunixhack: Command, monkeypatch: pytest.MonkeyPatch
):
    from tunixhack.train.settings import Settings, settings

    monkeypatch.setenv("COLUMNS", "500")
    lines = [line for line in tunixhack("train", "--help").out.splitlines() if "--" in line]
    told = {line.split("--")[1].split()[0].split(",")[0]: line for line in lines}
    for name in ("epochs", "max_seq_len", "batch_size", "lora_rank", "lora_alpha", "seed"):
        assert f"; {getattr(Settings(), name):g} if left out." in told[name.replace("_", "-")]
    assert f"; {Settings().validation_questions} if left out." in told["validation-questions"]
    rates = [f"{settings(method).learning_rate:.0e}".replace("e-0", "e-") for method in ("lora", "qlora", "full")]
    assert rates == ["2e-4", "2e-4", "2e-5"]
    assert "2e-4 for lora and qlora, 2e-5 for full" in told["learning-rate"]
    assert not set(told) & {old.removeprefix("--") for old, _ in OLD}
    assert "<bool>" not in tunixhack("train", "--help").out + tunixhack("build", "--help").out


def test_training_and_the_command_line_agree_on_its_options():
    import inspect

    pytest.importorskip("tunix", reason="needs tunixhack[train]")
    from tunixhack.cli import train as cli_train
    from tunixhack.train.settings import Settings
    from tunixhack.train.supervised import sft

    taken = set(inspect.signature(sft).parameters) | {field.name for field in dataclasses.fields(Settings)}
    assert set(inspect.signature(cli_train.train).parameters) - {"as_json"} <= taken


def test_a_question_gets_its_reply_without_what_a_terminal_obeys(tunixhack: Command, student: Parrot):
    done = tunixhack("generate", student.folder, "why?", "--temperature", "0.5", "--seed", "7", "--cpu")
    assert (done.code, done.out) == (0, "\ufffd[1mWHY?\n")
    assert (student.told["temperature"], student.told["seed"], student.told["max_new_tokens"]) == (0.5, 7, 768)


def test_a_reply_as_json_is_an_object(tunixhack: Command, student: Parrot):
    done = tunixhack("generate", student.folder, "why?", "--json")
    assert done.json == {"question": "why?", "reply": "\x1b[1mWHY?", "tokens": 4, "finished": True}


def test_a_file_of_questions_becomes_a_file_of_replies(tunixhack: Command, student: Parrot, tmp_path: Path):
    asked, out = tmp_path / "questions.jsonl", tmp_path / "replies.jsonl"
    asked.write_text('{"question": "shorten", "context": "a text"}\n{"prompt": "why?"}\n')
    done = tunixhack("generate", student.folder, "--questions", asked, "--out", out)
    assert done.out == f"2 replies in {out}\n"
    first, second = map(json.loads, out.read_text().splitlines())
    assert "a text" in first["question"]
    assert "shorten" in first["question"]
    assert (second["question"], second["reply"]) == ("why?", "\x1b[1mWHY?")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("", "is empty: it has no questions"),
        ('{"text": "why?"}', "row 1: there is no text in a column named question or prompt; the columns are text"),
        ('{"question": " "}', "row 1: there is no text"),
        ('{"question": ', "line 1: not JSON"),
    ],
)
def test_a_file_that_is_none_of_questions_is_refused_before_anything_is_loaded(
    tunixhack: Command, student: Parrot, tmp_path: Path, row: str, sentence: str
):
    (tmp_path / "questions.jsonl").write_text(row)
    done = tunixhack("generate", student.folder, "--questions", tmp_path / "questions.jsonl")
    assert done.code == 2
    assert sentence in done.sentence
    assert "loading" not in done.err


@pytest.mark.parametrize("arguments", [(), ("why?", "--questions", "file.jsonl")])
def test_asking_nothing_or_two_things_is_refused(tunixhack: Command, student: Parrot, arguments: tuple[str, ...]):
    done = tunixhack("generate", student.folder, *arguments)
    assert (done.code, done.sentence) == (2, "give a question, or --questions FILE, and not both")


def test_export_hands_on_folder_and_formats(tunixhack: Command, student: Parrot, tmp_path: Path):
    done = tunixhack("export", student.folder, tmp_path / "e", "--formats", "safetensors, gguf", "--json")
    assert student.told == {"out": tmp_path / "e", "formats": ["safetensors", "gguf"]}
    assert done.json["folder"] == str(tmp_path / "e")
    assert "exported" in done.err


@pytest.mark.parametrize("verb", [("train", "runs/a", "--model", "m"), ("generate", "s", "why?"), ("export", "s", "e")])
def test_without_the_extra_a_sentence_points_to_the_doctor(
    tunixhack: Command, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
):
    def missing(module: str, what: str) -> None:
        raise MissingExtra("train", f"{what} (jax is missing)", ask_doctor=True)

    monkeypatch.setattr(optional_imports, "import_optional", missing)
    done = tunixhack(*verb)
    assert done.code == 2
    assert re.search(r'pip install .*\[train\]"; `tunixhack doctor` tells', done.sentence)


def test_the_doctor_ends_with_0_where_a_training_can_start_and_2_where_not(
    tunixhack: Command, monkeypatch: pytest.MonkeyPatch
):
    versions = {name: spec.removeprefix("==").replace("*", "8") for name, spec in TESTED.items()} | {"jax": "0.11.2"}
    facts = Facts(devices=(Device("cpu", "cpu", None),), versions=versions)
    monkeypatch.setattr(doctor, "gather", lambda root: facts)
    assert tunixhack("doctor").code == 0
    assert tunixhack("doctor", "--json").json["well"] is True
    facts = dataclasses.replace(facts, versions=versions | {"flax": "0.10.0"}, tunix_error="ImportError: no name")
    done = tunixhack("doctor")
    assert done.code == 2
    assert 'pip install "flax==0.12.*"' in done.out
    done = tunixhack("doctor", "--json")
    assert (done.code, done.json["findings"][0]["grave"]) == (2, True)
