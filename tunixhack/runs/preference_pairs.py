"""Preference pairs out of a run's answers: for each question a better answer and a worse one.

Direct preference optimisation (Rafailov et al., arXiv:2305.18290) and its kin learn from such pairs. Chosen are kept
answers only; rejected can be any answer that was read whole, since an answer that was proved wrong stands in
rejected.parquet. What decides which is better:

=========== ============================================= =====================================================
``by``      the column                                    better is
=========== ============================================= =====================================================
``verify``  ``verify_correct`` of `Verify`                true, over false
``vote``    ``vote_share`` of `MajorityVote`              the larger share, over another claim
``judge``   ``<step>_score`` of a step that judges        the higher score
``length``  trace and answer together                     the fewer characters
=========== ============================================= =====================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import polars as pl

from tunixhack._util.ids import rank
from tunixhack._util.proportions import Share
from tunixhack._util.wording import counted
from tunixhack.errors import UserError, nearest
from tunixhack.formats import FORMATS, Example, require, user_message

if TYPE_CHECKING:
    from tunixhack.runs.run import Run

By = Literal["verify", "vote", "judge", "length"]
SCORE = "_score"
"""The end of the name of a column with a judge's scores."""
COLUMN = {"verify": "verify_correct", "vote": "vote_share"}
WRITER = {"verify": "Verify(…)", "vote": "MajorityVote()"}
"""The step that writes the column."""
PAIR_FORMATS = ("hackathon", "think", "messages")
"""The formats of `tunixhack.formats.FORMATS` in which a reply is one turn of OpenAI messages."""
LONG = 0.8
"""The share of pairs from which on the longer answer is so often chosen, or rejected, that it is told."""
COLUMNS = ("prompt", "chosen", "rejected", "question_id", "chosen_sample", "rejected_sample", "why")


@dataclass(frozen=True)
class PreferencePairs:
    """Preference pairs, and what is to be known of them."""

    rows: list[dict[str, Any]]
    """One pair each, in the columns `COLUMNS`: ``prompt``, ``chosen`` and ``rejected`` are lists of messages, as the
    library trl reads them."""
    questions: int
    """Questions with at least one pair."""
    of: int
    """Questions with at least one answer that was read whole."""
    chosen_longer: Share
    """The pairs whose chosen reply has more characters than the rejected one, of those that differ in length."""
    by: str = "verify"
    """What decided; by the length, one side is always the longer by intent."""

    def table(self) -> pl.DataFrame:
        """Return the pairs as a table."""
        message = pl.List(pl.Struct(dict.fromkeys(self._keys(), pl.String())))
        texts = {"question_id": pl.String(), "chosen_sample": pl.Int64(), "rejected_sample": pl.Int64()}
        asked = pl.List(pl.Struct({"role": pl.String(), "content": pl.String()}))
        schema = {"prompt": asked, "chosen": message, "rejected": message, **texts, "why": pl.String()}
        return pl.DataFrame(self.rows, schema=schema)

    def _keys(self) -> list[str]:
        """Return the keys of a reply's message, which in one format has its trace apart."""
        return list(self.rows[0]["chosen"][0]) if self.rows else ["role", "content"]

    def sentences(self) -> list[str]:
        """Say how many pairs there are, and whether they may teach a length rather than what they are meant for."""
        told = [f"{counted(len(self.rows), 'pair')} of {counted(self.questions, 'question')}, of {self.of:,}"]
        share = self.chosen_longer.value
        if share is None or self.by == "length":
            return told
        end = "a student may learn the length from them, rather than what makes an answer better"
        if share >= LONG:
            told.append(f"the chosen answer is the longer one in {share:.0%} of the pairs: {end}")
        elif share <= 1 - LONG:
            told.append(f"the chosen answer is the longer one in {share:.0%} of the pairs only: {end}")
        return told

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, JSON-able."""
        longer = {"count": self.chosen_longer.count, "of": self.chosen_longer.of}
        return {
            "pairs": len(self.rows),
            "questions": self.questions,
            "of": self.of,
            "chosen_longer": longer,
            "notes": self.sentences()[1:],
        }


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """The choice of pairs."""

    by: By = "verify"
    per_question: int = 1
    """The most pairs of one question."""
    score: str | None = None
    """For ``judge`` the column of scores; None for the only one there is."""
    margin: float = 0.0
    """For ``judge``, ``vote`` and ``length`` the least difference within a pair: of scores, of shares, of
    characters."""
    format: str = "hackathon"
    """One of `PAIR_FORMATS`."""

    def __post_init__(self) -> None:
        """Refuse what is unknown.

        Raises:
            UserError: it is; or no pair is asked for.
        """
        if self.by not in get_args(By):
            raise UserError(f"by={self.by!r} is unknown: {nearest(str(self.by), get_args(By))}")
        if self.format not in PAIR_FORMATS:
            raise UserError(f"format {self.format!r} is none of pairs: {nearest(str(self.format), PAIR_FORMATS)}")
        if self.per_question < 1:
            raise UserError(f"per_question={self.per_question}: at least 1 pair of each question must be asked for")
        if self.margin < 0:
            raise UserError(f"margin={self.margin:g}: a difference is not below 0")
        if self.score is not None and self.by != "judge":
            raise UserError(f"score={self.score!r} is for by='judge': leave it out, or choose that")


class _Answer(NamedTuple):
    sample: int
    kept: bool
    value: float
    """The higher, the better."""
    shown: str
    """The value as it is told in ``why``."""
    claim: str | None
    reply: dict[str, str]
    length: int
    """Characters of trace and answer."""


def pairs_of(run: Run, by: str, options: Mapping[str, Any]) -> PreferencePairs:
    """Make the preference pairs of a run.

    Args:
        run: with its tables.
        by: what makes an answer better.
        options: the other fields of `PairOptions`.

    Raises:
        UserError: an option is unknown, no step has written what decides, or no question has a better and a worse
            answer.
    """
    known = [name for name in PairOptions.__dataclass_fields__ if name != "by"]
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise UserError(f"pairs have no {unknown!r}: {nearest(unknown, known)}")
    seed = run.state().get("order", {}).get("seed") or 0
    chosen = PairOptions(by=by, **options)  # type: ignore[arg-type]  # an unknown word is refused there
    found = preference_pairs(run.train, run.rejected, chosen, seed)
    if not found.rows:
        raise UserError(
            f"{run.place} gives no pair by {by}: none of {counted(found.of, 'question')} has a kept answer that is "
            "better than another one"
        )
    return found


def preference_pairs(train: pl.DataFrame, rejected: pl.DataFrame, options: PairOptions, seed: int) -> PreferencePairs:
    """Make preference pairs of the tables of a run.

    Within a question by ``verify``, the first right answer goes with the first wrong one, the second with the second,
    by their samples; by a number, the best with the worst, the second best with the second worst. No answer stands in
    two pairs of a question, and no pair has two equal replies. The questions come in the run's order (contract 8).
    So the pairs of a smaller ``per_question`` are among those of a larger one.

    Args:
        train: kept answers.
        rejected: dropped rows; what is no whole answer is left out.
        options: what decides, and how many pairs.
        seed: the run's, of the order of questions.

    Raises:
        UserError: no step has written what decides; the sentence names what there is.
    """
    rows = _answers(train, rejected, FORMATS[options.format].tags)
    column = _column(rows, options)
    pairs: list[dict[str, Any]] = []
    longer = differ = with_pairs = 0
    questions = sorted(rows.partition_by("question_id", as_dict=True).items(), key=lambda item: rank(seed, item[0][0]))
    for (question,), table in questions:
        first = table.row(0, named=True)
        prompt = [{"role": "user", "content": user_message(first["question"], first["context"])}]
        answers = list(_read(table, column, options))
        found = list(_paired(answers, options))[: options.per_question]
        with_pairs += bool(found)
        for chosen, other in found:
            longer += chosen.length > other.length
            differ += chosen.length != other.length
            told = (prompt, [chosen.reply], [other.reply], question, chosen.sample, other.sample)
            why = f"{column or 'characters'}: {chosen.shown} over {other.shown}"
            pairs.append(dict(zip(COLUMNS, (*told, why), strict=True)))
    return PreferencePairs(pairs, with_pairs, len(questions), Share(longer, differ), options.by)


def _answers(train: pl.DataFrame, rejected: pl.DataFrame, tags: Iterable[str]) -> pl.DataFrame:
    """Return all answers that were read whole and can be written in a format, with whether they were kept."""
    require(train, "question_id", "sample", "question", "reasoning", "answer")
    both = [train.with_columns(kept=True)]
    if {"sample", "reasoning", "answer", "step"} <= set(rejected.columns):
        both.append(rejected.filter(pl.col("step") != "parse").with_columns(kept=False))
    rows = pl.concat(both, how="diagonal_relaxed")
    if "context" not in rows.columns:
        rows = rows.with_columns(context=pl.lit(None, pl.String))
    whole = pl.col("sample").is_not_null() & pl.col("reasoning").is_not_null() & pl.col("answer").is_not_null()
    for tag in tags:
        for column in ("reasoning", "answer"):
            whole &= ~pl.col(column).str.contains(tag, literal=True)
    # a mixture can have a row more than once
    return rows.filter(whole).unique(["question_id", "sample"], keep="first", maintain_order=True)


def _column(rows: pl.DataFrame, options: PairOptions) -> str | None:
    """Return the column that decides; None for the length.

    Raises:
        UserError: it is not there, or there are several.
    """
    if options.by == "length":
        return None
    if options.by != "judge":
        column = COLUMN[options.by]
        if column not in rows.columns:
            raise UserError(
                f"by={options.by!r} needs the column {column}, which no step of this run has written: add "
                f"{WRITER[options.by]} to the recipe and build again, which asks nothing; {_there(rows)}"
            )
        return column
    scores = [name for name in rows.columns if name.endswith(SCORE) and rows[name].dtype.is_numeric()]
    if options.score is not None:
        if options.score not in rows.columns:
            raise UserError(f"there is no column {options.score} in this run: {_there(rows)}")
        if not rows[options.score].dtype.is_numeric():
            raise UserError(f"the column {options.score} has no numbers: {_there(rows)}")
        return options.score
    if len(scores) != 1:
        many = f"there are {', '.join(scores)}: name one of them with score=" if scores else _there(rows)
        raise UserError(f"by='judge' needs one column of scores, which a step that judges answers writes; {many}")
    return scores[0]


def _there(rows: pl.DataFrame) -> str:
    """Name the columns of the run that could decide."""
    known = [name for name in rows.columns if name.endswith(SCORE) or name in COLUMN.values()]
    return f"the run has {', '.join(known)}" if known else "the run has no column of scores, and by='length' needs none"


def _read(table: pl.DataFrame, column: str | None, options: PairOptions) -> Iterator[_Answer]:
    """Read the answers to one question, those left out about which the column says nothing; sorted by sample."""
    write = FORMATS[options.format].write
    for row in table.sort("sample").iter_rows(named=True):
        length = len(row["reasoning"]) + len(row["answer"])
        value = -length if column is None else row[column]
        if value is None or value != value:  # a NaN is no score
            continue
        shown = f"{length:,}" if column is None else f"{value:g}" if isinstance(value, float) else str(value).lower()
        reply = write(Example("", row["reasoning"], row["answer"]))["messages"][1]
        yield _Answer(row["sample"], row["kept"], float(value), shown, row.get("vote_claim"), reply, length)


def _paired(answers: Sequence[_Answer], options: PairOptions) -> Iterator[tuple[_Answer, _Answer]]:
    """Yield the pairs of one question, chosen and rejected."""
    kept = [answer for answer in answers if answer.kept]
    if options.by == "verify":
        better = [answer for answer in kept if answer.value == 1]
        worse = [answer for answer in answers if answer.value == 0]
    else:
        better = sorted(kept, key=lambda answer: (-answer.value, answer.sample))
        worse = sorted(answers, key=lambda answer: (answer.value, answer.sample))
    used: set[int] = set()
    for chosen in better:
        if chosen.sample in used:
            continue
        for other in worse:
            if other.sample in used or chosen.value - other.value <= 0 or chosen.reply == other.reply:
                continue
            if chosen.value - other.value < options.margin and options.by != "verify":
                break  # those that follow are nearer still
            if options.by == "vote" and chosen.claim is not None and chosen.claim == other.claim:
                continue
            used |= {chosen.sample, other.sample}
            yield chosen, other
            break
