"""`Wording`: one of several phrasings in which a domain puts its questions to a teacher.

How a task is worded decides more than one would like: Sclar et al. (ICLR 2024, arXiv:2310.11324) report that one
model's accuracy differs by up to 76 points between formats of the same prompt, and Mizrahi et al. (TACL 2024,
arXiv:2401.00595) that paraphrased instructions change which model is best. Several wordings spread that over a
dataset, and show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunixhack._util.ids import digest, question_id
from tunixhack.errors import UserError

TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Wording:
    """One phrasing of a domain's instruction and format; what is None or empty is as the domain has it.

    Example:
        A patient one and a brief one:

            math.recipe.replace(
                wordings=(
                    Wording(name="patient", system="Work slowly, and name every unit."),
                    Wording(name="brief", after="Keep your reasoning short."),
                )
            )
    """

    name: str
    """A short word in small letters: the column ``wording``."""
    system: str | None = None
    """The system message in place of the domain's; what the trace needs is added to it."""
    before: str = ""
    """A text before the question, with an empty line between, which the student does not see."""
    after: str = ""
    """A text behind the question, likewise."""
    format: str | None = None
    """How a written trace is asked for, in place of `tunixhack.teachers.trace_prompts.WRITTEN`; it names all four
    tags. A native trace is asked for by nothing."""

    def __post_init__(self) -> None:
        """Refuse a name that is none, and a format that no answer could be read by.

        Raises:
            UserError: one of the two.
        """
        name: object = self.name  # which is the user's, and need not keep to its type
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UserError(
                f"Wording(name={name!r}): a name has small letters, digits, - and _, and at most 40 of them"
            )
        missing = [tag for tag in TAGS if self.format is not None and tag not in self.format]
        if missing:
            raise UserError(f"the wording {name} has a format without {missing[0]}, by which answers are read: name it")

    def put(self, messages: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
        r"""Return a domain's messages in this wording.

        >>> Wording(name="brief", after="Be brief.").put([{"role": "user", "content": "2 + 2?"}])[0]["content"]
        '2 + 2?\n\nBe brief.'
        """
        listed = [dict(one) for one in messages]
        if self.system is not None:
            listed = [one for one in listed if one["role"] != "system"]
            listed.insert(0, {"role": "system", "content": self.system})
        last = next((one for one in reversed(listed) if one["role"] == "user"), None)
        if last is not None:
            last["content"] = "\n\n".join(filter(None, [self.before, last["content"], self.after]))
        return listed


def wording_of(row: Mapping[str, Any], wordings: Sequence[Wording]) -> Wording | None:
    """Draw the wording of a question by its id: the same one every time; None where there is none to draw.

    Each wording gets a number of the question's id and its own name, and the largest one is drawn. So another wording
    more takes its share from all others, and changes nothing for the questions that it is not drawn for.

    Args:
        row: a question's row; one without ``question_id`` goes by its question and context.
        wordings: of different names.
    """
    if not wordings:
        return None
    question = row.get("question_id") or question_id("", row["question"], row.get("context"))
    return max(wordings, key=lambda one: digest("wording", question, one.name))


def check_wordings(wordings: Sequence[Wording], system: str | None) -> None:
    """See that wordings can be told apart, and that nothing contradicts them.

    Raises:
        UserError: two have one name, or a system message of the user's would replace theirs.
    """
    if isinstance(wordings, str | Wording) or not all(isinstance(one, Wording) for one in wordings):
        raise UserError("wordings takes several of tunixhack.Wording: wordings=(Wording(name=…), Wording(name=…))")
    names = [one.name for one in wordings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two wordings are called {twice}: give each a name of its own")
    if system is not None and (named := next((one.name for one in wordings if one.system is not None), None)):
        raise UserError(
            f"the wording {named} has a system message, and so has system= (--system): leave out one of them"
        )
