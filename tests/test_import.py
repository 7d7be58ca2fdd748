"""What importing costs, and what it needs to be there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import tunixhack

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"aiohttp", "bespokelabs", "datasets", "jax", "litellm", "numpy", "pandas", "polars", "pyarrow", "xllamacpp"}
LOADED_WHEN_USED = {
    "flax",
    "gguf",
    "jax",
    "litellm",
    "math_verify",
    "matplotlib",
    "openai",
    "optax",
    "rapidfuzz",
    "sympy",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
    "tunix",
    "xllamacpp",
}
"""What a domain needs when it is built or verified, not when it is imported."""

NO_CURATOR = """
    import sys

    class NotInstalled:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in {"bespokelabs", "litellm"}:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, NotInstalled())
"""


def fresh_python(*sources: str) -> str:
    """Run the sources in a process of its own, since this one has long imported everything, and return its output."""
    code = "\n".join(textwrap.dedent(source) for source in sources)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy():
    loaded = fresh_python("import sys, tunixhack; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert not HEAVY & set(loaded)


def test_completing_the_names_of_the_package_loads_nothing_heavy():
    loaded = fresh_python("import sys, tunixhack; dir(tunixhack); print(*sys.modules)").split()
    assert "Recipe" in dir(tunixhack)
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize(
    "module",
    [
        "cli.main",
        "train",
        "steps",
        "teachers.registry.listing",
        "train.machine.doctor",
        "train.data.datasets",
        "train.inference.batch_generate",
        "train.supervised",
    ],
)
def test_polars_is_loaded_where_a_table_is_read_and_not_before(module: str):
    if module == "train.supervised":
        pytest.importorskip("tunix", reason="needs tunixhack[train]")
    loaded = fresh_python(f"import sys, tunixhack.{module}; print(*sys.modules)").split()
    assert f"tunixhack.{module}" in loaded
    assert "polars" not in loaded


def test_importing_a_domain_loads_of_the_heavy_packages_only_what_curator_itself_loads():
    pytest.importorskip("bespokelabs.curator", reason="needs tunixhack[generate]")
    loaded = fresh_python(
        """
        import sys

        from tunixhack import recipes

        for name in recipes.domains():
            __import__(f"tunixhack.recipes.{name}")
        print(*sys.modules)
        """
    ).split()
    assert "tunixhack.recipes.creative" in loaded
    assert "bespokelabs.curator" in loaded
    assert not LOADED_WHEN_USED & {name.split(".")[0] for name in loaded}


@pytest.mark.parametrize("name", tunixhack.__all__)
def test_every_public_name_resolves(name):
    assert getattr(tunixhack, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Recipes'"):
        tunixhack.Recipes  # noqa: B018 - reading the attribute is the point


def test_a_domain_without_curator_names_the_extra_that_brings_it():
    said = fresh_python(
        NO_CURATOR,
        """
        from tunixhack.errors import MissingExtra

        try:
            from tunixhack.recipes import creative
        except MissingExtra as error:
            print(error.extra, error)
        """,
    )
    assert said.startswith("generate ")
    assert re.search(r'pip install .*\[generate\]"', said)


def test_a_domain_under_a_python_without_curator_is_one_sentence_about_python():
    said = fresh_python(
        NO_CURATOR,
        """
        from tunixhack import errors
        from tunixhack.errors import MissingExtra, UserError

        errors.WITHOUT_CURATOR = (3, 11)  # as if this Python were the first
        try:
            from tunixhack.recipes import creative
        except UserError as error:
            print(isinstance(error, MissingExtra), error)
        """,
    )
    assert said.startswith(
        "False asking a teacher needs Curator, which works with Python 3.11 and 3.12 alone, and this"
    )
    assert said.count("\n") == 1


def test_the_core_works_without_curator():
    fresh_python(NO_CURATOR, "import tunixhack; tunixhack.Run, tunixhack.Recipe, tunixhack.Source, tunixhack.Verdict")


def imports_of(file: Path) -> set[str]:
    """Name the modules of the package that a file imports, also those within functions, but none for types alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
        waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("package", ["teachers", "bakeoff"])
def test_no_module_imports_itself_over_others(package: str):
    files = (ROOT / "tunixhack").rglob("*.py")
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}
    imports = {name: imports_of(file) & modules.keys() for name, file in modules.items()}
    for start in (name for name in modules if name.startswith(f"tunixhack.{package}.")):
        reached: set[str] = set()
        waiting = set(imports[start])
        while waiting:
            name = waiting.pop()
            reached.add(name)
            waiting |= imports[name] - reached
        assert start not in reached


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist())


def test_the_wheel_carries_all_files_of_the_package(wheel_files):
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tunixhack").rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} <= wheel_files
    assert "tunixhack/py.typed" in wheel_files


def test_the_wheel_carries_the_shipped_questions(wheel_files):
    shipped = {name for name in wheel_files if name.startswith("tunixhack/sources/shipped/")}
    assert any(name.endswith(".jsonl") for name in shipped)


def test_the_wheel_carries_the_named_datasets(wheel_files):
    ours = {path.name for path in (ROOT / "recipes").glob("*.py")}
    assert ours
    assert {f"tunixhack/named_datasets/{name}" for name in ours} <= wheel_files


NO_POSIX = """
    import sys

    class Windows:
        def find_spec(self, name, path=None, target=None):
            if name in {"resource", "fcntl", "termios", "pwd", "grp"}:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Windows())
    for name in ("resource", "fcntl", "termios", "pwd", "grp"):
        sys.modules.pop(name, None)
"""


@pytest.mark.parametrize("needs_curator", ["tunixhack.recipes.creative", "tunixhack.teachers.llm"])
@pytest.mark.parametrize("installed", [True, False])
def test_on_windows_whatever_needs_curator_names_wsl2_in_a_sentence(needs_curator: str, installed: bool):
    said = fresh_python(
        NO_POSIX if installed else NO_CURATOR + NO_POSIX,
        f"""
        from tunixhack.errors import UserError

        try:
            import {needs_curator}
        except UserError as error:
            print(type(error).__name__, error)
        """,
    )
    assert said == "UserError generating answers needs Linux or macOS: on Windows, run this inside WSL2\n"


def test_on_windows_the_command_line_says_so_and_the_rest_works(tmp_path: Path):
    said = fresh_python(
        "import psutil",  # Linux's needs `resource`, Windows's does not
        NO_POSIX,
        f"""
        from contextlib import redirect_stderr
        from io import StringIO

        from tunixhack import Run
        from tunixhack.cli import main as cli

        stderr = StringIO()
        sys.argv = ["tunixhack", "build", "creative", "--out", {str(tmp_path / "run")!r}]
        with redirect_stderr(stderr):
            try:
                cli.main()
            except SystemExit as ended:
                print(ended.code, "Traceback" in stderr.getvalue(), stderr.getvalue().splitlines()[-1])
        """,
    )
    assert said.startswith("2 False ")
    assert said.endswith("generating answers needs Linux or macOS: on Windows, run this inside WSL2\n")
