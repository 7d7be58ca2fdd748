"""The questions of benchmarks, read from files and from the Hub; what came from the Hub once is kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunixhack._util.cache import file_sha256
from tunixhack._util.files import make_folder, write_json
from tunixhack._util.hub import host
from tunixhack._util.texts import is_blank
from tunixhack.errors import UserError
from tunixhack.sources.files import Row, file_rows
from tunixhack.sources.hub import hub_rows
from tunixhack.steps.benchmarks import Benchmark

_MOST_SHOWN = 8
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class BenchmarkTexts:
    """The questions of one benchmark."""

    name: str
    texts: list[tuple[int, str]]
    """Each with the number of its row, from 0."""
    public: bool | None
    """Whether anybody can read it, so that its texts may be shown; None where that is not known."""
    commit: str | None = None
    """Of a Hub dataset; None where the cache of `datasets` does not tell."""
    sha256: str | None = None
    """Of a file."""

    def describe(self) -> dict[str, Any]:
        """Return what run.json keeps of it."""
        return {"benchmark": self.name, "commit": self.commit, "sha256": self.sha256, "questions": len(self.texts)}


def read_benchmark(
    benchmark: Benchmark, say: Callable[[str], None], cache: Path | None, others: Sequence[str] = ()
) -> BenchmarkTexts:
    """Read a benchmark's questions.

    A Hub dataset of no named revision is read at the newest commit once, and at the same from then on; one that is
    named by its commit is never read again either. A branch or a tag is looked up every time.

    Args:
        benchmark: which one.
        say: is told what is downloaded, before it is.
        cache: the folder to keep it in; None to keep nothing.
        others: the benchmarks that are compared with besides, which the remedy keeps.

    Raises:
        UserError: it cannot be read, found or reached, or has no questions; says how to go on without it.
    """
    try:
        if benchmark.split is None:
            return _of_file(benchmark)
        return _of_hub(benchmark, say, cache)
    except UserError as error:
        raise UserError(
            f"no question was compared with the benchmark {benchmark.name}: {_how_to_go_on(benchmark, others)}; {error}"
        ) from error


def _how_to_go_on(benchmark: Benchmark, others: Sequence[str]) -> str:
    if benchmark.known:
        return f"--against {shlex.quote(','.join(others) or 'none')} goes on without it"
    return "to go on without it, take it out of --against or Decontaminate(against=…)"


def _of_file(benchmark: Benchmark) -> BenchmarkTexts:
    path = Path(benchmark.place).expanduser()
    texts = _with_questions(file_rows(path), benchmark)
    return BenchmarkTexts(benchmark.name, texts, True, sha256=file_sha256(path))


def _of_hub(benchmark: Benchmark, say: Callable[[str], None], cache: Path | None) -> BenchmarkTexts:
    lasting = benchmark.revision is None or _COMMIT.fullmatch(benchmark.revision)
    kept = None if cache is None or not lasting else _kept_file(benchmark, cache)
    known = None if kept is None else _read_kept(kept, benchmark.name)
    if known is not None:
        return known

    def tell(rows: int | None, size: int | None) -> None:
        told = [f"{rows:,} rows"] if rows else []
        told += [f"{max(size / 1e6, 0.1):.1f} MB"] if size else []
        what = benchmark.size or ", ".join(told) or "its page does not tell how large it is"
        say(f"reading the benchmark {benchmark.name} of {host()}: {what}")

    opened = hub_rows(benchmark.place, benchmark.config, str(benchmark.split), benchmark.revision, tell)
    read = BenchmarkTexts(benchmark.name, _with_questions(opened.rows, benchmark), opened.public, opened.commit)
    if kept is not None:
        with contextlib.suppress(UserError):  # a cache that cannot be written costs time, no more
            make_folder(kept.parent)
            write_json(kept, asdict(read))
    return read


def _kept_file(benchmark: Benchmark, cache: Path) -> Path:
    parts = [host(), benchmark.place, benchmark.config, benchmark.split, benchmark.column, benchmark.revision]
    return cache / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}.json"


def _read_kept(path: Path, name: str) -> BenchmarkTexts | None:
    """Read what was kept; None where nothing was, or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        texts = [(int(row), str(text)) for row, text in kept["texts"]]
        return BenchmarkTexts(name, texts, kept["public"], kept["commit"]) if texts else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _with_questions(rows: Iterable[Row], benchmark: Benchmark) -> list[tuple[int, str]]:
    found = list(_texts(rows, benchmark))
    if not found:
        raise UserError(f"{benchmark.name} has no question in its column {benchmark.column}")
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
