"""A majority vote among the answers to a question, for questions whose right answer nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import polars as pl

from tunixhack.errors import UserError
from tunixhack.formats import require
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.calls import call_own
from tunixhack.steps.figures import Counts
from tunixhack.steps.verify import SHOWN, Read, read_claim
from tunixhack.verifiers.answer_groups import Group, answer_groups


class _Ballot(NamedTuple):
    """The vote of one question."""

    votes: Mapping[int, int]
    """Answers by the number of their group."""
    answers: int
    """All of its answers, those that claim nothing included."""
    winner: int | None
    """The group with the most answers; None in a tie."""


@dataclass(frozen=True)
class MajorityVote:
    r"""Keep the answers that claim what most answers to their question claim (self-consistency).

    It needs no reference: what many samples agree on is right more often than what one says. Claims are read as
    `tunixhack.verifiers.answer_groups` describes: letters of options, numbers and formulas by math-verify, which takes
    1/2 and 0.5 for the same, or a few words. ``read`` reads something else, such as `Labels`. For open-ended answers,
    which have no claim in that sense, this step is of no use.

    Adds ``vote_share``, the share of the question's answers that claim the same as this one, and ``vote_claim``, which
    is what they claim. Both are null where nothing could be read. All answers that the step is given count, those that
    claim nothing too. The reasons of a rejection:

    =============== ==================================================================================
    ``outvoted``    more answers claim something else
    ``tie``         two or more claims have the most answers: none of them is kept
    ``no_majority`` the most frequent claim has a smaller share than ``min_share``
    ``no_claim``    nothing could be read in the answer
    =============== ==================================================================================

    Sources: Wang et al., Self-Consistency Improves Chain of Thought Reasoning (ICLR 2023, arXiv:2203.11171).
    OpenThoughts (arXiv 2506.04178) tried it on its sixteen answers and found no gain from filtering answers.

    Attributes:
        read: from an answer to what it claims, None where that cannot be told; claims that are equal agree.
        min_share: the smallest share of its question's answers that the most frequent claim must have, from 0 to 1.

    >>> rows = pl.DataFrame({"question_id": ["q"] * 3, "sample": [0, 1, 2], "question": ["Is it?"] * 3,
    ...                      "answer": ["Yes, it is.", "No.", "yes"]})
    >>> from tunixhack.steps.verify import Labels
    >>> voted = MajorityVote(Labels(("Yes", "No")))(rows, Context())
    >>> voted.keep.to_list(), [round(share, 2) for share in voted.columns["vote_share"]]
    ([True, False, True], [0.67, 0.33, 0.67])
    """

    name: ClassVar[str] = "vote"
    stage: ClassVar[str] = "answers"
    reads: ClassVar[tuple[str, ...]] = ("answer",)
    writes: ClassVar[tuple[str, ...]] = ("vote_share", "vote_claim")
    by_question: ClassVar[bool] = True

    read: Read | None = None
    min_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a share that is none.

        Raises:
            UserError: ``min_share`` is below 0 or above 1, or ``read`` is no function.
        """
        if self.read is not None and not callable(self.read):
            raise UserError(f"MajorityVote({self.read!r}): read is a function of an answer's text, such as Labels(…)")
        if not 0 <= self.min_share <= 1:
            raise UserError(f"MajorityVote(min_share={self.min_share:g}): it is a share from 0 to 1")

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge each row by all answers to its ``question_id``; (question_id, sample) must be unique.

        Raises:
            UserError: a column is missing, or null somewhere, or ``read`` raises.
        """
        require(rows, "question_id", "sample", "question", "answer")
        groups = self._groups(rows)
        ballots = _count(rows["question_id"].to_list(), groups)
        shares: list[float | None] = []
        reasons: list[str | None] = []
        evidence: list[dict[str, Any]] = []
        for question, answer, group in zip(rows["question_id"], rows["answer"], groups, strict=True):
            ballot = ballots[question]
            shares.append(None if group is None else ballot.votes[group.number] / ballot.answers)
            reasons.append(self._reason(group, ballot))
            most = max(ballot.votes.values(), default=0)
            told = {"answer": answer[:SHOWN]} if group is None else {"claimed": group.claim[:SHOWN]}
            evidence.append({**told, "most_votes": most, "answers": ballot.answers})
        agreed = sum(ballot.winner is not None for ballot in ballots.values())
        return Verdict(
            keep=pl.Series([reason is None for reason in reasons], dtype=pl.Boolean),
            reason=pl.Series(reasons, dtype=pl.String),
            evidence=evidence,
            columns={
                "vote_share": pl.Series(shares, dtype=pl.Float64),
                "vote_claim": pl.Series([None if one is None else one.claim for one in groups], dtype=pl.String),
            },
            figures=Counts({"agreed": agreed, "questions": len(ballots)}, _note),
        )

    def _reason(self, group: Group | None, ballot: _Ballot) -> str | None:
        if group is None:
            return "no_claim"
        most = max(ballot.votes.values())
        if ballot.votes[group.number] < most:
            return "outvoted"
        if ballot.winner is None:
            return "tie"
        return None if most / ballot.answers >= self.min_share else "no_majority"

    def _groups(self, rows: pl.DataFrame) -> list[Group | None]:
        """Return the group of each row's answer, in the rows' order; which it is does not depend on that order."""
        ordered = rows.with_row_index("at").sort("question_id", "sample")
        by_question = ordered.group_by("question_id", maintain_order=True).agg("at", "question", "answer")
        if self.read is None:
            asked = zip(by_question["question"].list.first(), by_question["answer"].to_list(), strict=True)
            grouped = answer_groups(asked)
        else:
            claims = [self._claim(row) for row in rows.iter_rows(named=True)]
            grouped = [_by_equality([claims[at] for at in places]) for places in by_question["at"].to_list()]
        found: list[Group | None] = [None] * rows.height
        for places, groups in zip(by_question["at"].to_list(), grouped, strict=True):
            for at, group in zip(places, groups, strict=True):
                found[at] = group
        return found

    def _claim(self, row: Mapping[str, Any]) -> Any:
        return call_own("the function that MajorityVote reads claims with", row, read_claim, self.read, row["answer"])


def _note(count: Mapping[str, int]) -> str | None:
    questions = count["questions"]
    return f"{count['agreed']:,} of {questions:,} questions have a most frequent claim" if questions else None


def _by_equality(claims: Sequence[Any]) -> list[Group | None]:
    """Group claims of any type that can be compared, which need not be hashable."""
    known: list[Any] = []
    found: list[Group | None] = []
    for claim in claims:
        if claim is None:
            found.append(None)
            continue
        number = next((at for at, other in enumerate(known) if other == claim), len(known))
        if number == len(known):
            known.append(claim)
        found.append(Group(number, str(known[number])))
    return found


def _count(questions: Sequence[str], groups: Sequence[Group | None]) -> dict[str, _Ballot]:
    votes: dict[str, Counter[int]] = {}
    answers = Counter(questions)
    for question, group in zip(questions, groups, strict=True):
        votes.setdefault(question, Counter()).update([] if group is None else [group.number])
    found = {}
    for question, counts in votes.items():
        first = counts.most_common(2)
        tied = len(first) == 2 and first[0][1] == first[1][1]
        found[question] = _Ballot(counts, answers[question], first[0][0] if first and not tied else None)
    return found
