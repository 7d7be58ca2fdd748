"""Imports without garbage collection: once, and collection goes on behind them."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, sys
from tunixhack._util.imports import without_collection

gc.collect()
before = gc.get_freeze_count()
with without_collection("decimal"):
    assert not gc.isenabled()
    import decimal
assert gc.isenabled()
apart = gc.get_freeze_count()
assert apart > before, "what was imported is looked through no more"
with without_collection("decimal"):
    assert gc.isenabled(), "it is imported already"
assert gc.get_freeze_count() == apart
try:
    with without_collection("no_such_module"):
        import no_such_module
except ImportError:
    pass
assert gc.isenabled(), "also behind an import that failed"
gc.disable()
with without_collection("no_such_module"):
    pass
assert not gc.isenabled(), "who has switched it off wants it so"
"""


def test_what_is_imported_is_set_apart_once_and_collection_goes_on():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)


def test_a_build_imports_so():
    code = "import gc, sys; from tunixhack.cli.main import main; sys.argv[1:] = ['build', 'no_such_domain']\n"
    code += "try:\n    main()\nexcept SystemExit as ended:\n    assert ended.code == 2\n"
    code += "assert gc.isenabled() and gc.get_freeze_count() > 100_000, gc.get_freeze_count()"
    subprocess.run([sys.executable, "-c", code], check=True)
