"""The card of a mixture lists its parts, and states the strictest of their licences in a sentence."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import yaml

from tests import hostile
from tunixhack.publish.licences import strictest
from tunixhack.publish.mixture_card import mixture_card

TRAIN = pl.DataFrame({"question_id": ["a", "b"], "part": ["one", "two"], "teacher": ["local", "local"]})


def state(**licences: str | None) -> dict[str, Any]:
    parts = [
        {
            "name": name,
            "license": licence,
            "source": {"path": f"user/{name}", "name": None},
            "wanted": 5,
            "quota": "questions",
            "questions": 3,
        }
        for name, licence in licences.items()
    ]
    return {
        "domain": "mixed",
        "tunixhack": "0",
        "parts": parts,
        "order": {"seed": 0, "scale": 1.0},
        "funnel": [],
        "teachers": {},
    }


def test_the_strictest_licence_stands_in_front_matter_and_text():
    text = mixture_card(state(one="mit", two="cc-by-nc-4.0"), TRAIN)
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "cc-by-nc-4.0"
    sentence = "The strictest licence among the parts is cc-by-nc-4.0, that of two, and it holds for the whole"
    assert sentence in text.replace("\\", "")


def test_a_licence_that_is_not_known_is_said():
    text = mixture_card(state(one="mit", two=None), TRAIN)
    assert "The licence of two is not known" in text


def test_what_parts_and_sources_call_themselves_is_no_markup():
    told = state(one="mit")
    told["domain"] = told["parts"][0]["source"]["path"] = told["parts"][0]["license"] = hostile.ALL
    written = mixture_card(told, TRAIN)
    assert not hostile.obeyed(written)


@pytest.mark.parametrize(
    ("freer", "stricter"),
    [
        ("cc0-1.0", "mit"),
        ("apache-2.0", "cc-by-sa-3.0"),
        ("cc-by-4.0", "odbl"),
        ("cc-by-sa-4.0", "gemma"),
        ("gpl-3.0", "cc-by-nc-3.0"),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
        ("cc-by-nc-sa-4.0", "cc-by-nd-4.0"),
        ("cc-by-nd-4.0", "cc-by-nc-nd-4.0"),
        ("cc-by-nc-nd-4.0", None),
        ("mit", "Our own terms"),
    ],
)
def test_licences_from_free_to_strict(freer: str, stricter: str | None):
    assert strictest({"one": freer, "two": stricter}) == (stricter, ["two"])
    assert strictest({"two": stricter, "one": freer}) == (stricter, ["two"])
