"""A part of the extra [train] that cannot be imported points to the doctor; a mistake of our own does not."""

from __future__ import annotations

import sys

import pytest

from tunixhack.errors import MissingExtra, UserError
from tunixhack.train import optional_imports


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A module of somebody else's whose import does what a test says."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(code):
        (tmp_path / "brittle.py").write_text(code)
        sys.modules.pop("brittle", None)

    yield write
    sys.modules.pop("brittle", None)


def test_what_is_there_is_imported():
    assert optional_imports.import_optional("json", "training").__name__ == "json"


def test_a_package_that_is_not_installed_is_told_with_its_extra(broken):
    broken("import no_such_package")
    with pytest.raises(MissingExtra, match=r"training \(no_such_package is missing\).*\[train\].*doctor"):
        optional_imports.import_optional("brittle", "training")


@pytest.mark.parametrize(
    "code", ["from json import no_such_name", "raise TypeError('Descriptors cannot be created')", "import json; json.x"]
)
def test_versions_that_clash_point_to_the_doctor(broken, code):
    broken(code)
    with pytest.raises(UserError, match=r"training cannot be imported \(\w+Error: .*tunixhack doctor"):
        optional_imports.import_optional("brittle", "training")


def test_a_mistake_of_our_own_is_not_blamed_on_versions(broken, tmp_path, monkeypatch):
    broken("raise NameError('sft')")
    monkeypatch.setattr(optional_imports, "PACKAGE", tmp_path)
    with pytest.raises(NameError):
        optional_imports.import_optional("brittle", "training")
    with pytest.raises(ModuleNotFoundError):
        optional_imports.import_optional("tunixhack.train.no_such_module", "training")


def test_that_google_leaves_a_version_of_python_is_not_told_at_every_start_and_all_else_is(broken):
    tell = "warnings.warn_explicit({!r}, FutureWarning, 'x.py', 1, module={!r})"
    ours = ("You are using a Python version (3.11.7) which Google will stop supporting", "google.api_core.{}")
    code = [
        tell.format(ours[0], ours[1].format("_python_version_support")),
        tell.format("Your Google is old", ours[1].format("_python_version_support")),
        tell.format(ours[0], ours[1].format("other")),
    ]
    broken("\n".join(["import warnings", *code]))
    with pytest.warns(FutureWarning) as told:
        optional_imports.import_optional("brittle", "training")
    assert [str(one.message)[:18] for one in told] == ["Your Google is old", "You are using a Py"]
