"""Which versions pip may take: by pyproject.toml, and by the constraints files of the versions that were tested."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tunixhack.errors import WITHOUT_CURATOR

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = {"0.10": "constraints.txt", "0.11": "constraints-jax-0.11.txt"}
"""Each jax that the trainer works with, and the file of the versions that were tested with it."""


def wanted(extra: str, python: str) -> dict[str, Requirement]:
    """Return what an extra installs on Linux under a Python, with the extras of this package that it names."""
    found: dict[str, Requirement] = {}
    for line in PROJECT["optional-dependencies"][extra]:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"python_version": python, "sys_platform": "linux"}):
            continue
        if need.name == "tunixhack":
            for name in need.extras:
                found |= wanted(name, python)
        else:
            found[need.name] = need
    return found


def constrained(jax: str, python: str) -> dict[str, str]:
    """Return the versions of a constraints file under a Python."""
    lines = (ROOT / CONSTRAINTS[jax]).read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {
        pin.name.lower().replace("_", "-"): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate({"python_version": python})
    }


@pytest.mark.parametrize("extra", ["generate", "local", "all"])
def test_curator_is_installed_where_it_works_and_not_where_its_pandas_would_be_compiled(extra: str):
    assert "bespokelabs-curator" in wanted(extra, "3.12")
    assert "bespokelabs-curator" not in wanted(extra, "3.13")
    assert WITHOUT_CURATOR == (3, 13)


@pytest.mark.parametrize("jax", CONSTRAINTS)
@pytest.mark.parametrize(("python", "pandas"), [("3.12", "2.2.2"), ("3.13", "2.3.3")])
def test_no_constraint_asks_for_a_pandas_without_wheels(jax: str, python: str, pandas: str):
    assert constrained(jax, python)["pandas"] == pandas


@pytest.mark.parametrize("jax", CONSTRAINTS)
@pytest.mark.parametrize("extra", ["all", "tpu", "cuda", "test", "lint", "docs"])
def test_each_constraints_file_has_a_tested_version_of_all_that_is_named(jax: str, extra: str):
    pins = constrained(jax, "3.12")
    assert pins["jax"].startswith(f"{jax}.")
    for name, need in wanted(extra, "3.12").items():
        assert need.specifier.contains(pins[name.lower().replace("_", "-")]), name
