"""A student says what it is in a line, and does not repeat its weights."""

from pathlib import Path
from types import SimpleNamespace

from tests import hostile
from tunixhack.train.settings import settings
from tunixhack.train.student import Student


def student(**changes):
    base = SimpleNamespace(name=changes.pop("name", "google/gemma-3-270m"), parameters=270_000_000)
    return Student(base=base, model=None, mesh=None, renderer=None, settings=settings("lora"), **changes)


def test_it_is_one_line_in_a_terminal_and_a_table_in_a_notebook():
    trained = student(folder=Path("students/creative"))
    assert repr(trained) == "Student(google/gemma-3-270m, lora, trained in 'students/creative')"
    assert repr(student()) == "Student(google/gemma-3-270m, lora)"
    for told in ("google/gemma-3-270m", "270,000,000", "lora", "students/creative"):
        assert told in trained._repr_html_()


def test_what_its_base_calls_itself_has_no_effect():
    odd = student(name=hostile.ALL)
    assert not hostile.obeyed(repr(odd) + odd._repr_html_())
    assert "<script" not in odd._repr_html_()
