"""New questions, written by a teacher after the source's own: like them, or made of one or two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import polars as pl

from tunixhack._util.ids import digest
from tunixhack._util.wording import counted
from tunixhack.errors import TeacherFailed, UserError, nearest
from tunixhack.formats import require
from tunixhack.steps.base import Context, Made
from tunixhack.steps.exact_dedup import normalise
from tunixhack.steps.model_replies import reply_text
from tunixhack.steps.nested_selection import rank_order
from tunixhack.steps.request import Request
from tunixhack.steps.request_forecast import RequestForecast, tokens_of
from tunixhack.steps.synthesis_prompts import SCHEMA, TASKS, read_question, synthesis_messages

MOST_EXAMPLES = 32
FEW = 8
"""Replies of which at least one must be readable: of fewer, it can be chance that none is."""
SHOWN = 80
"""Characters of a reply that could not be read which are shown to the user."""
FORM_TOKENS = 10
"""Tokens of a reply besides the question."""


@dataclass(frozen=True)
class Synthesize:
    """Let a teacher write new questions from the source's own, and add them to these.

    A teacher is shown a few questions and asked for one more (``how="examples"``), or one to make it harder
    (``"harder"``) or to ask the same in another setting (``"other_setting"``), or two to combine (``"combined"``). The
    questions that are shown are the source's, first by rank, each of equal ones once; how many new ones are wanted is
    a number of its own, and does not depend on how many questions a build takes. It asks until so many are new, or the
    ceiling is reached. New is a question that is not there yet and was not made before, as `ExactDedup` compares;
    others are rejected as ``twin``. A reply in which no question can be read is rejected as ``unreadable``, and one
    that the teacher refuses (HTTP 400, 413 or 422) as ``refused``. The funnel counts each.

    New questions get ids, and are ranked among the others, by the runner. They stand alone: a context that a question
    has is shown with it, and a new one has none; nor has it a reference, since nobody knows its answer yet. The ids of
    the questions that were shown are its ``parents`` in questions.parquet. It has the category of its parents where
    they have the same.

    Place it behind `ExactDedup` and `Decontaminate`, so that no question of a benchmark is shown to a teacher, and put
    `Decontaminate` behind it as well, since a teacher knows benchmarks by heart; the same step can stand in both
    places. A recipe that compares only the one or the other is refused before anything is asked. Steps like
    `FuzzyDedup` go behind it. What steps behind it drop is not made up for: ``wanted`` counts what is new.

    Column: ``synthesize_how``, null for the source's questions.

    Attributes:
        wanted: new questions.
        how: ``"examples"``, ``"harder"``, ``"other_setting"`` or ``"combined"``.
        ceiling: the most replies that are asked for; twice as many as are wanted when None.
        examples: how many questions are shown for ``how="examples"``.
        teacher: who writes, as after ``--teacher``; None for the run's teacher.

    Raises:
        UserError: one of them makes no sense.
    """

    stage: ClassVar[str] = "questions"
    makes: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("question",)
    writes: ClassVar[tuple[str, ...]] = ("synthesize_how",)

    wanted: int = 200
    how: Literal["examples", "harder", "other_setting", "combined"] = "examples"
    ceiling: int | None = None
    examples: int = 4
    teacher: str | None = None

    def __post_init__(self) -> None:
        if self.how not in TASKS:
            raise UserError(f"Synthesize(how={self.how!r}): {nearest(str(self.how), TASKS)}")
        for name, value, most in (
            ("wanted", self.wanted, None),
            ("examples", self.examples, MOST_EXAMPLES),
            ("ceiling", self.most_replies, None),
        ):
            number: Any = value  # of a recipe that nobody checks the types of
            if not isinstance(number, int) or isinstance(number, bool) or number < 1 or (most and number > most):
                until = f" to {most}" if most else " or more"
                raise UserError(f"Synthesize({name}={number!r}): it is a whole number, 1{until}")
        if self.most_replies < self.wanted:
            raise UserError(
                f"Synthesize(wanted={self.wanted}, ceiling={self.ceiling}): a reply has one question, so that at least "
                "as many replies are needed as questions are wanted"
            )

    @property
    def most_replies(self) -> int:
        """The most replies that are asked for."""
        return 2 * self.wanted if self.ceiling is None else self.ceiling

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Made:
        """Have questions written.

        Raises:
            TeacherFailed: replies are missing. Missing is not bad (contract 7), so nothing is made without them.
            UserError: there are too few questions to show, or none of several replies could be read.
        """
        require(rows, "question_id", "question")
        seeds = self._seeds(rows, ctx.seed)
        found = _Found(_keys(rows["question"], _contexts(rows)))
        while found.new < self.wanted and len(found.replies) < self.most_replies:
            size = min(self.wanted - found.new, self.most_replies - len(found.replies))
            found.add(self._ask(seeds, range(len(found.replies), len(found.replies) + size), ctx))
            found.check()
        counts = Counter(one.reason for one in found.replies)
        note = f"{counted(found.new, 'new question')} of {counted(len(found.replies), 'reply', 'replies')}"
        others = [f"{counts[reason]:,} {told}" for reason, told in _TOLD.items() if counts[reason]]
        note += f" ({', '.join(others)})" if others else ""
        if found.new < self.wanted:
            ctx.say(f"synthesize: {note}; {self.wanted:,} are wanted, and the ceiling is {self.most_replies:,}")
        return Made(
            rows=pl.DataFrame(
                {
                    "question": [one.question for one in found.replies],
                    "category": [one.category for one in found.replies],
                    "synthesize_how": [self.how] * len(found.replies),
                },
                schema=dict.fromkeys(("question", "category", *self.writes), pl.String),
            ),
            parents=[one.parents for one in found.replies],
            reasons=[one.reason for one in found.replies],
            note=note,
        )

    def forecast(self, rows: pl.DataFrame, candidates: int, domain: str = "") -> RequestForecast:
        """Forecast what is asked, by what a few rows are like; the number of candidates does not matter."""
        shown = rows.head(self._shown).to_dicts()
        prompt = ["".join(one["content"] for one in synthesis_messages(self.how, shown))]
        return RequestForecast(
            requests=self.wanted,
            prompt_tokens=tokens_of(prompt),
            answer_tokens=tokens_of([row["question"] for row in shown]) + FORM_TOKENS,
            assumed=f"every reply is a new question; {self.most_replies:,} replies at most",
        )

    @property
    def _shown(self) -> int:
        return TASKS[self.how].seeds or self.examples

    def _seeds(self, rows: pl.DataFrame, seed: int) -> list[dict[str, Any]]:
        """Return the questions that can be shown, in rank order: the source's own, each of equal ones once."""
        own = rows.filter(pl.col("parents").is_null()) if "parents" in rows.columns else rows
        own = own[rank_order(own, seed)]
        keys = _keys(own["question"], _contexts(own))
        first = {key: at for at, key in reversed(list(enumerate(keys)))}
        seeds = own[sorted(first.values())].to_dicts()
        if len(seeds) < self._shown:
            raise UserError(
                f"step synthesize shows {counted(self._shown, 'question')} at a time, and there are {len(seeds):,}"
            )
        return seeds

    def _ask(self, seeds: Sequence[dict[str, Any]], numbers: range, ctx: Context) -> Iterator[_Reply]:
        """Ask for the replies of some numbers: first one for each question in turn, then a second one, and so on."""
        shown: dict[int, list[dict[str, Any]]] = {}
        samples: dict[int, list[int]] = {}
        for number in numbers:
            sample, first = divmod(number, len(seeds))
            shown[first] = [seeds[(first + step) % len(seeds)] for step in range(self._shown)]
            samples.setdefault(first, []).append(sample)
        requests = {
            first: Request(
                question_id=_request_id(parents),
                messages=synthesis_messages(self.how, parents),
                samples=samples[first],
                schema=SCHEMA,
            )
            for first, parents in shown.items()
        }
        answers = ctx.ask(list(requests.values()), teacher=self.teacher).unique(["question_id", "sample"], keep="first")
        received = {(row["question_id"], row["sample"]): row for row in answers.iter_rows(named=True)}
        declined = ctx.declined()
        wanted = [(one.question_id, sample) for one in requests.values() for sample in one.samples]
        missing = [key for key in wanted if key not in received and key[0] not in declined]
        if missing:
            raise TeacherFailed(
                f"{counted(len(missing), 'new question')} of {len(wanted):,} {'was' if len(missing) == 1 else 'were'} "
                f"not received{ctx.why_missing()}; the others are stored, and the same command asks for the missing "
                "ones only"
            )
        for number in numbers:
            sample, first = divmod(number, len(seeds))
            row = received.get((requests[first].question_id, sample))
            yield _read(row, shown[first])


_TOLD = {"twin": "twins", "unreadable": "unreadable", "refused": "refused"}
"""Reasons as the funnel's note names them."""


@dataclass
class _Reply:
    """One reply."""

    question: str | None
    """The new question; None where none can be read."""
    reason: str | None
    """Why it is no new question; None where it is one."""
    parents: list[str]
    category: str | None
    said: str = ""
    """What was said where no question can be read."""


class _Found:
    """The replies so far, of which the new questions are told from their twins.

    Args:
        keys: of all questions that are there.
    """

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        self._there = set(keys)
        self.replies: list[_Reply] = []
        self.new = 0

    def add(self, replies: Iterator[_Reply]) -> None:
        """Add replies, in their order."""
        new = list(replies)
        for one, key in zip(new, _keys([one.question or "" for one in new], [None] * len(new)), strict=True):
            if one.reason is None:
                one.reason = "twin" if key in self._there else None
                self.new += one.reason is None
                self._there.add(key)
        self.replies += new

    def check(self) -> None:
        """Stop where nothing can be read.

        Raises:
            UserError: none of several replies is a question.
        """
        if len(self.replies) < FEW or any(one.question is not None for one in self.replies):
            return
        said = next((one.said for one in self.replies if one.said), "")
        shown = f"; one says {said[:SHOWN]!r}" if said else ""
        raise UserError(
            f"no question could be read in {counted(len(self.replies), 'reply', 'replies')} to step synthesize{shown}: "
            "name a teacher that keeps to the form, as in Synthesize(teacher=…)"
        )


def _read(row: Mapping[str, Any] | None, shown: Sequence[Mapping[str, Any]]) -> _Reply:
    question = None if row is None else read_question(row["choice"])
    reason = None if question is not None else "refused" if row is None else "unreadable"
    categories = {parent.get("category") for parent in shown}
    return _Reply(
        question=question,
        reason=reason,
        parents=[parent["question_id"] for parent in shown],
        category=categories.pop() if len(categories) == 1 else None,
        said="" if row is None else reply_text(row["choice"]) or "",
    )


def _request_id(parents: Sequence[Mapping[str, Any]]) -> str:
    """Name a request: by its question, or of several by a digest, so that others shown are another request."""
    ids = [parent["question_id"] for parent in parents]
    return str(ids[0]) if len(ids) == 1 else digest("synthesize", *ids)[:16]


def _contexts(rows: pl.DataFrame) -> Sequence[str | None]:
    return rows["context"].to_list() if "context" in rows.columns else [None] * rows.height


def _keys(questions: pl.Series | Sequence[str], contexts: Sequence[str | None]) -> list[tuple[str, str]]:
    """Return what makes questions different, as `ExactDedup` compares them."""
    question = normalise(pl.Series(questions, dtype=pl.String))
    context = normalise(pl.Series(contexts, dtype=pl.String).fill_null(""), ())
    return list(zip(question, context, strict=True))
