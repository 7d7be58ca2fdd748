"""Questions that cost nothing to read and are not alike."""

from __future__ import annotations

FORMS = ("a letter", "a short poem", "a dialogue", "a diary entry", "a news report", "a bedtime story", "a recipe")
PEOPLE = (
    "a lighthouse keeper",
    "two rival bakers",
    "a retired astronaut",
    "the last typewriter mechanic",
    "a girl who repairs clocks",
    "an honest smuggler",
    "a choir of night nurses",
    "a cartographer of dreams",
    "a goat with an office job",
    "the mayor of an empty town",
    "a nervous stage magician",
)
MATTERS = (
    "a missing key",
    "the first snow of the year",
    "a promise made on a train",
    "an unpaid bill",
    "a door that was never there before",
    "a garden on the roof",
    "the sound of the sea in a teacup",
    "a wrong number that kept calling",
    "a map without names",
    "a very small fire",
    "a borrowed coat",
    "the end of the holidays",
    "a secret that everybody knows",
)


def toy_questions(n: int) -> list[dict[str, str]]:
    """Make n different creative-writing questions, the same ones every time.

    >>> toy_questions(1)
    [{'question': 'Write a letter from a lighthouse keeper about a missing key.'}]
    >>> len({row["question"] for row in toy_questions(5000)})
    5000
    """
    return [{"question": _question(number)} for number in range(n)]


def _question(number: int) -> str:
    # 7, 11 and 13 have no common factor: the same three meet again after 7 · 11 · 13 questions
    text = f"{FORMS[number % 7]} from {PEOPLE[number % 11]} about {MATTERS[number % 13]}"
    again = number // (7 * 11 * 13)
    return f"Write {text}." if not again else f"Write {text}, in {20 + again} sentences."
