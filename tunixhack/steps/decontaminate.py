"""Decontamination: questions that repeat those of benchmarks, rejected before anything is paid for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from tunixhack._util.texts import is_blank
from tunixhack.errors import UserError
from tunixhack.sources.files import Row, file_rows
from tunixhack.sources.hub import hub_rows
from tunixhack.sources.source import is_file
from tunixhack.steps.base import Context, Verdict
from tunixhack.steps.benchmark_index import BenchmarkIndex, Match

COLUMN, SPLIT = "question", "test"
"""The column and the split that are read where none is named."""
_MOST_SHOWN = 8


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
    ``similar``                 It shares 4 words in a row with the benchmark question, and their normalised Indel
                                similarity (``rapidfuzz.fuzz.ratio``) is at least ``similarity``. Where parts of the
                                benchmark question are phrases, 4 words or more in a row that stand in more than two of
                                them, the same percentage of its other words must be there as well, in their order.
    ``similar_numbers_masked``  The same where all numbers are taken for equal.
    =========================== ==================================================================================

    The rules are those of OpenThoughts (arXiv 2506.04178: 13-grams of tokens, or an Indel similarity of 75) but for
    what slips through there: short questions, wrapped ones and other numbers; and a phrase that many benchmark
    questions have does not reject a row by itself. A question with a context is looked for alone and together with it.

    So that the time is linear in the questions, those that share runs of four words with many benchmark questions are
    compared as a whole with the 20 with which they share the rarest, and a run that stands in more than 100 does not
    count among those. Translations and free rewording are not found.

    The step is meant to stand before the first one that asks a teacher. On a table of your own it is called as
    ``Decontaminate(against=(…,))(rows, Context())``, which needs the column ``question``.

    Attributes:
        against: the benchmarks, each a local file (`tunixhack.sources.files` lists the kinds) or a Hub dataset:
            ``tests.jsonl``, ``tests.csv:problem`` with the name of the column, ``openai/gsm8k:main:test:question`` as
            ``ORG/NAME:config:split:column``, of which parts at the end, and ones left empty between the colons, are
            the dataset's own config, the split ``test`` and the column ``question``. Hub datasets are read as sources
            are, so that ``HF_ENDPOINT``, ``HF_TOKEN`` and the cache hold for them.
        similarity: the least similarity of questions that are alike, above 0 and at most 100. Short questions that
            differ in one word can reach 75: "What is the capital of Spain?" is like that of France.

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

    def __post_init__(self) -> None:
        named: Any = self.against  # of a recipe that nobody checks the types of
        if not isinstance(named, tuple | list) or not all(isinstance(one, str | Path) for one in named):
            raise UserError(
                f'Decontaminate(against={named!r}): name the benchmarks as a tuple, as in against=("tests.jsonl",)'
            )
        if not named:
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
        loaded = [_load(Benchmark.named(spec), ctx) for spec in self.against]
        entries = [entry for one in loaded for entry in one]
        index = _index(entries, self.similarity)
        found = index.find(rows["question"].fill_null("").to_list())
        if "context" in rows.columns:
            pairs = enumerate(zip(rows["question"], rows["context"], strict=True))
            open_rows = [at for at, (_, context) in pairs if context and found[at] is None]
            both = [f"{rows['question'][at]}\n\n{rows['context'][at]}" for at in open_rows]
            for at, match in zip(open_rows, index.find(both), strict=True):
                found[at] = match
        evidence = [None if match is None else _evidence(match, entries[match.question]) for match in found]
        return Verdict(
            keep=pl.Series("keep", [match is None for match in found], dtype=pl.Boolean),
            reason="in_benchmark",
            evidence=evidence,
            note=_note(self.against, loaded),
            remedy="leave a benchmark that you do not evaluate on out of Decontaminate(against=…)",
        )


def benchmark_index(step: Decontaminate, ctx: Context) -> BenchmarkIndex:
    """Read a step's benchmarks once, for tables that come in batches.

    Raises:
        UserError: one cannot be read.
    """
    return _index([entry for spec in step.against for entry in _load(Benchmark.named(spec), ctx)], step.similarity)


def _index(entries: list[_Entry], similarity: float) -> BenchmarkIndex:
    return BenchmarkIndex([entry.text for entry in entries], similarity)


@dataclass(frozen=True)
class Benchmark:
    """A place that benchmark questions are read from."""

    place: str
    """A file's path, or a Hub dataset's id."""
    config: str | None = None
    split: str | None = None
    """None of a file."""
    column: str = COLUMN

    @classmethod
    def named(cls, spec: str) -> Benchmark:
        """Read what `Decontaminate` takes for a benchmark.

        Raises:
            UserError: it names neither a file nor a Hub dataset.

        >>> Benchmark.named("data/tests.csv:problem")
        Benchmark(place='data/tests.csv', config=None, split=None, column='problem')
        >>> Benchmark.named("openai/gsm8k:main")
        Benchmark(place='openai/gsm8k', config='main', split='test', column='question')
        """
        if Path(spec).expanduser().is_file():
            return cls(spec)
        for at, sign in enumerate(spec):
            if sign == ":" and spec[at + 1 :] and _is_named_file(spec[:at]):
                return cls(spec[:at], column=spec[at + 1 :])
        if is_file(spec) and "://" not in spec:
            return cls(spec)
        dataset, *parts = spec.split(":")
        owner, slash, name = dataset.partition("/")
        if not (owner and slash and name) or "/" in name or len(parts) > 3:
            raise UserError(
                f"{spec!r} is no benchmark: name a file as FILE or FILE:column, or a Hub dataset as "
                "ORG/NAME:config:split:column, of which all but ORG/NAME may be left out"
            )
        config, split, column = (*parts, "", "", "")[:3]
        return cls(dataset, config or None, split or SPLIT, column or COLUMN)

    @property
    def name(self) -> str:
        """Return what tables call it: of a file the name alone, since a folder's can tell of its user."""
        if self.split is None:
            return Path(self.place).name
        return ":".join(filter(None, (self.place, self.config, self.split)))


@dataclass(frozen=True)
class _Entry:
    """A benchmark question."""

    benchmark: str
    row: int
    text: str
    open: bool
    """Whether its text may be shown."""


def _is_named_file(path: str) -> bool:
    return len(path) > 1 and (Path(path).expanduser().is_file() or (is_file(path) and bool(Path(path).suffix)))


def _load(benchmark: Benchmark, ctx: Context) -> list[_Entry]:
    ctx.say(f"reading the benchmark {benchmark.name}")
    try:
        rows: Iterable[Row]
        if benchmark.split is None:
            rows, shown = file_rows(Path(benchmark.place).expanduser()), True
        else:
            opened = hub_rows(benchmark.place, benchmark.config, benchmark.split, None)
            rows, shown = opened.rows, opened.public is True
        found = [_Entry(benchmark.name, row, text, shown) for row, text in _texts(rows, benchmark)]
        if not found:
            raise UserError(f"{benchmark.name} has no question in its column {benchmark.column}")
    except UserError as error:
        raise UserError(
            f"no question was compared with the benchmark {benchmark.name}: {error}; or take it out of "
            "Decontaminate(against=…) to go on without it"
        ) from error
    return found


def _texts(rows: Iterable[Row], benchmark: Benchmark) -> Iterator[tuple[int, str]]:
    column, name = benchmark.column, benchmark.name
    seen: dict[str, None] = {}
    for number, row in enumerate(rows):
        seen |= dict.fromkeys(map(str, row)) if len(seen) < _MOST_SHOWN else {}
        text = row.get(column)
        if text is not None and not isinstance(text, str):
            raise UserError(
                f"{name}, row {number} (from 0): the column {column} holds {_kind(text)}, not text: name another one"
            )
        if text is not None and not is_blank(text):
            yield number, text
    if seen and column not in seen:
        colons = "FILE:column" if benchmark.split is None else "ORG/NAME:config:split:column"
        raise UserError(
            f"{name} has no column {column}: it has {', '.join(list(seen)[:_MOST_SHOWN])}; name the one with the "
            f"questions, as {colons}"
        )


def _kind(value: Any) -> str:
    return {"list": "lists", "dict": "mappings", "int": "numbers", "float": "numbers"}.get(type(value).__name__, "data")


def _evidence(match: Match, entry: _Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"benchmark": entry.benchmark, "row": entry.row, "rule": match.rule}
    if match.similarity is not None:
        found["similarity"] = match.similarity
    if entry.open:
        found["text"] = entry.text if match.text is None else match.text
    return found


def _note(against: tuple[str, ...], loaded: list[list[_Entry]]) -> str:
    parts = [f"{len(one):,} of {one[0].benchmark}" for one in loaded]
    return f"compared with {' and '.join(parts) if len(against) < 3 else ', '.join(parts)}"
