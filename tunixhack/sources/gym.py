"""Questions that reasoning-gym makes: as many as are wanted, without a Hub, and split so that no text is on both sides.

Which families are known, and at which difficulties, stands in ``gym_families.json``, which
``benchmarks/gym_families.py`` writes: those whose verifier accepts its own answer and no nonsense, evaluates nothing
that a model writes, and whose items are made quickly and alike in every process.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import polars as pl

from tunixhack._util.ids import digest
from tunixhack.errors import UserError, nearest
from tunixhack.sources.gym_cache import COUNTS, cached, keep
from tunixhack.sources.mapping import questions
from tunixhack.sources.source import SHIPPED, Loaded, Source
from tunixhack.verifiers.gym_family import DEFAULT, DIFFICULTIES, item, score, version

ALL = "all"
FIRST = {"train": 0, "test": 2**30}
"""The number of a split's first item."""
TEST = FIRST["test"]
TEST_SHARE = 4
"""One text in so many belongs to the test questions, by its hash."""
MOST = 1_000_000
"""Questions of one source; more is a slip of the finger."""
DRY = 500
"""Items in a row without a new question, after which a family counts as used up."""
MAKING = 1
"""The number of this way to make questions, which is raised with every change of it: others' caches do not count."""
COLUMNS = {"question": "question", "reference": "answer", "category": "family", "inputs": "inputs"}
_SPEC = re.compile(
    r"gym(:(?P<families>[^/@:]*))?(/(?P<split>[^/@:]*))?(@(?P<difficulty>[^/@:]*))?(:(?P<size>[0-9]+))?", re.ASCII
)


@functools.cache
def families() -> Mapping[str, tuple[str, ...]]:
    """Return the families that are known, each with its difficulties."""
    text = resources.files("tunixhack.sources").joinpath("gym_families.json").read_text(encoding="utf-8")
    return {name: tuple(passed) for name, passed in json.loads(text)["families"].items()}


@dataclass(frozen=True, kw_only=True)
class GymSource:
    """Questions of reasoning-gym, by family and difficulty, each with a reference that its own verifier accepts.

    A question belongs to train or to test by a hash of its text (lower case, white space as one space): three in four
    to train. Train questions are looked for among the items from 0 on, test questions among those from 2³⁰ on. So the
    two share no item, and no text either, whatever their sizes, families and difficulties.

    The families take turns; one that has no further questions drops out, and there can be fewer than ``size``. A
    smaller source is the beginning of a larger one. Another version of reasoning-gym makes other questions, hence a
    run's folder belongs to one version.

    >>> GymSource(families=("chain_sum", "gcd"), difficulty="easy", split="test", size=300).spelling()
    'gym:chain_sum,gcd/test@easy:300'
    """

    families: tuple[str, ...] = ()
    """By reasoning-gym's names; all that are known at the difficulty where it is empty."""
    difficulty: str = DEFAULT
    """``easy``, ``medium`` or ``hard``, the levels 0, 1 and 2 of a family's curriculum; or ``default``, its own
    configuration."""
    split: str = "train"
    """``train`` or ``test``."""
    size: int = 10_000
    """Questions, at most."""

    path = "reasoning-gym"
    name = None
    license = "apache-2.0"
    shipped = None

    def __post_init__(self) -> None:
        """See that there are such families.

        Raises:
            UserError: an unknown or repeated family, one without that difficulty, or a size out of bounds.
        """
        for what, given, known in (
            ("difficulty", self.difficulty, DIFFICULTIES),
            ("split", self.split, tuple(FIRST)),
        ):
            if given not in known:
                raise UserError(f"reasoning-gym has no {what} {given!r} here: {nearest(given, known)}")
        names: Any = self.families
        if isinstance(names, str):
            raise UserError(f"families={names!r} must be a tuple of names, as in ({names!r},)")
        for family in self.families:
            if family not in families():
                raise UserError(f"the family {family!r} is unknown: {nearest(family, families())}")
            if self.difficulty not in families()[family]:
                has = ", ".join(families()[family])
                raise UserError(f"the family {family} has no questions at difficulty {self.difficulty}: it has {has}")
        if len(set(self.families)) < len(self.families):
            raise UserError(f"families={','.join(self.families)!r} names one twice: leave it out once")
        size: Any = self.size  # which is the user's, and need not keep to its type
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST:
            raise UserError(f"size={size!r}: ask for a whole number of questions between 1 and {MOST:,}")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The families that questions are taken from, in the order of their names."""
        return tuple(sorted(self.families or (one for one, has in families().items() if self.difficulty in has)))

    def override(self, spec: str) -> GymSource | Source:
        """Return the source that ``--source`` names: ``gym:FAMILY,…/SPLIT@DIFFICULTY:SIZE``, or as for any domain.

        Of the former all but ``gym`` may be left out. The families ``all`` are all that are known.

        Raises:
            UserError: an unknown name, or no source at all.
        """
        if spec == SHIPPED:
            raise UserError("the package ships no questions for gym, which makes its own: leave --source out")
        if not re.match(r"gym([:/@]|\Z)", spec):
            return Source(spec).override(spec)
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise UserError(
                f"{spec!r} is no source: write gym:FAMILY,FAMILY/SPLIT@DIFFICULTY:SIZE, of which all but gym may be "
                "left out, as in gym:chain_sum,gcd@easy"
            )
        named = self.families if match["families"] is None else _named(match["families"])
        return GymSource(
            families=named,
            difficulty=self.difficulty if match["difficulty"] is None else match["difficulty"],
            split=self.split if match["split"] is None else match["split"],
            size=self.size if match["size"] is None else int(match["size"]),
        )

    def with_columns(self, columns: str | Mapping[str, str]) -> GymSource:
        """Refuse columns of other names: these questions have ours.

        Raises:
            UserError: always.
        """
        raise UserError("--columns is for a file or a dataset: the questions of gym are made, in our own columns")

    def columns_spelling(self) -> None:
        """Return None: there is nothing that `with_columns` takes."""
        return

    def spelling(self) -> str:
        """Return what `override` takes to name this source."""
        return f"gym:{','.join(self.families) or ALL}/{self.split}@{self.difficulty}:{self.size}"

    def describe(self) -> dict[str, Any]:
        """Say which source this is: what a run's folder belongs to (contract 10). Its size may change."""
        return {
            "path": self.path,
            "name": ",".join(sorted(self.families)) or ALL,
            "split": self.split,
            "difficulty": self.difficulty,
            "version": version(),
        }

    def load(self, domain: str) -> Loaded:
        """Make the questions, or take them from the cache where the same were made before.

        Args:
            domain: the recipe's domain; part of every question_id.

        Raises:
            MissingExtra: reasoning-gym is not installed.
        """
        decides = (MAKING, version(), DRY, TEST_SHARE, FIRST[self.split], *self._asked())
        found = cached(*decides)
        if found is None:
            made_now, left_out = self._made()
            found = keep(made_now, left_out, *decides), left_out
        table, counts = found
        made = [row | {"inputs": self._inputs(row["family"], row["item"])} for row in table.iter_rows(named=True)]
        kept, rejected, _ = questions(made, COLUMNS, or_plain=False, domain=domain, source=self.path)
        numbers = pl.Series([one["item"] for one in made], dtype=pl.Int64)
        kept, rejected = (rows.with_columns(source_row=numbers.gather(rows["source_row"])) for rows in (kept, rejected))
        resolved = self.describe() | {
            "revision": None,
            "commit": version(),
            "sha256": None,
            "columns": "own",
            "rows": kept.height + rejected.height,
            **counts,
        }
        return Loaded(kept, rejected, resolved)

    def _asked(self) -> tuple[object, ...]:
        return ",".join(self.chosen), self.difficulty, self.split, self.size

    def _inputs(self, family: str, number: int) -> dict[str, Any]:
        return {"family": family, "difficulty": self.difficulty, "item": number, "reasoning_gym": version()}

    def _made(self) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return the questions, and what was left out of the items on the way."""
        counts = dict.fromkeys(COUNTS, 0)
        seen: set[str] = set()
        turns = [self._new(family, seen, counts) for family in self.chosen]
        made: list[dict[str, Any]] = []
        while turns and len(made) < self.size:
            for turn in tuple(turns):
                found = next(turn, None)
                if found is None:
                    turns.remove(turn)
                elif len(made) < self.size:
                    made.append(found)
        return made, counts

    def _new(self, family: str, seen: set[str], counts: dict[str, int]) -> Iterator[dict[str, Any]]:
        """Make a family's questions of this split, each text once, until there are no more."""
        number = FIRST[self.split]
        dry = 0
        while dry < DRY:
            one = item(family, self.difficulty, number)
            text = " ".join(one["question"].lower().split())
            dry += 1
            if split_of(one["question"]) != self.split:
                counts["of_other_split"] += 1
            elif not one["answer"].strip():  # some ask for a list that can be empty, and no text says that
                counts["without_answer"] += 1
            elif text in seen:
                counts["repeated"] += 1
            elif score(family, self.difficulty, one["answer"].strip(), one) < 1:
                counts["refused_answer"] += 1
            else:
                seen.add(text)
                dry = 0
                yield {
                    "question": one["question"],
                    "answer": one["answer"].strip(),
                    "family": family,
                    "item": number,
                }
            number += 1


def split_of(question: str) -> str:
    """Return the split that a text belongs to, whichever item it is.

    >>> split_of("What is 1 + 1?") == split_of("  what is  1 + 1? ")
    True
    """
    text = " ".join(question.lower().split())
    return "test" if int(digest("gym", text)[:8], 16) % TEST_SHARE == 0 else "train"


def _named(text: str) -> tuple[str, ...]:
    return () if text in (ALL, "") else tuple(one.strip() for one in text.split(","))
