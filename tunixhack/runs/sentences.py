"""Sentences about a run, out of what run.json keeps: the share of right answers, the accepted ones, and the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunixhack._util.wording import counted

WHY = (
    "for information: no answer is dropped for being wrong, which did not help OpenThoughts in mathematics, code and "
    "science (it did in law)"
)
"""Why wrong answers stay; arXiv 2506.04178, table 6, and the project's legal demonstration."""


DEMONSTRATION = (
    "A demonstration: the embedded teacher has 135M parameters, so the form is right and the content is not. "
    "Train on nothing of it."
)


def reference_share_sentence(found: Mapping[str, Any]) -> str:
    """Say how many answers reach the reference of their question.

    >>> share = {"count": 3, "of": 4, "low": 0.3, "high": 0.95}
    >>> reference_share_sentence({"received": share, "kept": share, "disputed": 0})
    'right by the reference: 3 of 4 answers received (75 %; 30 to 95 %), 3 of 4 kept (75 %; 30 to 95 %)'
    """
    parts = [
        f"{share['count']:,} of {share['of']:,} {name} ({_percent(share['count'] / share['of'])} %; "
        f"{_percent(share['low'])} to {_percent(share['high'])} %)"
        for name, share in (("answers received", found["received"]), ("kept", found["kept"]))
        if share["of"]
    ]
    doubt = f"; of {found['disputed']:,}, two readers judge differently" if found["disputed"] else ""
    return f"right by the reference: {', '.join(parts)}{doubt}"


def accepted_sentence(told: Mapping[str, Any]) -> str:
    """Say how many of the wanted answers there are.

    >>> accepted_sentence({"wanted": 100, "ceiling": 40, "kept": 64, "questions": 40})
    '64 of 100 wanted answers accepted, of 40 questions (at most 40)'
    """
    questions = counted(told["questions"], "question")
    wanted = f"{told['kept']:,} of {told['wanted']:,} wanted answers accepted"
    return f"{wanted}, of {questions} (at most {told['ceiling']:,})"


def cost_sentence(funnel: Sequence[Mapping[str, Any]]) -> str | None:
    """Say how many tokens all steps' teachers wrote and read, and what that cost; None where none was asked.

    Args:
        funnel: the lines of run.json.

    >>> cost_sentence([{"at_least": False, "prompt_tokens": 10, "completion_tokens": 1200, "cost": 0.5}])
    'Received over all starts: 10 tokens of prompts and 1,200 tokens of answers, for $0.50'
    """
    asking = _asking(funnel)
    if not asking:
        return None
    least = "at least " if any(line["at_least"] for line in asking) else ""
    told = [
        f"{least}{counted(sum(line[f'{kind}_tokens'] or 0 for line in asking), 'token')} of {name}"
        for kind, name in (("prompt", "prompts"), ("completion", "answers"))
    ]
    dollars = cost_of(funnel)
    cost = "at a price that is not known" if dollars is None else f"for {dollars}"
    return f"Received over all starts: {' and '.join(told)}, {cost}"


def cost_of(funnel: Sequence[Mapping[str, Any]]) -> str | None:
    """Write what all steps' teachers cost together, in dollars; None where none was asked, or a price is not known.

    Args:
        funnel: the lines of run.json.
    """
    asking = _asking(funnel)
    costs = [line["cost"] for line in asking]
    if not costs or None in costs:
        return None
    least = "at least " if sum(costs) and any(line["at_least"] for line in asking) else ""
    return f"{least}${sum(costs):,.2f}"


def _asking(funnel: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in funnel if line["at_least"] or line["completion_tokens"] is not None]


def is_demonstration(state: Mapping[str, Any]) -> bool:
    """Tell whether the embedded teacher answered in a run.

    >>> is_demonstration({"teachers": {"local": {}}})
    True
    """
    return "local" in {name.partition("/")[0] for name in state.get("teachers", {})}


def run_sentences(state: Mapping[str, Any]) -> list[str]:
    """Say what a person is told of a run beside its funnel: in a terminal, a notebook and the report alike.

    Args:
        state: what run.json keeps.
    """
    accepted, right = state.get("accepted"), state.get("right")
    told = [accepted_sentence(accepted)] if accepted else []
    told += [f"{reference_share_sentence(right)}; {WHY}"] if right else []
    told += [f"wording {wording_sentence(line)}" for line in state.get("wordings") or ()]
    return told + [DEMONSTRATION] * is_demonstration(state)


def wording_sentence(line: Mapping[str, Any]) -> str:
    """Say how one wording fares.

    >>> wording_sentence({"wording": "brief", "questions": 8, "received": 64, "kept": 48, "right": 30, "verified": 40,
    ...                   "tokens": 212.4})
    'brief: 48 of 64 answers kept (75 %), 30 of 40 verified ones right (75 %), 212 tokens each; 8 questions'
    """
    parts = [f"{line['kept']:,} of {counted(line['received'], 'answer')} kept{_in_percent(line, 'kept', 'received')}"]
    if line.get("right") is not None and line["verified"]:
        right = f"{line['right']:,} of {line['verified']:,} verified ones right"
        parts.append(f"{right}{_in_percent(line, 'right', 'verified')}")
    if line.get("tokens") is not None:
        parts.append(f"{line['tokens']:,.0f} tokens each")
    return f"{line['wording']}: {', '.join(parts)}; {counted(line['questions'], 'question')}"


def _in_percent(line: Mapping[str, Any], count: str, of: str) -> str:
    return f" ({_percent(line[count] / line[of])} %)" if line[of] else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
