"""Students by name: which name means what, and the sentences of those that are not folders."""

import sys
import types

import pytest

pytest.importorskip("tunix", reason="needs tunixhack[train]")

from tunixhack.errors import UserError
from tunixhack.testing.student import write_tiny_student
from tunixhack.train.models import hub, shipped
from tunixhack.train.models.load import find

HANDLE = "google/gemma-3/transformers/gemma-3-1b-it"


class FakeKaggle:
    """Stands for the package kagglehub."""

    def __init__(self, monkeypatch):
        self.asked, self.answer = [], None
        self.errors = types.ModuleType("kagglehub.exceptions")
        for name in ("UnauthenticatedError", "CredentialError", "NotFoundError", "KaggleApiHTTPError"):
            setattr(self.errors, name, type(name, (Exception,), {"response": None}))
        package = types.ModuleType("kagglehub")
        package.model_download = self.download
        monkeypatch.setitem(sys.modules, "kagglehub", package)
        monkeypatch.setitem(sys.modules, "kagglehub.exceptions", self.errors)

    def download(self, handle):
        self.asked.append(handle)
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)

    def status(self, status):
        error = self.errors.KaggleApiHTTPError()
        error.response = types.SimpleNamespace(status_code=status)
        return error


@pytest.fixture
def kagglehub(monkeypatch):
    return FakeKaggle(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return write_tiny_student(tmp_path / "tiny")


def test_a_hub_id_is_downloaded_under_its_own_name(monkeypatch, folder):
    asked = []
    monkeypatch.setattr(hub, "download", lambda *request: asked.append(request[:2]) or folder)
    assert find("user/tiny@main").name == "user/tiny@main"
    assert asked == [("user/tiny", "main")]


def test_a_folder_goes_before_an_id(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write_tiny_student("user/tiny")
    assert str(find("user/tiny").folder) == "user/tiny"


@pytest.mark.parametrize("name", ["nothing", "/no/such", "a/b/c", "~nobody-here/x/y", ""])
def test_a_name_that_means_nothing(name):
    with pytest.raises(UserError, match=r"there is no folder .*user/name"):
        find(name if name else "x y")


def test_no_such_gguf(tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*tiny\.gguf"):
        find(tmp_path / "tiny.gguf")


def test_kaggles_folder(kagglehub, folder):
    kagglehub.answer = folder
    assert find(f"kaggle:{HANDLE}").folder == folder
    assert kagglehub.asked == [HANDLE]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, r"accept its terms at https://www.kaggle.com/models/google/gemma-3 with the account"),
        (404, r"Kaggle has no model google/gemma-3/transformers"),
        (500, r"Kaggle answers 500"),
    ],
)
def test_kaggles_refusals(kagglehub, status, sentence):
    kagglehub.answer = kagglehub.status(status)
    with pytest.raises(UserError, match=sentence):
        find(f"kaggle:{HANDLE}")


def test_kaggle_asks_for_a_login(kagglehub):
    kagglehub.answer = kagglehub.errors.UnauthenticatedError()
    with pytest.raises(UserError, match=r"kagglehub.login\(\)"):
        find(f"kaggle:{HANDLE}")


def test_kaggle_cannot_be_reached(kagglehub):
    kagglehub.answer = ConnectionError("no route")
    with pytest.raises(UserError, match=r"cannot be had from Kaggle \(ConnectionError: no route\)"):
        find(f"kaggle:{HANDLE}")


def test_kaggles_other_formats_and_half_handles(kagglehub):
    with pytest.raises(UserError, match="in the format of flax"):
        find("kaggle:google/gemma-3/flax/gemma3-1b-it")
    with pytest.raises(UserError, match=r"names no model: write kaggle:OWNER/MODEL/FRAMEWORK/VARIATION"):
        find("kaggle:google/gemma-3")
    assert kagglehub.asked == []


def test_without_kagglehub(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r'pip install "kagglehub", or name a folder'):
        find(f"kaggle:{HANDLE}")


def test_shipped_names_are_fetched(monkeypatch, folder):
    asked = []
    monkeypatch.setattr(shipped, "gemma", lambda **options: asked.append(options["accept_terms"]) or folder)
    monkeypatch.setattr(shipped, "smollm2", lambda say: asked.append("smollm2") or folder)
    assert find("gemma-3-270m", accept_terms=True).name == "gemma-3-270m"
    assert find("smollm2-135m-instruct").name == "smollm2-135m-instruct"
    assert asked == [True, "smollm2"]


def test_kagglehub_has_the_errors_that_are_told_apart():
    errors = pytest.importorskip("kagglehub.exceptions")
    for name in ("UnauthenticatedError", "CredentialError", "NotFoundError", "KaggleApiHTTPError"):
        assert issubclass(getattr(errors, name), Exception)
