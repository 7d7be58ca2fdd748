"""Counting in a student's tokens, from a file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.waiting import PATIENCE
from tunixhack.errors import MissingExtra, UserError
from tunixhack.tokenizers import BATCH, student_counter

tokenizers = pytest.importorskip("tokenizers")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def student(tmp_path):
    """A folder with a tokenizer of words, which adds a start token, and is set to cut and to pad."""
    words = tokenizers.models.WordLevel({"[UNK]": 0, "[BOS]": 1, "a": 2, "b": 3}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[BOS] $A", special_tokens=[("[BOS]", 1)]
    )
    tokenizer.enable_truncation(max_length=4)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("file", ["", "tokenizer.json"])
def test_texts_are_counted_whole_and_without_start_token_or_padding(student, file):
    count = student_counter(str(student / file))
    assert count(["a b", "", "a b a b a b a new"]) == [2, 0, 8]
    assert count([]) == []


def test_order_is_kept_over_several_batches(student):
    lengths = [i % 7 for i in range(BATCH + 10)]
    assert student_counter(str(student))(["a " * n for n in lengths]) == lengths


def test_folder_without_a_tokenizer_names_what_is_needed(tmp_path):
    with pytest.raises(UserError, match=r"--student .*no tokenizer\.json"):
        student_counter(str(tmp_path))


def test_file_that_is_no_tokenizer_is_one_sentence(tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"GGUF\xff\x00")
    with pytest.raises(UserError, match=r"weights\.gguf is not a tokenizer"):
        student_counter(str(tmp_path / "weights.gguf"))


@pytest.mark.parametrize("student", ["./gone/tokenizer.json", "gone.json", "~nobody-of-this-name/x", "a/b/c"])
def test_path_that_is_not_there_is_not_looked_for_on_the_hub(student, monkeypatch):
    monkeypatch.setattr("tunixhack.tokenizers._from_hub", lambda *args: pytest.fail("asked the Hub"))
    with pytest.raises(UserError, match="no such file or folder"):
        student_counter(student)


def test_id_that_the_hub_cannot_give_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"--student nobody/no-such-model: .*give a folder"):
        student_counter("nobody/no-such-model")


def counted_by(hub: Hub, student: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Count the tokens of a text in a process of its own, whose Hub this one is."""
    program = (
        "from tunixhack.tokenizers import student_counter; from tunixhack.errors import UserError\n"
        f"try: print(student_counter({student!r})(['a b a']))\n"
        "except UserError as error: print(error)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    clean |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"} | environment
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env=clean, cwd=ROOT, timeout=PATIENCE)


@pytest.fixture
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def hub(student):
    with Hub(repos={"user/words": student, "user/closed": student}, gated=frozenset({"user/closed"})) as hub:
        yield hub


def test_the_hub_is_asked_for_the_file_alone_and_the_cache_does_where_it_is_away(hub, home):
    assert counted_by(hub, "user/words", home).stdout == "[3]\n"
    assert not [path for path in hub.asked if "resolve" in path and "tokenizer.json" not in path]
    for offline in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        assert counted_by(hub, "user/words", home, **offline).stdout == "[3]\n"


def test_a_hub_that_is_away_is_one_sentence_and_nothing_else(hub, home):
    told = counted_by(hub, "user/words", home, HF_ENDPOINT="http://127.0.0.1:9")
    assert told.stderr == ""
    assert told.stdout.startswith("--student user/words: there is no such file or folder here, and the Hub cannot be")
    assert told.stdout.count("\n") == 1


def test_gated_model_says_to_accept_its_terms(hub, home):
    told = counted_by(hub, "user/closed", home)
    assert f"gated: accept its terms at {hub.endpoint}/user/closed and set HF_TOKEN" in told.stdout


def test_unknown_model_says_that_it_may_be_private(hub, home):
    told = counted_by(hub, "user/none", home)
    assert f"no such model on the Hub that this login may read: see {hub.endpoint}/user/none" in told.stdout


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[generate\]"):
        student_counter("x")
