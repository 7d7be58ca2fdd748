"""Decontamination: questions that repeat those of benchmarks, rejected before anything is paid for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from tunixhack.errors import UserError
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.benchmark_index import BenchmarkIndex, Match
from tunixhack.steps.benchmark_texts import BenchmarkTexts, read_benchmark
from tunixhack.steps.benchmarks import Benchmark

Evidence = dict[str, Any]


@dataclass(frozen=True)
class Decontaminate:
    r"""Reject the questions that repeat a question of a benchmark (``in_benchmark``).

    Questions are compared as words: in lower case and without Unicode's format characters, Markdown, HTML and chat
    tags, LaTeX's setting (``\boxed``, ``\text``, dollars), labels such as ``Question 3:``, and the instructions of
    `exact_dedup.DEFAULT_WRAPPERS`. Numbers are words, and operators count in runs of words. A row is rejected by the
    first of these rules that finds a benchmark question for it:

    =========================== ==================================================================================
    ``exact``                   It is the whole benchmark question, or is so before its list of options. This is the
                                only rule for benchmark questions of fewer than 5 words.
    ``ngram``                   It has 13 words in a row of the benchmark question; of one that has 5 to 12 words, all
                                of them in a row. A run that stands in more than two different benchmark questions
                                counts for nothing here.
    ``ngram_numbers_masked``    The same where all numbers, in digits or as English words, are taken for equal, if at
                                least 5 words of the run are none.
    ``similar``                 It shares 4 words in a row with the benchmark question, or a word that is not
                                frequent where that has fewer than 13 words, and their normalised Indel similarity
                                (``rapidfuzz.fuzz.ratio``) is at least ``similarity``. Where parts of the
                                benchmark question are phrases, 4 words or more in a row that stand in more than
                                two of them, the same percentage of its other words must be there as well, in
                                their order.
    ``similar_numbers_masked``  The same where all numbers are taken for equal, with 4 words in a row.
    =========================== ==================================================================================

    The rules are those of OpenThoughts (arXiv 2506.04178: 13-grams of tokens, or an Indel similarity of 75) but for
    what slips through there: short questions, wrapped ones and other numbers; and a phrase that many benchmark
    questions have does not reject a row by itself. A question with a context is looked for alone and together with it.

    So that the time is linear in the questions, those that share runs of four words, or a word, with many benchmark
    questions are compared as a whole with the 20 with which they share the rarest, and what stands in more than 100
    does not count among those. Translations and free rewording are not found.

    The step is meant to stand before the first one that asks a teacher. On a table of your own it is called as
    ``Decontaminate(against=(…,))(rows, Context())``, which needs the column ``question``.

    Attributes:
        against: the benchmarks, each by its name (``gsm8k``; see `tunixhack.steps.benchmarks.KNOWN`), a local file
            (`tunixhack.sources.files` lists the kinds) or a Hub dataset: ``tests.jsonl``, ``tests.csv:problem`` with
            the name of the column, ``openai/gsm8k:main:test:question@revision`` as
            ``ORG/NAME:config:split:column@revision``, of which parts at the end, and ones left empty between the
            colons, are the dataset's own config, the split ``test`` and the column ``question``. Hub datasets are read
            as sources are, so that ``HF_ENDPOINT`` and ``HF_TOKEN`` hold for them, and once: see
            `tunixhack.steps.benchmark_texts.read_benchmark`.
        similarity: the least similarity of questions that are alike, above 0 and at most 100. Short questions that
            differ in one word can reach 75: "What is the capital of Spain?" is like that of France.
        why_none: why ``against`` is empty, where it is to be; every question is kept then, and the funnel says this.

    Raises:
        UserError: no benchmark is named, one is spelt wrongly, or cannot be read, found or reached. None is left out
            silently.

    >>> import json, tempfile
    >>> benchmark = Path(tempfile.mkdtemp()) / "ducks.jsonl"
    >>> _ = benchmark.write_text(json.dumps({"question": "How many eggs do three ducks lay in a week?"}))
    >>> rows = pl.DataFrame({"question": ["Say how many eggs do 5 ducks lay in a week?", "Why do ducks float?"]})
    >>> verdict = Decontaminate(against=(str(benchmark),))(rows, Context())
    >>> verdict.keep.to_list(), verdict.evidence[0]["rule"], verdict.evidence[0]["row"]
    ([False, True], 'ngram_numbers_masked', 0)
    """

    stage: ClassVar[str] = "questions"
    reads: ClassVar[tuple[str, ...]] = ("question",)

    against: tuple[str, ...]
    similarity: float = 75.0
    why_none: str | None = None

    def __post_init__(self) -> None:
        named: Any = self.against  # of a recipe that nobody checks the types of
        if not isinstance(named, tuple | list) or not all(isinstance(one, str | Path) for one in named):
            raise UserError(
                f'Decontaminate(against={named!r}): name the benchmarks as a tuple, as in against=("tests.jsonl",)'
            )
        if not named and not self.why_none:
            raise UserError(
                "Decontaminate(against=()) has nothing to compare with: name the benchmarks that the student will be "
                'evaluated on, as in against=("tests.jsonl", "openai/gsm8k:main"), or leave the step out'
            )
        least: Any = self.similarity
        if not isinstance(least, int | float) or isinstance(least, bool) or not 0 < least <= 100:
            raise UserError(f"Decontaminate(similarity={self.similarity!r}): it is a number above 0 and at most 100")
        for spec in named:
            Benchmark.named(str(spec))
        # a recipe's steps can be compared and hashed
        object.__setattr__(self, "against", tuple(str(spec) for spec in named))

    def __call__(self, rows: pl.DataFrame, ctx: Context) -> Verdict:
        """Judge every row by its question, alone and with its context.

        The evidence of a rejected row is the ``benchmark``, the number of its ``row`` from 0, the ``rule``, for
        ``similar`` the ``similarity``, and the ``text`` that is shared. The text is left out of a benchmark that is
        gated or private, and of a Hub dataset that is read from the cache alone, which does not tell: nobody should
        publish the questions of those in a table of rejected rows.
        """
        if not self.against:
            keep = pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True)
            return Verdict(keep=keep, note=f"compared with no benchmark: {self.why_none}", details={"benchmarks": []})
        comparison = Comparison.read(self, ctx)
        contexts = rows["context"].to_list() if "context" in rows.columns else None
        evidence = comparison.find(rows["question"].fill_null("").to_list(), contexts)
        return Verdict(
            keep=pl.Series("keep", [one is None for one in evidence], dtype=pl.Boolean),
            reason="in_benchmark",
            evidence=evidence,
            note=comparison.note,
            details={"benchmarks": [one.describe() for one in comparison.loaded]},
            remedy="leave a benchmark that you do not evaluate on out of Decontaminate(against=…)",
        )


class Comparison:
    """Benchmarks that were read, for any number of questions.

    Args:
        loaded: the benchmarks.
        similarity: see `Decontaminate`.
    """

    def __init__(self, loaded: Sequence[BenchmarkTexts], similarity: float) -> None:
        self.loaded = loaded
        self._entries = [_Entry(one.name, row, text, one.public is True) for one in loaded for row, text in one.texts]
        self._index = BenchmarkIndex([entry.text for entry in self._entries], similarity)

    @classmethod
    def read(cls, step: Decontaminate, ctx: Context) -> Comparison:
        """Read the benchmarks of a step.

        Raises:
            UserError: one cannot be read, found or reached.
        """
        loaded = [
            read_benchmark(
                Benchmark.named(spec), ctx.say, ctx.cache, others=[one for one in step.against if one != spec]
            )
            for spec in step.against
        ]
        return cls(loaded, step.similarity)

    def find(self, questions: Sequence[str], contexts: Sequence[str | None] | None = None) -> list[Evidence | None]:
        """Return for each question the evidence that a benchmark has it, alone or with its context; None if none."""
        found = self._index.find(questions)
        if contexts is not None:
            open_rows = [at for at, context in enumerate(contexts) if context and found[at] is None]
            both = [f"{questions[at]}\n\n{contexts[at]}" for at in open_rows]
            for at, match in zip(open_rows, self._index.find(both), strict=True):
                found[at] = match
        return [None if match is None else _evidence(match, self._entries[match.question]) for match in found]

    @property
    def note(self) -> str:
        """Say what was compared with."""
        parts = [f"{len(one.texts):,} of {one.name}" for one in self.loaded]
        return f"compared with {' and '.join(parts) if len(parts) < 3 else ', '.join(parts)}"


@dataclass(frozen=True)
class _Entry:
    """A benchmark question."""

    benchmark: str
    row: int
    text: str
    open: bool
    """Whether its text may be shown."""


def _evidence(match: Match, entry: _Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"benchmark": entry.benchmark, "row": entry.row, "rule": match.rule}
    if match.similarity is not None:
        found["similarity"] = match.similarity
    if entry.open:
        found["text"] = entry.text if match.text is None else match.text
    return found
