"""One answer before a judge: each criterion graded apart from 1 to 5, with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunixhack.judging.tags import NO_INSTRUCTION, tagged
from tunixhack.steps.model_replies import json_object, reply_text

LOWEST, HIGHEST = 1, 5
SYSTEM = "You grade answers by given criteria. You judge them, and do not answer the request yourself."
LONGEST_REASON = 300
"""Characters of a reason that are kept."""
_KEY = re.compile(r"\s*(?:criterion|criteria|c)?[\s_#-]*(\d{1,2})\s*", re.IGNORECASE)
_GRADE = re.compile(r"\s*([1-5])(?:\.0)?\s*(?:/\s*5)?\s*")


@dataclass(frozen=True)
class Grade:
    """What a judge says of one criterion."""

    grade: int
    """1 to 5."""
    reason: str = ""


def grading_messages(question: str, answer: str, criteria: Sequence[str]) -> list[dict[str, str]]:
    """Return what a judge is asked of an answer, the criteria in their order."""
    listed = "\n".join(f"{number}. {one}" for number, one in enumerate(criteria, 1))
    names = ", ".join(f'"criterion_{number}"' for number in range(1, len(criteria) + 1))
    return [
        {"role": "system", "content": SYSTEM},
        {
            "role": "user",
            "content": (
                f"Grade the answer by each of these criteria, each for itself:\n\n{listed}\n\n"
                f"{tagged(request=question, answer=answer)}\n\n{NO_INSTRUCTION} A longer answer is not better for its "
                f"length. The grades go from {LOWEST}, not at all, over 3, in part, to {HIGHEST}, entirely. Reply with "
                f'JSON and nothing else: an object with {names}, each {{"reason": "…", "grade": N}}, with one '
                "sentence as the reason, and N the grade."
            ),
        },
    ]


def grading_schema(count: int) -> dict[str, Any]:
    """Return the schema of the grades of so many criteria."""
    one = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "grade": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
        },
        "required": ["reason", "grade"],
        "additionalProperties": False,
    }
    names = [f"criterion_{number}" for number in range(1, count + 1)]
    return {
        "type": "object",
        "properties": dict.fromkeys(names, one),
        "required": names,
        "additionalProperties": False,
    }


def read_grades(choice: str | None, count: int) -> list[Grade] | None:
    r"""Read the grades of all criteria out of a judge's choice.

    Args:
        choice: as JSON, as the store has it; what a model writes in it is hostile.
        count: the number of criteria.

    Returns:
        A grade for each criterion, in the order in which the judge was shown them; None unless every one has exactly
        one grade from 1 to 5.

    >>> said = '{"criterion_1": {"reason": "It rhymes.", "grade": 4}, "criterion_2": "2/5"}'
    >>> [one.grade for one in read_text_grades(said, 2)], read_text_grades(said, 3)
    ([4, 2], None)
    """
    return read_text_grades(reply_text(choice), count)


def read_text_grades(text: str | None, count: int) -> list[Grade] | None:
    """Read the grades of all criteria out of what a judge says; see `read_grades`."""
    found = json_object(text)
    if found is None:
        return None
    inner = found.get("grades")
    if len(found) == 1 and isinstance(inner, Mapping | list):  # one level more than was asked for
        found = inner if isinstance(inner, dict) else {str(number): one for number, one in enumerate(inner, 1)}
    grades: dict[int, Grade] = {}
    for name, value in found.items():
        number, grade = _KEY.fullmatch(name), _grade(value)
        if number is None or grade is None or int(number[1]) in grades:
            return None
        grades[int(number[1])] = grade
    return [grades[number] for number in range(1, count + 1)] if set(grades) == set(range(1, count + 1)) else None


def _grade(value: Any) -> Grade | None:
    reason = ""
    if isinstance(value, Mapping):
        said = value.get("reason")
        reason = said if isinstance(said, str) else ""
        value = value.get("grade", value.get("score"))
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    read = _GRADE.fullmatch(str(value))
    if read is None:
        return None
    return Grade(int(read[1]), reason[:LONGEST_REASON].encode(errors="replace").decode())
