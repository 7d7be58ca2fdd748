"""An error is a sentence for the user, and knows its exit code (contract 12)."""

from __future__ import annotations

import re

import pytest

from tests import hostile
from tunixhack.errors import MissingExtra, NearlyAllDropped, TeacherFailed, TunixHackError, UserError, nearest


@pytest.mark.parametrize(
    ("kind", "code"), [(UserError, 2), (MissingExtra, 2), (TeacherFailed, 3), (NearlyAllDropped, 4)]
)
def test_every_error_has_its_exit_code(kind: type[TunixHackError], code: int):
    assert kind.exit_code == code


def test_an_error_as_text_is_one_line_that_no_terminal_obeys():
    error = UserError(f"the server says {hostile.ALL}")
    assert "\n" not in str(error)
    assert not hostile.obeyed(str(error))
    assert hostile.WORDS["markup"] in str(error)
    assert error._render_traceback_() == [f"UserError: {error}"]
    assert "sesame" not in repr(UserError("http://me:sesame@gpu/v1 is away"))


def test_a_missing_extra_names_the_command_that_mends_it():
    error = MissingExtra("generate", "Asking a teacher")
    assert re.search(r'pip install .*\[generate\]"', str(error))
    assert str(error).startswith("Asking a teacher")


def test_a_name_that_is_like_no_other_gets_no_hint_but_all_known_ones():
    assert nearest("zzzz", ["math", "creative"]) == "Known: creative, math"


def test_a_name_that_is_nearly_right_gets_the_hint_first():
    assert nearest("maths", ["math", "creative"]).startswith("did you mean math? ")
