"""No password or key is shown, whichever way it is spelt and wherever it was typed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import Command
from tunixhack._util.credentials import hide, without_credentials
from tunixhack.errors import UserError
from tunixhack.teachers.transport.endpoint import redact

SECRETS = st.text(min_size=4).filter(lambda text: "*" not in text)


@given(SECRETS.filter(lambda text: text.isprintable()))
def test_a_secret_is_hidden_however_an_address_or_a_form_spells_it(secret: str):
    lower = re.sub("%..", lambda found: found[0].lower(), quote(secret))
    for spelt in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), lower):
        assert hide(f"<{spelt}>", [secret]) == "<***>"


@given(SECRETS, SECRETS)
def test_of_secrets_that_are_part_of_one_another_none_is_left(one: str, other: str):
    hidden = hide(f"<{one}{other}> <{one}>", [one, one + other])
    assert hidden == "<***> <***>"


def test_what_is_no_secret_stays():
    assert hide("the model is away", ["", "pw"]) == "the model is away"


def test_a_server_that_echoes_a_password_in_either_form_shows_none():
    headers = {"Authorization": "Basic bWU6cEBzcyB3b3JkLw=="}  # me:p@ss word/
    said = redact("who is me:p@ss word/, p%40ss%20word%2f, p%40ss+word%2F or bWU6cEBzcyB3b3JkLw==?", headers)
    assert said == "who is me:***, ***, *** or ***?"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:open-sesame@gpu:8000/v1#m is away", "http://***@gpu:8000/v1#m is away"),
        ("http://me:open%2Dsesame@gpu/v1", "http://***@gpu/v1"),
        ("http://me:open@sesame/open-sesame@gpu/v1", "http://***@gpu/v1"),
        ("http://open-sesame@gpu/v1", "http://***@gpu/v1"),
        ("https:/me:open-sesame@host/x.jsonl", "https:/***@host/x.jsonl"),
        ("'https://h/x.csv?token=open-sesame&a=1'", "'https://h/x.csv?token=***&a=1'"),
        ("https://h/?a=1&X-Amz-Signature=open-sesame;api_key=open-sesame", "https://h/?a=1&X-Amz-Signature=***"),
        (
            "http://gpu:8000/v1#qwen@q4 of user/name:main/train@v1",
            "http://gpu:8000/v1#qwen@q4 of user/name:main/train@v1",
        ),
        ("http://[::1]:8000/v1#qwen@q4", "http://[::1]:8000/v1#qwen@q4"),
        ("https://hub/user/name@main: 3 tokens, key=value", "https://hub/user/name@main: 3 tokens, key=value"),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(text: str, shown: str):
    assert without_credentials(text) == shown
    assert str(UserError(text)) == shown


ADDRESS = "https://me:open-sesame@example.com/rows.jsonl?token=open-sesame"


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "creative", "--source", ADDRESS),
        ("build", "creative", "--source", "shipped", "--student", ADDRESS),
        ("build", "creative", "--source", "shipped", "--teacher", "reference", "--reuse", ADDRESS),
        ("build", ADDRESS),
        ("build", "creative", "--seed", ADDRESS),
        ("build", "creative", ADDRESS),
        ("show", ADDRESS),
        ("push", "runs/creative", ADDRESS),
        ("teachers", "parallelism", ADDRESS.replace("https://", "htp://")),
        ("teachers", "compare", "--domain", "creative", "--teachers", f"{ADDRESS},{ADDRESS}"),
    ],
)
def test_what_is_typed_in_the_wrong_place_is_not_repeated_with_its_password(
    arguments: tuple[str, ...], tunixhack: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    result = tunixhack(*arguments, "--json")
    assert result.code == 2
    assert "sesame" not in result.out + result.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
