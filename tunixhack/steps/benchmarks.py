"""The benchmarks that questions are compared with: those known by name, and how any other one is spelt.

`tunixhack.evaluate.benchmarks` asks some of them as tasks, by the same names, datasets and revisions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tunixhack.errors import UserError, nearest
from tunixhack.sources.source import is_file

COLUMN, SPLIT = "question", "test"
"""The column and the split that are read where none is named."""


@dataclass(frozen=True)
class KnownBenchmark:
    """A benchmark that has a name here. All are files that need no script, and open unless they have terms."""

    dataset: str
    """Its id on the Hub."""
    config: str | None
    split: str
    column: str
    """The one with the questions."""
    license: str | None
    """As the Hub spells it; None where its page names none."""
    questions: int
    megabytes: float
    """About how many are downloaded, all splits of the config together."""
    revision: str | None = None
    """The commit that is read; None for the newest at the first time."""
    terms: str | None = None
    """What has to be accepted on its page before it can be read; None where anybody can read it."""


KNOWN: Mapping[str, KnownBenchmark] = MappingProxyType(
    {
        "gsm8k": KnownBenchmark(
            "openai/gsm8k", "main", "test", "question", "mit", 1319, 2.7, "cc7b047b6e5bb11b4f1af84efc572db110a51b3c"
        ),
        "math-500": KnownBenchmark(
            "HuggingFaceH4/MATH-500", None, "test", "problem", None, 500, 0.5,
            "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        ),
        "aime24": KnownBenchmark(
            "math-ai/aime24", None, "test", "problem", None, 30, 0.1, "83a7f387baaa524a8bda0022eac0541582297103"
        ),
        "aime25": KnownBenchmark(
            "math-ai/aime25", None, "test", "problem", None, 30, 0.1, "563bb8404243c5f09de6ec262f2db674fe5bce9b"
        ),
        "gpqa-diamond": KnownBenchmark(
            "Idavidrein/gpqa", "gpqa_diamond", "train", "Question", "cc-by-4.0", 198, 1.4,
            "633f5ee89ab8ad4522a9f850766b73f62147ffdd",
            "that none of its examples is shown online, in plain text or in images",
        ),
        "humaneval": KnownBenchmark(
            "openai/openai_humaneval", None, "test", "prompt", "mit", 164, 0.1,
            "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
        ),
        "mbpp": KnownBenchmark(
            "google-research-datasets/mbpp", "full", "test", "text", "cc-by-4.0", 500, 0.3,
            "4bb6404fdc6cacfda99d4ac4205087b89d32030c",
        ),
        "sciq": KnownBenchmark("allenai/sciq", None, "test", "question", "cc-by-nc-3.0", 1000, 4.7),
        "arc-challenge": KnownBenchmark(
            "allenai/ai2_arc", "ARC-Challenge", "test", "question", "cc-by-sa-4.0", 1172, 0.5,
            "210d026faf9955653af8916fad021475a3f00453",
        ),
        "mmlu-pro": KnownBenchmark("TIGER-Lab/MMLU-Pro", None, "test", "question", "mit", 12032, 4.2),
        "ifeval": KnownBenchmark(
            "google/IFEval", None, "train", "prompt", "apache-2.0", 541, 0.2,
            "966cd89545d6b6acfd7638bc708b98261ca58e84",
        ),
        "truthfulqa": KnownBenchmark(
            "truthfulqa/truthful_qa", "generation", "validation", "question", "apache-2.0", 817, 0.3
        ),
    }
)  # fmt: skip
"""The benchmarks that a name of their own is enough for."""


def known_name(spelling: str) -> str | None:
    """Return the name in `KNOWN` that is meant, whatever its case, hyphens and underscores; None of none.

    >>> known_name("math500"), known_name("gpqa_diamond"), known_name("math")
    ('math-500', 'gpqa-diamond', None)
    """
    return next((name for name in KNOWN if _letters(name) == _letters(spelling)), None)


def _letters(name: str) -> str:
    return re.sub("[-_]", "", name.casefold())


@dataclass(frozen=True)
class Benchmark:
    """A place that benchmark questions are read from."""

    place: str
    """A file's path, or a Hub dataset's id."""
    config: str | None = None
    split: str | None = None
    """None of a file."""
    column: str = COLUMN
    revision: str | None = None
    """The Hub dataset's branch, tag or commit; None for the newest at the first time."""
    known: str | None = None
    """The name in `KNOWN` that it was spelt by."""

    @classmethod
    def named(cls, spec: str) -> Benchmark:
        """Read what `Decontaminate` takes for a benchmark.

        Raises:
            UserError: it is none of `KNOWN`, and names neither a file nor a Hub dataset.

        >>> Benchmark.named("data/tests.csv:problem")
        Benchmark(place='data/tests.csv', config=None, split=None, column='problem', revision=None, known=None)
        >>> Benchmark.named("openai/gsm8k:main@v1").name
        'openai/gsm8k:main:test'
        >>> Benchmark.named("gsm8k").place
        'openai/gsm8k'
        """
        if Path(spec).expanduser().is_file():
            return cls(spec)
        for at, sign in enumerate(spec):
            if sign == ":" and spec[at + 1 :] and _is_named_file(spec[:at]):
                return cls(spec[:at], column=spec[at + 1 :])
        if is_file(spec) and "://" not in spec:
            return cls(spec)
        place, _, revision = spec.partition("@")
        if (known := known_name(place)) is not None:
            one = KNOWN[known]
            return cls(one.dataset, one.config, one.split, one.column, revision or one.revision, known)
        return _of_the_hub(spec, place, revision or None)

    @property
    def name(self) -> str:
        """Return what tables call it: of a file the name alone, since a folder's can tell of its user."""
        if self.known is not None:
            return self.known
        if self.split is None:
            return Path(self.place).name
        return ":".join(filter(None, (self.place, self.config, self.split)))

    @property
    def size(self) -> str:
        """Say how large a known one is; nothing of others.

        >>> Benchmark.named("gsm8k").size
        '1,319 questions, about 2.7 MB'
        """
        known = KNOWN.get(self.known or "")
        return "" if known is None else f"{known.questions:,} questions, about {known.megabytes} MB"


def _of_the_hub(spec: str, place: str, revision: str | None) -> Benchmark:
    dataset, *parts = place.split(":")
    owner, slash, name = dataset.partition("/")
    if not (owner and slash and name) or "/" in name or len(parts) > 3:
        hint = "" if slash else f"; by name alone {nearest(place, KNOWN)}"
        raise UserError(
            f"{spec!r} is no benchmark: name a file as FILE or FILE:column, or a Hub dataset as "
            f"ORG/NAME:config:split:column@revision, of which all but ORG/NAME may be left out{hint}"
        )
    config, split, column = (*parts, "", "", "")[:3]
    return Benchmark(dataset, config or None, split or SPLIT, column or COLUMN, revision)


def _is_named_file(path: str) -> bool:
    return len(path) > 1 and (Path(path).expanduser().is_file() or (is_file(path) and bool(Path(path).suffix)))
